//! What the sink knows of a job: where its rows come from and go to, and which
//! windows a record touches.

use std::sync::Arc;

use engine::{Hop, Job};
use store::Measurement;
use wire::schema::Value;
use wire::time::{MINUTE, Millis};
use wire::topic::Topic;

/// A job's results.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) topic: Topic,
    pub(crate) measurement: Arc<Measurement>,
    pub(crate) reads: Vec<Topic>,
    pub(crate) hop: Option<Hop>,
    symbol: Option<usize>,
    window_end: Option<usize>,
}

impl Table {
    pub(crate) fn of(job: &Job) -> Table {
        let measurement = Measurement::results(&job.topic, &job.columns);
        Table::new(job.topic.clone(), measurement, job.reads.clone(), job.window)
    }

    pub(crate) fn new(topic: Topic, measurement: Measurement, reads: Vec<Topic>, hop: Option<Hop>) -> Table {
        let (symbol, window_end) = (measurement.index_of("symbol"), measurement.index_of("window_end"));
        Table { topic, measurement: Arc::new(measurement), reads, hop, symbol, window_end }
    }

    /// The symbol of a row.
    pub(crate) fn symbol<'a>(&self, row: &'a [Value]) -> Option<&'a str> {
        row.get(self.symbol?)?.as_str()
    }

    /// The window's end of a row.
    pub(crate) fn window_end(&self, row: &[Value]) -> Option<Millis> {
        row.get(self.window_end?)?.as_i64()
    }

    /// The hop, if a record of `topic` has a part in this table's windows.
    pub(crate) fn hop_over(&self, topic: &Topic) -> Option<Hop> {
        self.hop.filter(|_| self.reads.contains(topic))
    }
}

/// The starts of the windows that hold something of the minute `minute`, from
/// the first up to but not including the second.
pub(crate) fn touched(hop: Hop, minute: Millis) -> (Millis, Millis) {
    (hop.first_start(minute), hop.slide_of(minute + MINUTE - 1) + hop.slide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_touches_the_windows_that_hold_it() {
        let hop = Hop { size: 30 * MINUTE, slide: MINUTE };
        assert_eq!(touched(hop, 100 * MINUTE), (71 * MINUTE, 101 * MINUTE));
        let hop = Hop { size: 10 * MINUTE, slide: 5 * MINUTE };
        assert_eq!(touched(hop, 12 * MINUTE), (5 * MINUTE, 15 * MINUTE));
        assert_eq!(touched(hop, 15 * MINUTE), (10 * MINUTE, 20 * MINUTE));
    }
}
