//! Runs one query on a thread of its own, so that an expensive query does not block the threads
//! of the servers, and with a stack large enough for deeply nested text.

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
use crate::explore::functions::{columns, row_size, rows};
use crate::explore::table::StoredTable;
use crate::explore::{Limits, check_plan, functions, statement};

/// How many parts of an answer may wait for the reader.
pub(crate) const BUFFERED_PARTS: usize = 2;
/// DataFusion's batch size in rows; small, so that a cancelled query ends quickly.
const BATCH: usize = 2_048;
/// The approximate size of a part's rows, in bytes: what the reader holds at once.
pub(crate) const PART: usize = 256 << 10;
/// The maximum size of a row, in bytes; a single row is never cut.
const LONGEST_ROW: usize = 2 << 20;
/// The stack of the query's thread, in bytes; enough for the most deeply nested text of the
/// maximum length.
pub(crate) const STACK: usize = 256 << 20;

const CATALOGUE: &str = "tickwire";
const SCHEMA: &str = "stored";

/// A query with the store and the limits that it runs with.
pub(crate) struct Asked {
    pub(crate) sql: String,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) store: SharedStore,
    /// The runtime on which the store is read, because its connections belong to it.
    pub(crate) reading: Handle,
    pub(crate) limits: Limits,
}

/// The parts of an answer, in this order.
pub(crate) enum Part {
    /// The columns; once, first.
    Columns(Vec<Column>),
    /// Some of the rows.
    Rows(Vec<Vec<Value>>),
    /// The end; `cut` if rows beyond the limits were left out.
    End { cut: bool },
}

pub(crate) type Parts = mpsc::Receiver<Result<Part, ExploreError>>;

/// Starts the thread, which ends when the parts are dropped. `permit` is released before the
/// last part is sent, so that the receiver of the last part can start another query at once.
pub(crate) fn start(asked: Asked, permit: OwnedSemaphorePermit) -> Result<Parts, ExploreError> {
    let (sender, parts) = mpsc::channel(BUFFERED_PARTS);
    let work = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        runtime.block_on(async {
            let receiver_dropped = sender.clone();
            tokio::select! {
                biased;
                () = receiver_dropped.closed() => {}
                outcome = answer(&asked, &sender) => {
                    drop(permit);
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
            tracing::error!(%error, "The thread of a query could not be started.");
            Err(ExploreError::Crashed)
        }
    }
}

/// Sends columns and rows. Returns whether the answer was cut; `None` if the reader was
/// dropped.
async fn answer(
    asked: &Asked,
    parts: &mpsc::Sender<Result<Part, ExploreError>>,
) -> Result<Option<bool>, ExploreError> {
    let to_error = |error: DataFusionError| ExploreError::of(error, &asked.sql, asked.limits.memory);
    let statement = statement(&asked.sql, asked.limits.memory)?;
    let state = session(asked).map_err(to_error)?;
    let plan = state.statement_to_plan(statement).await.map_err(to_error)?;
    check_plan(&plan)?;
    let mut stream = stream(&state, plan, asked.limits.rows).await.map_err(to_error)?;
    let columns = columns(&stream.schema());
    let send = async |part| parts.send(Ok(part)).await.is_ok();
    if !send(Part::Columns(columns.clone())).await {
        return Ok(None);
    }
    let mut remaining = Remaining { rows: asked.limits.rows, bytes: asked.limits.bytes };
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(to_error)?;
        let rows = rows(&batch, &columns).map_err(|error| to_error(error.into()))?;
        drop(batch);
        let (mut part, mut size) = (Vec::new(), 0);
        for row in rows {
            let row_size = row_size(&row);
            if row_size > LONGEST_ROW {
                return Err(ExploreError::TooWide { size: row_size, most: LONGEST_ROW });
            }
            if !remaining.take(row_size) {
                return Ok(send(Part::Rows(part)).await.then_some(true));
            }
            part.push(row);
            size += row_size;
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

/// How many rows and bytes the answer may still contain.
struct Remaining {
    rows: Option<usize>,
    bytes: Option<usize>,
}

impl Remaining {
    /// Takes a row of `row_size` bytes off the limits; `false` if it does not fit.
    fn take(&mut self, row_size: usize) -> bool {
        let rows = self.rows.map(|rows| rows.checked_sub(1));
        let bytes = self.bytes.map(|bytes| bytes.checked_sub(row_size));
        if rows == Some(None) || bytes == Some(None) {
            return false;
        }
        (self.rows, self.bytes) = (rows.flatten(), bytes.flatten());
        true
    }
}

/// Executes a plan with a limit of one row more than the answer may have, which shows whether
/// it is cut.
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

/// Makes every operator of a plan yield now and then. DataFusion does this where rows are read;
/// a join that makes millions of rows out of a few would otherwise continue long after the
/// answer was dropped.
fn interruptible(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let step = |plan: Arc<dyn ExecutionPlan>| {
        let step: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(plan));
        Ok(Transformed::yes(step))
    };
    plan.transform_up(step).data()
}

/// A session that contains the measurements as tables, and neither files, addresses, table
/// functions nor spilling to disk.
fn session(asked: &Asked) -> Result<SessionState, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOGUE, SCHEMA);
    config.options_mut().sql_parser.collect_spans = true;
    // DataFusion 55.2 fails with this optimisation where distinct rows are sorted and limited.
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
    // `state()` fixes the start time of the query, which now() returns.
    Ok(SessionContext::new_with_state(state).state())
}
