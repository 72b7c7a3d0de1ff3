//! One side of a join: what becomes of its source's rows before they meet
//! others, and those that wait to be met.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::row::{OwnedRow, RowConverter};
use datafusion::common::{DFSchemaRef, Result, not_impl_err, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use model::time::Millis;

use crate::expression::physical;
use crate::job::Job;
use crate::table::Rows;

pub(crate) struct Side {
    /// Which of the job's sources.
    pub(crate) source: usize,
    steps: Vec<Step>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    schema: DFSchemaRef,
    held: BTreeMap<OwnedRow, Vec<Held>>,
}

/// What is done with rows on the way to the join.
enum Step {
    Keep(Arc<dyn PhysicalExpr>),
    Select(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
}

/// A row that has come.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) row: usize,
    pub(crate) event_time: Millis,
    /// It had been taken before a restart.
    pub(crate) again: bool,
}

impl Side {
    pub(crate) fn plan(state: &SessionState, job: &Job, plan: &LogicalPlan, on: Vec<Expr>) -> Result<Side> {
        let (table, steps) = steps(state, plan)?;
        let Some(source) = job.sources.iter().position(|source| source.name == table) else {
            return plan_err!("`{table}` is no source table");
        };
        let schema = plan.schema().clone();
        let keys = on.into_iter().map(|key| physical(state, key, &schema)).collect::<Result<_>>()?;
        Ok(Side { source, steps, keys, schema, held: BTreeMap::new() })
    }

    pub(crate) fn key_types(&self) -> Result<Vec<DataType>> {
        self.keys.iter().map(|key| key.data_type(self.schema.as_arrow())).collect()
    }

    /// The rows that have a key, each with it, in the order in which they came.
    pub(crate) fn arrive(
        &self,
        rows: &Rows,
        again: &[bool],
        converter: &RowConverter,
    ) -> Result<Vec<(OwnedRow, Held)>> {
        let mut batch = rows.batch.clone();
        let mut came: Vec<usize> = (0..batch.num_rows()).collect();
        for step in &self.steps {
            match step {
                Step::Keep(condition) => {
                    let kept = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
                    batch = filter_record_batch(&batch, kept.as_boolean())?;
                    let mut mask = kept.as_boolean().iter();
                    came.retain(|_| mask.next().flatten().unwrap_or(false));
                }
                Step::Select(expressions, schema) => {
                    let columns = expressions
                        .iter()
                        .map(|expression| expression.evaluate(&batch)?.into_array(batch.num_rows()))
                        .collect::<Result<_>>()?;
                    batch = RecordBatch::try_new(schema.clone(), columns)?;
                }
            }
        }
        let keys = self
            .keys
            .iter()
            .map(|key| key.evaluate(&batch)?.into_array(batch.num_rows()))
            .collect::<Result<Vec<_>>>()?;
        let converted = converter.convert_columns(&keys)?;
        let batch = Arc::new(batch);
        let held = |(row, came): (usize, usize)| {
            let (event_time, again) = (rows.event_times[came], again.get(came) == Some(&true));
            (converted.row(row).owned(), Held { batch: batch.clone(), row, event_time, again })
        };
        // As everywhere in SQL, what is NULL equals nothing.
        let has_key = |(row, _): &(usize, usize)| keys.iter().all(|key| key.is_valid(*row));
        Ok(came.into_iter().enumerate().filter(has_key).map(held).collect())
    }

    /// The rows that wait under `key`, in the order in which they came.
    pub(crate) fn held(&self, key: &OwnedRow) -> &[Held] {
        self.held.get(key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn keep(&mut self, key: OwnedRow, row: Held) {
        self.held.entry(key).or_default().push(row);
    }

    pub(crate) fn forget_before(&mut self, event_time: Millis) {
        self.held.retain(|_, rows| {
            rows.retain(|row| row.event_time >= event_time);
            !rows.is_empty()
        });
    }
}

/// The source table under a side, and what is done with its rows.
fn steps(state: &SessionState, plan: &LogicalPlan) -> Result<(String, Vec<Step>)> {
    match plan {
        LogicalPlan::TableScan(scan) => Ok((scan.table_name.table().to_owned(), Vec::new())),
        LogicalPlan::SubqueryAlias(alias) => steps(state, &alias.input),
        LogicalPlan::Filter(filter) => {
            let (table, mut before) = steps(state, &filter.input)?;
            before.push(Step::Keep(physical(state, filter.predicate.clone(), filter.input.schema())?));
            Ok((table, before))
        }
        LogicalPlan::Projection(projection) => {
            let (table, mut before) = steps(state, &projection.input)?;
            let input = projection.input.schema();
            let expressions = projection
                .expr
                .iter()
                .map(|expression| physical(state, expression.clone(), input))
                .collect::<Result<_>>()?;
            let schema = Arc::new(Schema::new(projection.schema.as_arrow().fields().clone()));
            before.push(Step::Select(expressions, schema));
            Ok((table, before))
        }
        _ => not_impl_err!("a side of a join without windows that is no table with columns and conditions"),
    }
}
