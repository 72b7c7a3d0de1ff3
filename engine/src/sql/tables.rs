//! Source and sink tables, from their `CREATE TABLE … WITH (…)` statements.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::sql::sqlparser::ast::{
    self, ColumnDef, ColumnOption, CreateTable, CreateTableOptions, Expr, SqlOption,
};
use model::schema::{Column, ColumnType};

use super::{Statement, Watermark};
use crate::error::EngineError;

/// A table of either kind.
pub(crate) enum Table {
    Source(Box<SourceTable>),
    Sink(SinkTable),
}

/// A topic that jobs read.
#[derive(Clone, Debug)]
pub(crate) struct SourceTable {
    pub(crate) name: String,
    pub(crate) topic: String,
    /// The fields of the records: name, type, and whether a value may be missing.
    pub(crate) stored: Vec<(String, DataType, bool)>,
    /// The generated columns, with their expressions.
    pub(crate) generated: Vec<(String, Expr)>,
    pub(crate) watermark: Watermark,
}

/// The topic that a job writes.
#[derive(Clone, Debug)]
pub(crate) struct SinkTable {
    pub(crate) name: String,
    pub(crate) topic: String,
    /// The column whose value is the key of the records.
    pub(crate) key: String,
    pub(crate) columns: Vec<Column>,
}

impl Table {
    /// Interprets a `CREATE TABLE`; `None` for any other statement.
    pub(crate) fn read(file: &str, statement: &Statement) -> Result<Option<Table>, EngineError> {
        let ast::Statement::CreateTable(table) = &statement.parsed else { return Ok(None) };
        let name = table.name.to_string();
        let unsupported = |reason: String| EngineError::unsupported(file, format!("table {name}: {reason}"));
        let topic = option(table, "topic").ok_or_else(|| unsupported("it names no topic".into()))?;
        match option(table, "type").as_deref() {
            Some("source") => {
                let watermark = statement.watermark.clone().ok_or_else(|| {
                    unsupported(
                        "a source needs WATERMARK FOR column AS expression: event time is never arrival"
                            .into(),
                    )
                })?;
                let (mut stored, mut generated) = (Vec::new(), Vec::new());
                for column in &table.columns {
                    match generation(column) {
                        Some(expression) => generated.push((column.name.value.clone(), expression)),
                        None => {
                            let kind = data_type(column).map_err(&unsupported)?;
                            stored.push((column.name.value.clone(), kind, !is_not_null(column)));
                        }
                    }
                }
                Ok(Some(Table::Source(Box::new(SourceTable {
                    name: name.clone(),
                    topic,
                    stored,
                    generated,
                    watermark,
                }))))
            }
            Some("sink") => {
                let key = option(table, "sink.key_field")
                    .ok_or_else(|| unsupported("it names no 'sink.key_field'".into()))?;
                let columns = table
                    .columns
                    .iter()
                    .map(|column| Ok(Column::new(&column.name.value, column_type(&data_type(column)?)?)))
                    .collect::<Result<Vec<_>, String>>()
                    .map_err(&unsupported)?;
                Ok(Some(Table::Sink(SinkTable { name: name.clone(), topic, key, columns })))
            }
            other => Err(unsupported(format!(
                "its type is {}; 'source' and 'sink' are supported",
                other.unwrap_or("not given")
            ))),
        }
    }
}

/// The value of a `WITH` option, without quotes.
fn option(table: &CreateTable, wanted: &str) -> Option<String> {
    let CreateTableOptions::With(options) = &table.table_options else { return None };
    options.iter().find_map(|option| match option {
        SqlOption::KeyValue { key, value } if key.value == wanted => match value {
            Expr::Value(value) => {
                Some(value.value.clone().into_string().unwrap_or_else(|| value.to_string()))
            }
            other => Some(other.to_string()),
        },
        _ => None,
    })
}

fn generation(column: &ColumnDef) -> Option<Expr> {
    column.options.iter().find_map(|option| match &option.option {
        ColumnOption::Generated { generation_expr: Some(expression), .. } => Some(expression.clone()),
        _ => None,
    })
}

fn is_not_null(column: &ColumnDef) -> bool {
    column.options.iter().any(|option| option.option == ColumnOption::NotNull)
}

fn data_type(column: &ColumnDef) -> Result<DataType, String> {
    use ast::DataType as Sql;
    match &column.data_type {
        Sql::Text | Sql::String(_) | Sql::Varchar(_) => Ok(DataType::Utf8),
        Sql::Double(_) | Sql::DoublePrecision | Sql::Float8 => Ok(DataType::Float64),
        Sql::BigInt(_) | Sql::Int8(_) => Ok(DataType::Int64),
        Sql::Boolean | Sql::Bool => Ok(DataType::Boolean),
        Sql::Timestamp(_, ast::TimezoneInfo::None) => Ok(DataType::Timestamp(TimeUnit::Nanosecond, None)),
        other => Err(format!(
            "column {} has type {other}; TEXT, DOUBLE, BIGINT, BOOLEAN and TIMESTAMP are supported",
            column.name
        )),
    }
}

fn column_type(kind: &DataType) -> Result<ColumnType, String> {
    match kind {
        DataType::Utf8 => Ok(ColumnType::Text),
        DataType::Float64 => Ok(ColumnType::Float),
        DataType::Int64 => Ok(ColumnType::Int),
        DataType::Boolean => Ok(ColumnType::Bool),
        DataType::Timestamp(..) => Ok(ColumnType::Time),
        other => Err(format!("a column of type {other} cannot be written")),
    }
}
