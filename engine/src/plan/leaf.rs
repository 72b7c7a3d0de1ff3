//! One aggregation under a hop window: it takes rows of a source and fills the table of results
//! that the outer query reads.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use datafusion::catalog::MemTable;
use datafusion::common::{Result, not_impl_err, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::sql::sqlparser::ast::{Query, SetExpr};
use model::schema::{Column, ColumnType, Value};
use model::time::Millis;

use super::{Visibility, logical_plan};
use crate::job::Job;
use crate::sql::{WindowedQuery, end_column, start_column};
use crate::table::Rows;
use crate::udaf::physical;
use crate::window::HopAggregate;

/// One windowed aggregation, with the table of its results.
pub(crate) struct Leaf {
    pub(crate) source: usize,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) aggregate: HopAggregate,
    keys: usize,
    aggregated: SchemaRef,
    selected: Vec<Arc<dyn PhysicalExpr>>,
    window_at: usize,
    schema: SchemaRef,
    pub(crate) table: Arc<MemTable>,
}

const NANOSECONDS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

impl Leaf {
    pub(crate) async fn plan(
        state: &SessionState,
        job: &Job,
        windowed: &WindowedQuery,
        visibility: Visibility,
    ) -> Result<Leaf> {
        let query =
            Query { body: Box::new(SetExpr::Select(Box::new(windowed.select.clone()))), ..bare(&job.query) };
        let plan = logical_plan(state, query).await?;
        let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
        let LogicalPlan::Projection(projection) = &plan else {
            return not_impl_err!("a windowed query that is not a plain SELECT … GROUP BY …");
        };
        let LogicalPlan::Aggregate(aggregate) = projection.input.as_ref() else {
            return not_impl_err!("a windowed query without an aggregate, or with HAVING or DISTINCT");
        };
        let (table, filters) = scanned(&aggregate.input)?;
        let Some(source) = job.sources.iter().position(|source| source.name == table) else {
            return plan_err!("`{table}` is not a source table");
        };
        let input = aggregate.input.schema();
        let filters =
            filters.into_iter().map(|filter| physical(state, filter, input)).collect::<Result<_>>()?;
        let selected = projection
            .expr
            .iter()
            .map(|expression| physical(state, expression.clone(), &aggregate.schema))
            .collect::<Result<_>>()?;
        let mut fields: Vec<_> = plan.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.insert(windowed.window_at, Field::new(end_column(&windowed.alias), NANOSECONDS, false));
        fields.insert(windowed.window_at, Field::new(start_column(&windowed.alias), NANOSECONDS, false));
        let schema = Arc::new(Schema::new(fields));
        Ok(Leaf {
            source,
            filters,
            aggregate: hop_aggregate(state, windowed, aggregate, visibility)?,
            keys: aggregate.group_expr.len(),
            aggregated: aggregate.schema.inner().clone(),
            selected,
            window_at: windowed.window_at,
            table: Arc::new(MemTable::try_new(schema.clone(), vec![vec![]])?),
            schema,
        })
    }

    /// Filters rows of its source and adds them.
    pub(crate) fn push(&mut self, rows: &Rows) -> Result<()> {
        let mut kept = rows.clone();
        for filter in &self.filters {
            let mask = filter.evaluate(&kept.batch)?.into_array(kept.batch.num_rows())?;
            kept = kept.keep(&mask.as_boolean().iter().map(|is| is == Some(true)).collect::<Vec<_>>())?;
        }
        self.aggregate.push(&kept)
    }

    /// Replaces the rows of the table by those of the windows that end at or before
    /// `watermark`; returns whether there are any.
    pub(crate) async fn close(&mut self, watermark: Millis) -> Result<bool> {
        let rows = match self.aggregate.close(watermark)? {
            None => Vec::new(),
            Some(columns) => vec![self.select(columns)?],
        };
        let any = !rows.is_empty();
        *self.table.batches[0].write().await = rows;
        Ok(any)
    }

