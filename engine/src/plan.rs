//! The plan of a job: it takes rows of the sources of the job and returns rows of its table.

mod joined;
mod leaf;

use std::sync::Arc;

use datafusion::catalog::MemTable;
use datafusion::common::{Result, plan_err};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Query};
use model::schema::{Column, Value};
use model::time::Millis;

use crate::error::EngineError;
use crate::job::Job;
use crate::rolling::{Rolling, Tracks};
use crate::table::{Rows, SourceReader};
use crate::udaf;
use joined::Joined;
use leaf::Leaf;

/// A row of the table of a job, with values in the order of its columns.
pub(crate) type Row = Vec<Value>;

/// Which rows a window is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// All rows of the window.
    Complete,
    /// Only the rows that had been received by the end of the window.
    AsOfArrival,
}

/// A planned job.
pub(crate) struct Plan {
    /// One per source of the job, in the same order.
    pub(crate) sources: Vec<SourceReader>,
    job: String,
    shape: Shape,
}

/// The kinds of jobs.
enum Shape {
    /// Columns of one hop window with known measures: the results of `Windowed`, but faster.
    Rolling(Tracks),
    /// Aggregations under hop windows: rows are emitted when windows close.
    Windowed(Box<Windowed>),
    /// A join without windows: rows are emitted when they match.
    Joined(Box<Joined>),
}

impl Plan {
    /// Plans `job`.
    pub(crate) async fn of(job: &Job, visibility: Visibility) -> Result<Plan, EngineError> {
        // A track keeps one version of each bar only, which does not show what was known
        // earlier.
        let rolling = Rolling::of(job).filter(|_| visibility == Visibility::Complete);
        Plan::build(job, rolling, visibility).await.map_err(EngineError::plan(&job.name))
    }

    /// Plans `job` without the faster way for known measures.
    #[cfg(test)]
    pub(crate) async fn general(job: &Job) -> Result<Plan, EngineError> {
        Plan::build(job, None, Visibility::Complete).await.map_err(EngineError::plan(&job.name))
    }

    async fn build(job: &Job, rolling: Option<Rolling>, visibility: Visibility) -> Result<Plan> {
        // A single partition, because there is little data and the order must not change.
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
        let shape = match (job.reach, rolling) {
            (_, Some(rolling)) => Shape::Rolling(Tracks::new(rolling)),
            (Some(reach), None) => Shape::Joined(Box::new(Joined::plan(&context.state(), job, reach).await?)),
            (None, None) => Shape::Windowed(Box::new(Windowed::plan(&context, job, visibility).await?)),
        };
        Ok(Plan { sources, job: job.name.clone(), shape })
    }

    /// Treats windows that end at or before `closed` as already emitted.
    pub(crate) fn skip_until(&mut self, closed: Millis) {
        match &mut self.shape {
            Shape::Rolling(tracks) => tracks.skip_until(closed),
            Shape::Windowed(windowed) => windowed.skip_until(closed),
            Shape::Joined(_) => {}
        }
    }

    /// The earliest event time whose rows are still needed.
    pub(crate) fn needed_from(&self) -> Millis {
        match &self.shape {
            Shape::Rolling(tracks) => tracks.needed_from(),
            Shape::Windowed(windowed) => windowed.needed_from(),
            Shape::Joined(joined) => joined.needed_from(),
        }
    }

    /// Whether late rows are processed.
    pub(crate) fn keeps_late_rows(&self) -> bool {
        matches!(self.shape, Shape::Joined(_))
    }

    /// Adds rows of one source in their order of arrival, and returns the rows that are emitted
    /// at once. Rows that are `reread` after a restart are joined with new rows only.
    pub(crate) fn push(
        &mut self,
        source: usize,
        rows: &Rows,
        reread: &[bool],
    ) -> Result<Vec<Row>, EngineError> {
        match &mut self.shape {
            Shape::Rolling(tracks) => tracks.push(rows).map(|()| Vec::new()),
            Shape::Windowed(windowed) => windowed.push(source, rows).map(|()| Vec::new()),
            Shape::Joined(joined) => joined.push(source, rows, reread),
        }
        .map_err(EngineError::plan(&self.job))
    }

