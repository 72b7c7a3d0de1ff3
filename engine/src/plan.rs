//! A job, planned: rows of its sources in, rows of its table out.

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

/// A row of the job's table, with values in the order of its columns.
pub(crate) type Row = Vec<Value>;

/// What a window is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// Every row that belongs to it.
    Complete,
    /// Only rows that had been received by the window's end.
    AsOfArrival,
}

/// A job that can take rows in and give rows out.
pub(crate) struct Plan {
    /// One for each of the job's sources, in its order.
    pub(crate) sources: Vec<SourceReader>,
    job: String,
    shape: Shape,
}

/// The kinds of jobs that there are.
enum Shape {
    /// Columns of one hop window of measures that are known here: as `Windowed`, and faster.
    Rolling(Tracks),
    /// Aggregations under hop windows: rows go out when windows close.
    Windowed(Box<Windowed>),
    /// A join without windows: rows go out as they meet.
    Joined(Box<Joined>),
}

impl Plan {
    /// Plans `job`.
    pub(crate) async fn of(job: &Job, knowing: Visibility) -> Result<Plan, EngineError> {
        // Of the versions of a bar a track keeps one, which is not enough for what was known when.
        let rolling = Rolling::of(job).filter(|_| knowing == Visibility::Complete);
        Plan::build(job, rolling, knowing).await.map_err(EngineError::plan(&job.name))
    }

    /// Plans `job` as if it were of no particular form.
    #[cfg(test)]
    pub(crate) async fn general(job: &Job) -> Result<Plan, EngineError> {
        Plan::build(job, None, Visibility::Complete).await.map_err(EngineError::plan(&job.name))
    }

    async fn build(job: &Job, rolling: Option<Rolling>, knowing: Visibility) -> Result<Plan> {
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
        let shape = match (job.reach, rolling) {
            (_, Some(rolling)) => Shape::Rolling(Tracks::new(rolling)),
            (Some(reach), None) => Shape::Joined(Box::new(Joined::plan(&context.state(), job, reach).await?)),
            (None, None) => Shape::Windowed(Box::new(Windowed::plan(&context, job, knowing).await?)),
        };
        Ok(Plan { sources, job: job.name.clone(), shape })
    }

    /// From here on, windows that end at or before `closed` are taken as emitted.
    pub(crate) fn skip_until(&mut self, closed: Millis) {
        match &mut self.shape {
            Shape::Rolling(tracks) => tracks.skip_until(closed),
            Shape::Windowed(windowed) => windowed.skip_until(closed),
            Shape::Joined(_) => {}
        }
    }

    /// The earliest event time that is still needed.
    pub(crate) fn needed_from(&self) -> Millis {
        match &self.shape {
            Shape::Rolling(tracks) => tracks.needed_from(),
            Shape::Windowed(windowed) => windowed.needed_from(),
            Shape::Joined(joined) => joined.needed_from(),
        }
    }

    /// Whether a row behind the watermark is taken all the same.
    pub(crate) fn takes_late_rows(&self) -> bool {
        matches!(self.shape, Shape::Joined(_))
    }

    /// Takes in rows of one source, in the order in which they came; gives the
    /// rows that go out at once. Those that were taken before a restart and only
    /// come `again` go out with new ones alone.
    pub(crate) fn push(
        &mut self,
        source: usize,
        rows: &Rows,
        again: &[bool],
    ) -> Result<Vec<Row>, EngineError> {
        match &mut self.shape {
            Shape::Rolling(tracks) => tracks.push(rows).map(|()| Vec::new()),
            Shape::Windowed(windowed) => windowed.push(source, rows).map(|()| Vec::new()),
            Shape::Joined(joined) => joined.push(source, rows, again),
        }
        .map_err(EngineError::plan(&self.job))
    }

    /// The watermark has come to `watermark`: gives the rows of the windows that
    /// end by then, and forgets what nothing can need any more.
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

/// The job's table takes as many columns as its query selects.
fn check_width(job: &Job, query: &LogicalPlan) -> Result<()> {
    let (selected, wanted) = (query.schema().fields().len(), job.columns.len());
    if selected != wanted {
        return plan_err!("the query selects {selected} columns, its table has {wanted}");
    }
    Ok(())
}

// A job of windows: its aggregations, and the query above them, which runs
// over the rows of the windows that close together.

pub(crate) struct Windowed {
    leaves: Vec<Leaf>,
    above: LogicalPlan,
    state: SessionState,
    columns: Vec<Column>,
    order: Vec<usize>,
}

impl Windowed {
    pub(crate) async fn plan(context: &SessionContext, job: &Job, knowing: Visibility) -> Result<Windowed> {
        let mut leaves = Vec::new();
        for windowed in &job.windows {
            let leaf = Leaf::plan(&context.state(), job, windowed, knowing).await?;
            context.register_table(&windowed.table, leaf.table.clone())?;
            leaves.push(leaf);
        }
        let state = context.state();
        let above = state.optimize(&logical_plan(&state, job.query.clone()).await?)?;
        check_width(job, &above)?;
        // Rows leave in the order of time, then key, whatever the query does to their order.
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

    /// Closes the windows that end at or before `watermark`; gives their rows.
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