    /// Evaluates the selected columns of the query over keys, window and aggregates.
    fn select(&self, mut columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        let end = columns.remove(self.keys + 1);
        let start = columns.remove(self.keys);
        let aggregated = RecordBatch::try_new(self.aggregated.clone(), columns)?;
        let mut selected = self
            .selected
            .iter()
            .map(|expression| expression.evaluate(&aggregated)?.into_array(aggregated.num_rows()))
            .collect::<Result<Vec<_>>>()?;
        selected.insert(self.window_at, end);
        selected.insert(self.window_at, start);
        Ok(RecordBatch::try_new(self.schema.clone(), selected)?)
    }
}

fn hop_aggregate(
    state: &SessionState,
    windowed: &WindowedQuery,
    aggregate: &Aggregate,
    visibility: Visibility,
) -> Result<HopAggregate> {
    let input = aggregate.input.schema();
    let keys = aggregate
        .group_expr
        .iter()
        .map(|key| physical(state, key.clone(), input))
        .collect::<Result<Vec<_>>>()?;
    let key_types = keys.iter().map(|key| key.data_type(input.as_arrow())).collect::<Result<_>>()?;
    let mut aggregates = Vec::new();
    let context = PhysicalPlanningContext::default();
    for expression in &aggregate.aggr_expr {
        let lowered = LoweredAggregateBuilder::new(
            expression,
            input,
            input.as_arrow(),
            state.execution_props(),
            &context,
        )
        .build()?;
        if lowered.filter.is_some() || !lowered.order_bys.is_empty() {
            return not_impl_err!("FILTER or ORDER BY inside an aggregate under a window");
        }
        aggregates.push(lowered.aggregate);
    }
    HopAggregate::new(windowed.hop, keys, key_types, &aggregates, visibility)
}

/// The source table under an aggregate, and the conditions of its WHERE clause.
fn scanned(plan: &LogicalPlan) -> Result<(String, Vec<Expr>)> {
    match plan {
        LogicalPlan::TableScan(scan) => Ok((scan.table_name.table().to_owned(), Vec::new())),
        LogicalPlan::SubqueryAlias(alias) => scanned(&alias.input),
        LogicalPlan::Filter(filter) => {
            let (table, mut filters) = scanned(&filter.input)?;
            filters.push(filter.predicate.clone());
            Ok((table, filters))
        }
        _ => not_impl_err!("a windowed query over anything but a source table, with or without WHERE"),
    }
}

/// A query that consists of a body only.
fn bare(query: &Query) -> Query {
    Query {
        with: None,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
        body: query.body.clone(),
    }
}

/// Converts columns to rows, with values of the types of `columns`.
pub(crate) fn rows(arrays: &[ArrayRef], columns: &[Column]) -> Result<Vec<Vec<Value>>> {
    let count = arrays.first().map_or(0, |array| array.len());
    let columns = columns
        .iter()
        .zip(arrays)
        .map(|(column, array)| values(array, column.kind))
        .collect::<Result<Vec<_>>>()?;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    Ok((0..count).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect())
}

/// Converts an Arrow column to values of type `kind`; NULL, NaN and infinities become null.
fn values(array: &ArrayRef, kind: ColumnType) -> Result<Vec<Value>> {
    let rows = 0..array.len();
    macro_rules! read {
        ($array:expr, $value:expr) => {{
            let typed = $array;
            rows.map(|row| if typed.is_null(row) { Value::Null } else { $value(typed.value(row)) }).collect()
        }};
    }
    Ok(match kind {
        ColumnType::Float => {
            let array = cast(array, &DataType::Float64)?;
            let value = |value: f64| if value.is_finite() { Value::Float(value + 0.0) } else { Value::Null };
            read!(array.as_primitive::<Float64Type>(), value)
        }
        ColumnType::Int => {
            let array = cast(array, &DataType::Int64)?;
            read!(array.as_primitive::<Int64Type>(), Value::Int)
        }
        ColumnType::Time => {
            let array = cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            read!(array.as_primitive::<TimestampMillisecondType>(), Value::Int)
        }
        ColumnType::Bool => {
            let array = cast(array, &DataType::Boolean)?;
            read!(array.as_boolean(), Value::Bool)
        }
        ColumnType::Text => {
            let array = cast(array, &DataType::Utf8)?;
            read!(array.as_string::<i32>(), |text: &str| Value::Text(text.to_owned()))
        }
    })
}
