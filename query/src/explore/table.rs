//! A measurement as a DataFusion table: read in pages on demand, in the store's order, with the
//! conditions that the store can apply.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column as Reference;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream;
use store::{Measurement, Query, Rows, SharedStore, StoreError};
use tokio::runtime::Handle;

use crate::explore::checked::{self, Bound};
use crate::explore::functions::{batch, schema};

/// How many rows are read from the store at once.
const PAGE: usize = 4_096;

/// A measurement of a store.
pub(crate) struct StoredTable {
    measurement: Measurement,
    schema: SchemaRef,
    store: SharedStore,
    reading: Handle,
}

impl StoredTable {
    /// The table; the store is read on the runtime `reading`.
    pub(crate) fn new(measurement: Measurement, store: SharedStore, reading: Handle) -> StoredTable {
        let schema = schema(&measurement);
        StoredTable { measurement, schema, store, reading }
    }

    /// The order of rows: by tags, then time, as far as these are among the columns. A tag with
    /// a single value does not affect the order.
    fn ordering(&self, columns: &[usize], query: &Query) -> Option<LexOrdering> {
        let is_open = |tag: &&String| query.tags.iter().all(|(fixed, _)| fixed != *tag);
        let names = self.measurement.tags.iter().filter(is_open).chain([&self.measurement.time]);
        let places = names.map_while(|name| {
            let place = columns.iter().position(|&at| self.measurement.columns[at].name == *name)?;
            Some(PhysicalSortExpr::new_default(Arc::new(Reference::new(name, place))))
        });
        LexOrdering::new(places)
    }
}

impl std::fmt::Debug for StoredTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredTable").field("measurement", &self.measurement.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match Bound::of(filter, &self.measurement) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let bounds = filters.iter().filter_map(|filter| Bound::of(filter, &self.measurement)).flatten();
        let Some(query) = checked::query(&self.measurement, bounds.collect()) else {
            return Ok(Arc::new(EmptyExec::new(schema)));
        };
        let ordering = self.ordering(&columns, &query);
        let scan = Scan {
            query: Query { limit: Some(limit.map_or(PAGE, |limit| limit.clamp(1, PAGE))), ..query },
            names: columns.iter().map(|&at| self.measurement.columns[at].name.clone()).collect(),
            schema: Arc::clone(&schema),
            store: Arc::clone(&self.store),
            reading: self.reading.clone(),
        };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(scan)], None, ordering, false, limit)?))
    }
}

/// One scan of the rows of a query.
#[derive(Clone)]
struct Scan {
    query: Query,
    /// The columns to read.
    names: Vec<String>,
    schema: SchemaRef,
    store: SharedStore,
    reading: Handle,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("query", &self.query).finish_non_exhaustive()
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let pages = stream::try_unfold(Some(self.clone()), |scan| async move {
            let Some(mut scan) = scan else { return Ok(None) };
            let rows = scan.page().await?;
            let batch = scan.batch(&rows)?;
            let is_last = rows.rows.len() < scan.query.limit.unwrap_or(PAGE) || rows.last_key.is_none();
            scan.query.after = rows.last_key;
            Ok(Some((batch, (!is_last).then_some(scan))))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), pages))
    }
}

impl Scan {
    async fn page(&self) -> Result<Rows> {
        let (store, query) = (Arc::clone(&self.store), self.query.clone());
        let page = self.reading.spawn(async move { store.read(&query).await });
        let page = page.await.unwrap_or(Err(StoreError::Closed));
        page.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn batch(&self, rows: &Rows) -> Result<RecordBatch> {
        Ok(batch(rows, &self.names, &self.schema)?)
    }
}
