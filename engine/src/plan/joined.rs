//! A join without windows: each new row is joined with the earlier rows of the other side, and
//! the matches are emitted at once.
//!
//! Rows are kept until the watermark is `updating_ttl` after their event time. Two rows whose
//! event times differ by more than that are never joined, in whatever order they arrive, so the
//! result does not depend on the order of arrival.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::{filter_record_batch, interleave_record_batch, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{DFSchemaRef, JoinType, Result, not_impl_err, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::utils::{conjunction, find_valid_equijoin_key_pair, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Join, LogicalPlan, Operator};
use datafusion::physical_expr::PhysicalExpr;
use model::schema::Column;
use model::time::{Millis, minute_of};

use super::leaf::rows;
use super::{Row, check_width, logical_plan};
use crate::job::Job;
use crate::table::Rows;
use crate::udaf::physical;

pub(crate) struct Joined {
    sides: [Side; 2],
    keys: RowConverter,
    reach: Millis,
    /// The columns of the left side, then those of the right.
    schema: SchemaRef,
    condition: Option<Arc<dyn PhysicalExpr>>,
    selected: Vec<Arc<dyn PhysicalExpr>>,
    columns: Vec<Column>,
    needed_from: Millis,
}

/// The index of a new row, and a row of the other side that it matches.
type Pair = (u64, Held);

impl Joined {
    pub(crate) async fn plan(state: &SessionState, job: &Job, reach: Millis) -> Result<Joined> {
        let plan = logical_plan(state, job.query.clone()).await?;
        check_width(job, &plan)?;
        let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
        let LogicalPlan::Projection(projection) = &plan else {
            return not_impl_err!("a query without windows that is not a plain SELECT … FROM … JOIN …");
        };
        let (join, above) = match projection.input.as_ref() {
            LogicalPlan::Join(join) => (join, None),
            LogicalPlan::Filter(filter) => match filter.input.as_ref() {
                LogicalPlan::Join(join) => (join, Some(filter.predicate.clone())),
                _ => return not_impl_err!("a query without windows and without a join"),
            },
            _ => return not_impl_err!("a query without windows and without a join"),
        };
        let (on, rest) = conditions(join, above)?;
        let input = &join.schema;
        let (left_on, right_on): (Vec<_>, Vec<_>) = on.into_iter().unzip();
        let sides =
            [Side::plan(state, job, &join.left, left_on)?, Side::plan(state, job, &join.right, right_on)?];
        let fields = sides[0].key_types()?.into_iter().map(SortField::new).collect();
        Ok(Joined {
            sides,
            keys: RowConverter::new(fields)?,
            reach,
            schema: Arc::new(Schema::new(input.as_arrow().fields().clone())),
            condition: conjunction(rest).map(|rest| physical(state, rest, input)).transpose()?,
            selected: projection
                .expr
                .iter()
                .map(|expression| physical(state, expression.clone(), input))
                .collect::<Result<_>>()?,
            columns: job.columns.clone(),
            needed_from: Millis::MIN,
        })
    }

    /// The earliest event time that a future row may be joined with.
    pub(crate) fn needed_from(&self) -> Millis {
        self.needed_from
    }

    /// Removes rows that only late rows could still match.
    pub(crate) fn forget(&mut self, watermark: Millis) {
        let needed_from = minute_of(watermark.saturating_sub(self.reach));
        if needed_from > self.needed_from {
            self.needed_from = needed_from;
            self.sides.iter_mut().for_each(|side| side.forget_before(needed_from));
        }
    }

    /// Adds rows of one source, and returns their matches with earlier rows. A pair of rows
    /// that were both `reread` after a restart was emitted before it.
    pub(crate) fn push(&mut self, source: usize, rows: &Rows, reread: &[bool]) -> Result<Vec<Row>> {
        let mut out = Vec::new();
        for at in 0..self.sides.len() {
            if self.sides[at].source == source {
                out.extend(self.meet(at, rows, reread)?);
            }
        }
        Ok(out)
    }

    fn meet(&mut self, at: usize, rows: &Rows, reread: &[bool]) -> Result<Vec<Row>> {
        let came = self.sides[at].arrive(rows, reread, &self.keys)?;
        let Some(batch) = came.first().map(|(_, held)| held.batch.clone()) else { return Ok(Vec::new()) };
        let other = &self.sides[1 - at];
        let mut pairs: Vec<Pair> = Vec::new();
        for (key, row) in &came {
            let near = |held: &&Held| {
                !(row.reread && held.reread) && (row.event_time - held.event_time).abs() <= self.reach
            };
            pairs.extend(other.held(key).iter().filter(near).map(|held| (row.row as u64, held.clone())));
        }
        for (key, row) in came {
            if row.event_time >= self.needed_from {
                self.sides[at].keep(key, row);
            }
        }
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let these =
            take_record_batch(&batch, &UInt64Array::from_iter_values(pairs.iter().map(|pair| pair.0)))?;
        let those = gathered(&pairs)?;
        let [left, right] = if at == 0 { [these, those] } else { [those, these] };
        self.select(&left, &right)
    }

