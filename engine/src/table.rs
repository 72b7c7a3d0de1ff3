//! A source table: decodes records into Arrow rows with their event times and watermarks.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, new_null_array,
};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::physical_expr::PhysicalExpr;
use model::time::Millis;
use model::{Article, Bar};

use crate::sql::SourceTable;
use crate::udaf::physical;

/// Decodes the records of one source.
pub(crate) struct SourceReader {
    stored: SchemaRef,
    schema: SchemaRef,
    generated: Vec<Arc<dyn PhysicalExpr>>,
    event_time: usize,
    received: usize,
    watermark: Arc<dyn PhysicalExpr>,
}

/// Decoded rows.
#[derive(Clone)]
pub(crate) struct Rows {
    /// All columns, including the generated ones.
    pub(crate) batch: RecordBatch,
    /// The event time of each row (ms).
    pub(crate) event_times: Vec<Millis>,
    /// The watermark that each row states (event time, ms).
    pub(crate) watermarks: Vec<Millis>,
    /// The `received_timestamp` of each row (wall clock, ms).
    pub(crate) received: Vec<Millis>,
}

impl Rows {
    /// The rows for which `kept` is true.
    pub(crate) fn keep(self, kept: &[bool]) -> Result<Rows> {
        let of = |times: Vec<Millis>| {
            times.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(at, _)| at).collect()
        };
        let mask = BooleanArray::from(kept.to_vec());
        Ok(Rows {
            batch: filter_record_batch(&self.batch, &mask)?,
            event_times: of(self.event_times),
            watermarks: of(self.watermarks),
            received: of(self.received),
        })
    }
}

/// A `BIGINT NOT NULL` column of every source, which orders the versions of a row.
const RECEIVED: &str = "received_timestamp";

const NANOSECONDS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);
const MILLISECONDS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

impl SourceReader {
    /// Plans the generated columns and the watermark of `table`.
    pub(crate) fn new(state: &SessionState, table: &SourceTable) -> Result<SourceReader> {
        let mut fields: Vec<_> = table
            .stored
            .iter()
            .map(|(name, kind, nullable)| Field::new(name, kind.clone(), *nullable))
            .collect();
        let stored = Arc::new(Schema::new(fields.clone()));
        let stored_names = DFSchema::try_from(stored.as_ref().clone())?;
        let plan = |sql: &str| physical(state, state.create_logical_expr(sql, &stored_names)?, &stored_names);
        let mut generated = Vec::new();
        for (name, expression) in &table.generated {
            generated.push(plan(&expression.to_string())?);
            fields.push(Field::new(name, NANOSECONDS, false));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(SourceReader {
            watermark: plan(&table.watermark.expression.to_string())?,
            event_time: schema.index_of(&table.watermark.column)?,
            received: schema.index_of(RECEIVED)?,
            stored,
            schema,
            generated,
        })
    }

    /// The schema of decoded rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Decodes JSON records. Returns the rows, and the indices of the records that do not
    /// decode.
    pub(crate) fn decode(&self, values: &[impl AsRef<[u8]>]) -> Result<(Rows, Vec<usize>)> {
        if let Ok(batch) = self.decode_all(values) {
            return Ok((self.complete(&batch)?, Vec::new()));
        }
        let refused: Vec<usize> =
            (0..values.len()).filter(|&at| self.decode_all(&values[at..=at]).is_err()).collect();
        let kept: Vec<_> = values
            .iter()
            .enumerate()
            .filter(|(at, _)| !refused.contains(at))
            .map(|(_, value)| value)
            .collect();
        Ok((self.complete(&self.decode_all(&kept)?)?, refused))
    }

    fn decode_all(&self, values: &[impl AsRef<[u8]>]) -> Result<RecordBatch, ArrowError> {
        let mut decoder =
            ReaderBuilder::new(self.stored.clone()).with_batch_size(values.len().max(1)).build_decoder()?;
        for value in values {
            let value = value.as_ref();
            if decoder.decode(value)? < value.len() || decoder.has_partial_record() {
                return Err(ArrowError::JsonError("not one whole JSON object".into()));
            }
        }
        let batch = decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(self.stored.clone()));
        if batch.num_rows() != values.len() {
            return Err(ArrowError::JsonError("not one JSON object a record".into()));
        }
        Ok(batch)
    }

    /// Converts bars to rows of this table.
    pub(crate) fn of_bars(&self, bars: &[Bar]) -> Result<Rows> {
        self.of(bars.len(), |name| bar_column(name, bars))
    }

