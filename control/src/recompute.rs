//! Requests to the sink in the same process to compute results again.

use model::time::Millis;
use tokio::sync::{mpsc, oneshot};

/// A request to recompute all points with a time in [`from`, `to`).
#[derive(Debug)]
pub struct Ask {
    /// The first event time (ms).
    pub from: Millis,
    /// The event time (ms) that ends the range, exclusive.
    pub to: Millis,
    /// The channel for the number of rows written, or for the error.
    pub answer: oneshot::Sender<Result<u64, String>>,
}

/// The sending side of the requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RecomputeHandle(mpsc::Sender<Ask>);

/// Why nothing was recomputed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecomputed {
    /// No sink runs in this process.
    #[error("the sink does not run here; ask the process in which it runs")]
    NoSink,
    /// The sink failed.
    #[error("{0}")]
    Failed(String),
}

/// The sending side of the requests, and the receiving side for a sink.
pub fn channel() -> (RecomputeHandle, mpsc::Receiver<Ask>) {
    let (sender, receiver) = mpsc::channel(1);
    (RecomputeHandle(sender), receiver)
}

impl RecomputeHandle {
    /// Recomputes all points with an event time in [`from`, `to`) from the stored records;
    /// returns the number of rows written.
    ///
    /// # Errors
    /// If no sink runs in this process, or it fails.
    pub async fn compute(&self, from: Millis, to: Millis) -> Result<u64, NotRecomputed> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Ask { from, to, answer }).await.map_err(|_| NotRecomputed::NoSink)?;
        answered.await.map_err(|_| NotRecomputed::NoSink)?.map_err(NotRecomputed::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_is_answered_and_without_a_sink_that_is_said() {
        let (again, mut asked) = channel();
        let sink = async {
            let ask = asked.recv().await.unwrap();
            ask.answer.send(Ok((ask.to - ask.from) as u64)).unwrap();
        };
        let (written, ()) = tokio::join!(again.compute(3, 10), sink);
        assert_eq!(written, Ok(7));
        drop(asked);
        assert_eq!(again.compute(0, 1).await, Err(NotRecomputed::NoSink));
    }
}
