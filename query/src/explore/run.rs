//! One query on a thread of its own: whatever it costs, the threads that serve
//! others go on, and a deeply nested text finds the stack that it needs.

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use model::schema::{Column, Value};
use store::{Measurement, SharedStore};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::explore::checked::{CheckedArithmetic, SignedIntegers};
use crate::explore::error::ExploreError;
use crate::explore::functions::{columns, rows, weight};
use crate::explore::table::StoredTable;
use crate::explore::{Limits, check_plan, functions, statement};

/// Parts of an answer that wait for their reader.
pub(crate) const AHEAD: usize = 2;
/// Rows that DataFusion works on at once; few, so that a query is soon ended.
const BATCH: usize = 2_048;
/// Bytes of rows in a part of an answer, about: what its reader holds at once.
pub(crate) const PART: usize = 256 << 10;
/// The longest row, in bytes: one row is never cut.
const LONGEST_ROW: usize = 2 << 20;
/// Enough for the longest text taken, nested as deep as it can be.
pub(crate) const STACK: usize = 256 << 20;

const CATALOGUE: &str = "tickwire";
const SCHEMA: &str = "stored";

/// What is asked, and of what.
pub(crate) struct Asked {
    pub(crate) sql: String,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) store: SharedStore,
    /// Where the store is read: its connections live there.
    pub(crate) reading: Handle,
    pub(crate) limits: Limits,
}

/// A part of an answer, in this order.
pub(crate) enum Part {
    /// The columns; once, first.
    Columns(Vec<Column>),
    /// Some of the rows.
    Rows(Vec<Vec<Value>>),
    /// Nothing follows; `cut` where there would have been more rows.
    End { cut: bool },
}

pub(crate) type Parts = mpsc::Receiver<Result<Part, ExploreError>>;

/// Starts the thread; it ends when the parts are dropped, and gives back its place
/// once it works no more: before the last part, so that who has that can ask again.
pub(crate) fn start(asked: Asked, place: OwnedSemaphorePermit) -> Result<Parts, ExploreError> {
    let (sender, parts) = mpsc::channel(AHEAD);
    let work = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        runtime.block_on(async {
            let gone = sender.clone();
            tokio::select! {
                biased;
                () = gone.closed() => {}
                outcome = answer(&asked, &sender) => {
                    drop(place);
                    if let Some(last) = outcome.map(|end| end.map(|cut| Part::End { cut })).transpose() {
                        let _ = sender.send(last).await;
                    }
                }
            }
        });
    };
    let thread = std::thread::Builder::new().name("query".into()).stack_size(STACK).spawn(work);
    match thread {
        Ok(_) => Ok(parts),
        Err(error) => {
            tracing::error!(%error, "no thread for a query");
            Err(ExploreError::Crashed)
        }
    }
}

/// Sends columns and rows; gives whether there would have been more, or nothing
/// where the reader has gone.
async fn answer(
    asked: &Asked,
    parts: &mpsc::Sender<Result<Part, ExploreError>>,
) -> Result<Option<bool>, ExploreError> {
    let wrong = |error: DataFusionError| ExploreError::of(error, &asked.sql, asked.limits.memory);
    let statement = statement(&asked.sql, asked.limits.memory)?;
    let state = session(asked).map_err(wrong)?;
    let plan = state.statement_to_plan(statement).await.map_err(wrong)?;
    check_plan(&plan)?;
    let mut stream = stream(&state, plan, asked.limits.rows).await.map_err(wrong)?;
    let columns = columns(&stream.schema());
    let send = async |part| parts.send(Ok(part)).await.is_ok();
    if !send(Part::Columns(columns.clone())).await {
        return Ok(None);
    }
    let mut left = Left { rows: asked.limits.rows, bytes: asked.limits.bytes };
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(wrong)?;
        let rows = rows(&batch, &columns).map_err(|error| wrong(error.into()))?;
        drop(batch);
        let (mut part, mut size) = (Vec::new(), 0);
        for row in rows {
            let weight = weight(&row);
            if weight > LONGEST_ROW {
                return Err(ExploreError::TooWide { size: weight, most: LONGEST_ROW });
            }
            if !left.take(weight) {
                return Ok(send(Part::Rows(part)).await.then_some(true));
            }
            part.push(row);
            size += weight;
            if size >= PART {
                size = 0;
                if !send(Part::Rows(std::mem::take(&mut part))).await {
                    return Ok(None);
                }
            }
        }
        if !part.is_empty() && !send(Part::Rows(part)).await {
            return Ok(None);
        }
    }
    Ok(Some(false))
}