    /// Advances the watermark: returns the rows of the windows that end at or before it, and
    /// frees what is not needed any more.
    pub(crate) async fn close(&mut self, watermark: Millis) -> Result<Vec<Row>, EngineError> {
        match &mut self.shape {
            Shape::Rolling(tracks) => Ok(tracks.close(watermark)),
            Shape::Windowed(windowed) => {
                windowed.close(watermark).await.map_err(EngineError::plan(&self.job))
            }
            Shape::Joined(joined) => {
                joined.forget(watermark);
                Ok(Vec::new())
            }
        }
    }
}

async fn logical_plan(state: &SessionState, query: Query) -> Result<LogicalPlan> {
    state.statement_to_plan(Statement::Statement(Box::new(ast::Statement::Query(Box::new(query))))).await
}

/// Checks that the query selects as many columns as the table of the job has.
fn check_width(job: &Job, query: &LogicalPlan) -> Result<()> {
    let (selected, wanted) = (query.schema().fields().len(), job.columns.len());
    if selected != wanted {
        return plan_err!("the query selects {selected} columns, its table has {wanted}");
    }
    Ok(())
}

// A job with windows: its aggregations, and the outer query, which runs over the rows of the
// windows that close together.

pub(crate) struct Windowed {
    leaves: Vec<Leaf>,
    above: LogicalPlan,
    state: SessionState,
    columns: Vec<Column>,
    order: Vec<usize>,
}

impl Windowed {
    pub(crate) async fn plan(
        context: &SessionContext,
        job: &Job,
        visibility: Visibility,
    ) -> Result<Windowed> {
        let mut leaves = Vec::new();
        for windowed in &job.windows {
            let leaf = Leaf::plan(&context.state(), job, windowed, visibility).await?;
            context.register_table(&windowed.table, leaf.table.clone())?;
            leaves.push(leaf);
        }
        let state = context.state();
        let above = state.optimize(&logical_plan(&state, job.query.clone()).await?)?;
        check_width(job, &above)?;
        // Rows are emitted in the order of time, then key, whatever order the query gives them.
        let place = |name: &str| job.columns.iter().position(|column| column.name == name);
        let order = ["window_end", job.key.as_str()].into_iter().filter_map(place).collect();
        Ok(Windowed { leaves, above, state, columns: job.columns.clone(), order })
    }

    pub(crate) fn skip_until(&mut self, closed: Millis) {
        self.leaves.iter_mut().for_each(|leaf| leaf.aggregate.skip_until(closed));
    }

    pub(crate) fn needed_from(&self) -> Millis {
        self.leaves.iter().map(|leaf| leaf.aggregate.needed_from()).min().unwrap_or(Millis::MIN)
    }

    pub(crate) fn push(&mut self, source: usize, rows: &Rows) -> Result<()> {
        self.leaves.iter_mut().filter(|leaf| leaf.source == source).try_for_each(|leaf| leaf.push(rows))
    }

    /// Closes the windows that end at or before `watermark`; returns their rows.
    pub(crate) async fn close(&mut self, watermark: Millis) -> Result<Vec<Row>> {
        let mut any = false;
        for leaf in &mut self.leaves {
            any |= leaf.close(watermark).await?;
        }
        if !any {
            return Ok(Vec::new());
        }
        let mut rows = self.run_above().await?;
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

    async fn run_above(&self) -> Result<Vec<Row>> {
        let physical = self.state.query_planner().create_physical_plan(&self.above, &self.state).await?;
        let batches = datafusion::physical_plan::collect(physical, self.state.task_ctx()).await?;
        let mut rows = Vec::new();
        for batch in batches {
            rows.extend(leaf::rows(batch.columns(), &self.columns)?);
        }
        Ok(rows)
    }
}
