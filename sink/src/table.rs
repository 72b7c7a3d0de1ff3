//! What the sink knows of a job: where its rows come from, where they go to, and
//! how they lie in time.

use std::sync::Arc;

use engine::Job;
use model::schema::Value;
use model::time::Millis;
use model::topic::Topic;
use store::{Measurement, Point};

use crate::layout::Layout;
use crate::pending::EVERY_SYMBOL;

/// A job's results.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) topic: Topic,
    pub(crate) measurement: Arc<Measurement>,
    pub(crate) reads: Vec<Topic>,
    pub(crate) layout: Option<Layout>,
    /// Its rows depend on those of other symbols: they are computed for all of them.
    pub(crate) ranks: bool,
    symbol: Option<usize>,
    time: Option<usize>,
}

impl Table {
    pub(crate) fn of(job: &Job) -> Table {
        let measurement = Measurement::results(&job.topic, &job.columns);
        let layout = Layout::of(job);
        Table { ranks: job.ranks, ..Table::new(job.topic.clone(), measurement, job.reads.clone(), layout) }
    }

    pub(crate) fn new(
        topic: Topic,
        measurement: Measurement,
        reads: Vec<Topic>,
        layout: Option<Layout>,
    ) -> Table {
        let (symbol, time) = (measurement.index_of("symbol"), measurement.index_of(&measurement.time));
        Table { topic, measurement: Arc::new(measurement), reads, layout, ranks: false, symbol, time }
    }

    /// The symbol of a row.
    pub(crate) fn symbol<'a>(&self, row: &'a [Value]) -> Option<&'a str> {
        row.get(self.symbol?)?.as_str()
    }

    /// The time of a row's point.
    pub(crate) fn time(&self, row: &[Value]) -> Option<Millis> {
        row.get(self.time?)?.as_i64()
    }

    /// A row as a point.
    pub(crate) fn point(&self, row: Vec<Value>) -> Point {
        Point::result(&self.measurement, row)
    }

    /// Under which symbol the rows of `symbol` wait to be computed again.
    pub(crate) fn waits_under<'a>(&self, symbol: &'a str) -> &'a str {
        if self.ranks { EVERY_SYMBOL } else { symbol }
    }

    /// The layout, if records of `topic` have a part in this table's rows.
    pub(crate) fn layout_over(&self, topic: &Topic) -> Option<Layout> {
        self.layout.filter(|_| self.reads.contains(topic))
    }
}