/// What of an answer may still be given.
struct Left {
    rows: Option<usize>,
    bytes: Option<usize>,
}

impl Left {
    /// Whether a row of `weight` bytes may be given, which is then taken off.
    fn take(&mut self, weight: usize) -> bool {
        let rows = self.rows.map(|rows| rows.checked_sub(1));
        let bytes = self.bytes.map(|bytes| bytes.checked_sub(weight));
        if rows == Some(None) || bytes == Some(None) {
            return false;
        }
        (self.rows, self.bytes) = (rows.flatten(), bytes.flatten());
        true
    }
}

/// Runs a plan; of a query's rows, one more than are given, to know whether there are more.
async fn stream(
    state: &SessionState,
    plan: LogicalPlan,
    rows: Option<usize>,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let plan = match (plan, rows) {
        (plan @ (LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)), _) => {
            plan
        }
        (query, None) => query,
        (query, Some(rows)) => LogicalPlanBuilder::from(query).limit(0, Some(rows + 1))?.build()?,
    };
    let physical = state.create_physical_plan(&plan).await?;
    execute_stream(interruptible(physical)?, state.task_ctx())
}

/// A plan whose every step lets others go on now and then. DataFusion sees to that
/// where rows are read; a join that makes millions out of a few would go on for
/// as long as it takes when nobody waits for it any more.
fn interruptible(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let step = |plan: Arc<dyn ExecutionPlan>| {
        let step: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(plan));
        Ok(Transformed::yes(step))
    };
    plan.transform_up(step).data()
}

/// A session that knows the measurements as tables and nothing else: no files,
/// no addresses, no functions that are tables, no disk.
fn session(asked: &Asked) -> Result<SessionState, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOGUE, SCHEMA);
    config.options_mut().sql_parser.collect_spans = true;
    // DataFusion 55.2 fails by it where rows that are made different are sorted and cut.
    config.options_mut().optimizer.enable_topk_aggregation = false;
    config.options_mut().optimizer.enable_distinct_aggregation_soft_limit = false;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(asked.limits.memory / 4 * 3)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()?;
    let (before, after): (Arc<dyn AnalyzerRule + Send + Sync>, Arc<dyn AnalyzerRule + Send + Sync>) =
        (Arc::new(SignedIntegers), Arc::new(CheckedArithmetic));
    let analysis = [before].into_iter().chain(Analyzer::new().rules).chain([after]).collect();
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(functions::planners())
        .with_scalar_functions(functions::scalar())
        .with_aggregate_functions(functions::aggregate())
        .with_window_functions(functions::window())
        .with_analyzer_rules(analysis)
        .build();
    let (catalogue, tables) = (MemoryCatalogProvider::new(), MemorySchemaProvider::new());
    for measurement in &asked.measurements {
        let table = StoredTable::new(measurement.clone(), Arc::clone(&asked.store), asked.reading.clone());
        tables.register_table(measurement.name.clone(), Arc::new(table))?;
    }
    catalogue.register_schema(SCHEMA, Arc::new(tables))?;
    state.catalog_list().register_catalog(CATALOGUE.to_owned(), Arc::new(catalogue));
    // Says when the query began, for now().
    Ok(SessionContext::new_with_state(state).state())
}