    /// Applies the rest of the query to matching rows of the left and the right side.
    fn select(&self, left: &RecordBatch, right: &RecordBatch) -> Result<Vec<Row>> {
        let columns = left.columns().iter().chain(right.columns()).cloned().collect();
        let mut joined = RecordBatch::try_new(self.schema.clone(), columns)?;
        if let Some(condition) = &self.condition {
            let kept = condition.evaluate(&joined)?.into_array(joined.num_rows())?;
            joined = filter_record_batch(&joined, kept.as_boolean())?;
        }
        let selected = self
            .selected
            .iter()
            .map(|expression| expression.evaluate(&joined)?.into_array(joined.num_rows()))
            .collect::<Result<Vec<_>>>()?;
        rows(&selected, &self.columns)
    }
}

/// The rows of the other side in `pairs`, as one batch.
fn gathered(pairs: &[Pair]) -> Result<RecordBatch> {
    let mut places: HashMap<*const RecordBatch, usize> = HashMap::new();
    let mut batches: Vec<&RecordBatch> = Vec::new();
    let rows: Vec<(usize, usize)> = pairs
        .iter()
        .map(|(_, held)| {
            let place = *places.entry(Arc::as_ptr(&held.batch)).or_insert_with(|| {
                batches.push(&held.batch);
                batches.len() - 1
            });
            (place, held.row)
        })
        .collect();
    Ok(interleave_record_batch(&batches, &rows)?)
}

/// Pairs of a left and a right expression.
type Equalities = Vec<(Expr, Expr)>;

/// The equality conditions of the join, and all other conditions.
fn conditions(join: &Join, above: Option<Expr>) -> Result<(Equalities, Vec<Expr>)> {
    if join.join_type != JoinType::Inner {
        return not_impl_err!("a {} join without windows: only inner joins are supported", join.join_type);
    }
    let (mut on, mut rest) = (join.on.clone(), Vec::new());
    for condition in join.filter.iter().cloned().flat_map(split_conjunction_owned) {
        let pair = match &condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                find_valid_equijoin_key_pair(left, right, join.left.schema(), join.right.schema())?
            }
            _ => None,
        };
        match pair {
            Some(pair) => on.push(pair),
            None => rest.push(condition),
        }
    }
    if on.is_empty() {
        return not_impl_err!("a join without windows and without an equality in its ON");
    }
    rest.extend(above);
    Ok((on, rest))
}

pub(crate) struct Side {
    /// The index of the source in the job.
    pub(crate) source: usize,
    steps: Vec<Step>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    schema: DFSchemaRef,
    held: BTreeMap<OwnedRow, Vec<Held>>,
}

/// A step that the rows of the source go through before the join.
enum Step {
    Keep(Arc<dyn PhysicalExpr>),
    Select(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
}

/// A row that is kept for the join.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) row: usize,
    pub(crate) event_time: Millis,
    /// Whether it was processed before a restart already.
    pub(crate) reread: bool,
}

impl Side {
    pub(crate) fn plan(state: &SessionState, job: &Job, plan: &LogicalPlan, on: Vec<Expr>) -> Result<Side> {
        let (table, steps) = steps(state, plan)?;
        let Some(source) = job.sources.iter().position(|source| source.name == table) else {
            return plan_err!("`{table}` is not a source table");
        };
        let schema = plan.schema().clone();
        let keys = on.into_iter().map(|key| physical(state, key, &schema)).collect::<Result<_>>()?;
        Ok(Side { source, steps, keys, schema, held: BTreeMap::new() })
    }

    pub(crate) fn key_types(&self) -> Result<Vec<DataType>> {
        self.keys.iter().map(|key| key.data_type(self.schema.as_arrow())).collect()
    }

    /// The rows with a join key after all steps, in the order of arrival, each with its key.
    pub(crate) fn arrive(
        &self,
        rows: &Rows,
        reread: &[bool],
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
            let (event_time, reread) = (rows.event_times[came], reread.get(came) == Some(&true));
            (converted.row(row).owned(), Held { batch: batch.clone(), row, event_time, reread })
        };
        // In SQL, NULL is not equal to anything.
        let has_key = |(row, _): &(usize, usize)| keys.iter().all(|key| key.is_valid(*row));
        Ok(came.into_iter().enumerate().filter(has_key).map(held).collect())
    }

    /// The rows with `key`, in the order of arrival.
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

/// The source table of a side, and the steps of its rows.
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
        _ => {
            not_impl_err!("a side of a join without windows that is not a table with columns and conditions")
        }
    }
}