    /// Converts articles to rows of this table.
    pub(crate) fn of_articles(&self, articles: &[Article]) -> Result<Rows> {
        self.of(articles.len(), |name| article_column(name, articles))
    }

    fn of(&self, rows: usize, column: impl Fn(&str) -> Option<ArrayRef>) -> Result<Rows> {
        let columns = self
            .stored
            .fields()
            .iter()
            .map(|field| column(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), rows)))
            .collect();
        self.complete(&RecordBatch::try_new(self.stored.clone(), columns)?)
    }

    fn complete(&self, stored: &RecordBatch) -> Result<Rows> {
        let rows = stored.num_rows();
        let watermark = self.watermark.evaluate(stored)?.into_array(rows)?;
        let mut columns = stored.columns().to_vec();
        for expression in &self.generated {
            columns.push(cast(&expression.evaluate(stored)?.into_array(rows)?, &NANOSECONDS)?);
        }
        let event_times = millis(&columns[self.event_time])?;
        let received = columns[self.received].as_primitive::<Int64Type>().values().to_vec();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(Rows { batch, event_times, watermarks: millis(&watermark)?, received })
    }
}

fn millis(times: &ArrayRef) -> Result<Vec<Millis>> {
    Ok(cast(times, &MILLISECONDS)?.as_primitive::<TimestampMillisecondType>().values().to_vec())
}

fn floats<T>(rows: &[T], value: impl Fn(&T) -> Option<f64>) -> Option<ArrayRef> {
    Some(Arc::new(rows.iter().map(value).collect::<Float64Array>()))
}

fn ints<T>(rows: &[T], value: impl Fn(&T) -> Option<i64>) -> Option<ArrayRef> {
    Some(Arc::new(rows.iter().map(value).collect::<Int64Array>()))
}

fn texts<'a, T>(rows: &'a [T], value: impl Fn(&'a T) -> Option<&'a str>) -> Option<ArrayRef> {
    Some(Arc::new(rows.iter().map(value).collect::<StringArray>()))
}

fn bar_column(name: &str, bars: &[Bar]) -> Option<ArrayRef> {
    match name {
        "symbol" => texts(bars, |bar| Some(&bar.symbol)),
        "open" => floats(bars, |bar| Some(bar.open)),
        "high" => floats(bars, |bar| Some(bar.high)),
        "low" => floats(bars, |bar| Some(bar.low)),
        "close" => floats(bars, |bar| Some(bar.close)),
        "vwap" => floats(bars, |bar| bar.vwap),
        "volume" => floats(bars, |bar| Some(bar.volume)),
        "accumulated_volume" => floats(bars, |bar| bar.accumulated_volume),
        "official_open_price" => floats(bars, |bar| bar.official_open_price),
        "aggregate_vwap" => floats(bars, |bar| bar.aggregate_vwap),
        "average_size" => floats(bars, |bar| bar.average_size),
        "start_timestamp" => ints(bars, |bar| Some(bar.start_timestamp)),
        "end_timestamp" => ints(bars, |bar| Some(bar.end_timestamp)),
        "otc" => Some(Arc::new(bars.iter().map(|bar| bar.otc).collect::<BooleanArray>())),
        "source" => texts(bars, |bar| Some(bar.source.as_str())),
        "received_timestamp" => ints(bars, |bar| Some(bar.received_timestamp)),
        "complete_until" => ints(bars, |bar| Some(bar.complete_until)),
        _ => None,
    }
}

fn article_column(name: &str, articles: &[Article]) -> Option<ArrayRef> {
    match name {
        "id" => texts(articles, |article| Some(&article.id)),
        "symbol" => texts(articles, |article| article.symbol.as_deref()),
        "search_term" => texts(articles, |article| Some(&article.search_term)),
        "headline" => texts(articles, |article| Some(&article.headline)),
        "url" => texts(articles, |article| Some(&article.url)),
        "kind" => texts(articles, |article| article.kind.as_deref()),
        "section_id" => texts(articles, |article| article.section_id.as_deref()),
        "section_name" => texts(articles, |article| article.section_name.as_deref()),
        "pillar" => texts(articles, |article| article.pillar.as_deref()),
        "published_timestamp" => ints(articles, |article| Some(article.published_timestamp)),
        "updated_timestamp" => ints(articles, |article| article.updated_timestamp),
        "source" => texts(articles, |article| Some(article.source.as_str())),
        "received_timestamp" => ints(articles, |article| Some(article.received_timestamp)),
        "complete_until" => ints(articles, |article| Some(article.complete_until)),
        _ => None,
    }
}
