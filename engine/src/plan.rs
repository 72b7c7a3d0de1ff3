//! A job, planned: its windowed aggregations, and the query above them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use datafusion::catalog::MemTable;
use datafusion::common::{Result, not_impl_err, plan_err};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Query, SetExpr};
use wire::schema::{Column, ColumnType, Value};
use wire::time::Millis;

use crate::error::EngineError;
use crate::expression::physical;
use crate::job::Job;
use crate::sql::{WindowedQuery, end_column, start_column};
use crate::table::{Rows, SourceReader};
use crate::udaf;
use crate::window::HopAggregate;

/// A job that can take rows in and give out the rows of closed windows.
pub(crate) struct Plan {
    /// One for each of the job's sources, in its order.
    pub(crate) sources: Vec<SourceReader>,
    job: String,
    leaves: Vec<Leaf>,
    above: LogicalPlan,
    state: SessionState,
    columns: Vec<Column>,
    order: Vec<usize>,
}

/// One windowed aggregation, and the table that its results stand in.
struct Leaf {
    source: usize,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    aggregate: HopAggregate,
    keys: usize,
    aggregated: SchemaRef,
    selected: Vec<Arc<dyn PhysicalExpr>>,
    window_at: usize,
    schema: SchemaRef,
    table: Arc<MemTable>,
}

const NANOSECONDS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

impl Plan {
    /// Plans `job`.
    pub(crate) async fn of(job: &Job) -> Result<Plan, EngineError> {
        Plan::build(job).await.map_err(EngineError::plan(&job.name))
    }

    async fn build(job: &Job) -> Result<Plan> {
        if job.windows.is_empty() {
            return not_impl_err!("a job without a hop or tumble window");
        }
        // One partition: the work is small, and its order stays the same.
        let config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        let context = SessionContext::new_with_state(state);
        udaf::aggregates().for_each(|aggregate| context.register_udaf(aggregate.as_ref().clone()));
        let mut sources = Vec::new();
        for table in &job.sources {
            let reader = SourceReader::new(&context.state(), table)?;
            context
                .register_table(&table.name, Arc::new(MemTable::try_new(reader.schema(), vec![vec![]])?))?;
            sources.push(reader);
        }
        let mut leaves = Vec::new();
        for windowed in &job.windows {
            let leaf = Leaf::plan(&context.state(), job, windowed).await?;
            context.register_table(&windowed.table, leaf.table.clone())?;
            leaves.push(leaf);
        }
        let state = context.state();
        let above = state.optimize(&logical_plan(&state, job.query.clone()).await?)?;
        if above.schema().fields().len() != job.columns.len() {
            return plan_err!(
                "the query selects {} columns, its table has {}",
                above.schema().fields().len(),
                job.columns.len()
            );
        }
        // Rows leave in the order of time, then key, whatever the query does to their order.
        let place = |name: &str| job.columns.iter().position(|column| column.name == name);
        let order = ["window_end", job.key.as_str()].into_iter().filter_map(place).collect();
        Ok(Plan { sources, job: job.name.clone(), leaves, above, state, columns: job.columns.clone(), order })
    }

    /// From here on, windows that end at or before `closed` are taken as emitted.
    pub(crate) fn skip_until(&mut self, closed: Millis) {
        self.leaves.iter_mut().for_each(|leaf| leaf.aggregate.skip_until(closed));
    }

    /// The earliest event time that an open window may need.
    pub(crate) fn needed_from(&self) -> Millis {
        self.leaves.iter().map(|leaf| leaf.aggregate.needed_from()).min().unwrap_or(Millis::MIN)
    }

    /// Takes in rows of one source, in the order in which they came.
    pub(crate) fn push(&mut self, source: usize, rows: &Rows) -> Result<(), EngineError> {
        let job = &self.job;
        self.leaves
            .iter_mut()
            .filter(|leaf| leaf.source == source)
            .try_for_each(|leaf| leaf.push(rows))
            .map_err(EngineError::plan(job))
    }

