//! A job of windows: its aggregations, and the query above them, which runs
//! over the rows of the windows that close together.

use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use model::schema::{Column, Value};
use model::time::Millis;

use super::leaf::Leaf;
use super::{Row, Visibility, check_width, logical_plan, values};
use crate::job::Job;
use crate::table::Rows;

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
            rows.extend(values::rows(batch.columns(), &self.columns)?);
        }
        Ok(rows)
    }
}