    /// Closes the windows that end at or before `watermark`; gives their rows,
    /// in the order of the job's columns.
    pub(crate) async fn close(&mut self, watermark: Millis) -> Result<Vec<Vec<Value>>, EngineError> {
        let mut any = false;
        for leaf in &mut self.leaves {
            any |= leaf.close(watermark).await.map_err(EngineError::plan(&self.job))?;
        }
        if !any {
            return Ok(Vec::new());
        }
        let mut rows = self.run_above().await.map_err(EngineError::plan(&self.job))?;
        rows.sort_by(|a, b| {
            let by = |row: &[Value], at: usize| (row[at].as_i64(), row[at].as_str().map(str::to_owned));
            self.order
                .iter()
                .map(|&at| by(a, at).cmp(&by(b, at)))
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(rows)
    }

    async fn run_above(&self) -> Result<Vec<Vec<Value>>> {
        let physical = self.state.query_planner().create_physical_plan(&self.above, &self.state).await?;
        let batches = datafusion::physical_plan::collect(physical, self.state.task_ctx()).await?;
        let mut rows = Vec::new();
        for batch in batches {
            let columns = self
                .columns
                .iter()
                .zip(batch.columns())
                .map(|(column, array)| values(array, column.kind))
                .collect::<Result<Vec<_>>>()?;
            let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
            rows.extend(
                (0..batch.num_rows())
                    .map(|_| columns.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()),
            );
        }
        Ok(rows)
    }
}

impl Leaf {
    async fn plan(state: &SessionState, job: &Job, windowed: &WindowedQuery) -> Result<Leaf> {
        let query =
            Query { body: Box::new(SetExpr::Select(Box::new(windowed.select.clone()))), ..bare(&job.query) };
        let plan = logical_plan(state, query).await?;
        let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
        let LogicalPlan::Projection(projection) = &plan else {
            return not_impl_err!("a windowed query that is no plain SELECT … GROUP BY …");
        };
        let LogicalPlan::Aggregate(aggregate) = projection.input.as_ref() else {
            return not_impl_err!("a windowed query without an aggregate, or with HAVING or DISTINCT");
        };
        let (table, filters) = scanned(&aggregate.input)?;
        let Some(source) = job.sources.iter().position(|source| source.name == table) else {
            return plan_err!("`{table}` is no source table");
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
            aggregate: hop_aggregate(state, windowed, aggregate)?,
            keys: aggregate.group_expr.len(),
            aggregated: aggregate.schema.inner().clone(),
            selected,
            window_at: windowed.window_at,
            table: Arc::new(MemTable::try_new(schema.clone(), vec![vec![]])?),
            schema,
        })
    }

    fn push(&mut self, rows: &Rows) -> Result<()> {
        let mut batch = rows.batch.clone();
        let mut event_times = rows.event_times.clone();
        for filter in &self.filters {
            let kept = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            let kept = kept.as_boolean();
            batch = filter_record_batch(&batch, kept)?;
            let mut mask = kept.iter();
            event_times.retain(|_| mask.next().flatten().unwrap_or(false));
        }
        self.aggregate.push(&batch, &event_times)
    }

    /// Puts the rows of the windows that end by `watermark` into the table;
    /// says whether there are any.
    async fn close(&mut self, watermark: Millis) -> Result<bool> {
        let rows = match self.aggregate.close(watermark)? {
            None => Vec::new(),
            Some(columns) => vec![self.select(columns)?],
        };
        let any = !rows.is_empty();
        *self.table.batches[0].write().await = rows;
        Ok(any)
    }

    /// From keys, window and aggregates to what the query selects of them.
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
    HopAggregate::new(windowed.hop, keys, key_types, &aggregates)
}

/// The table under an aggregate, and the conditions on the way to it.
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

/// The query around a body: nothing but the body.
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

async fn logical_plan(state: &SessionState, query: Query) -> Result<LogicalPlan> {
    state.statement_to_plan(Statement::Statement(Box::new(ast::Statement::Query(Box::new(query))))).await
}

/// An Arrow column as values of `kind`; a NULL and what is not finite are null.
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
