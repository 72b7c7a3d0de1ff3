//! Asking the sink, in its own process, to compute results again.

use model::time::Millis;
use tokio::sync::{mpsc, oneshot};

/// What is asked: everything whose point has a time in [`from`, `to`).
#[derive(Debug)]
pub struct Ask {
    /// From this time on.
    pub from: Millis,
    /// Up to but not including this time.
    pub to: Millis,
    /// Where the number of rows written goes, or why there is none.
    pub answer: oneshot::Sender<Result<u64, String>>,
}

/// Where to ask. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RecomputeHandle(mpsc::Sender<Ask>);

/// Why nothing was computed again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecomputed {
    /// There is no sink in this process, or it has ended.
    #[error("the sink does not run here; ask the process in which it runs")]
    NoSink,
    /// The sink tried.
    #[error("{0}")]
    Failed(String),
}

/// Where to ask, and where a sink takes what was asked.
pub fn channel() -> (RecomputeHandle, mpsc::Receiver<Ask>) {
    let (sender, receiver) = mpsc::channel(1);
    (RecomputeHandle(sender), receiver)
}

impl RecomputeHandle {
    /// Has everything whose point has a time in [`from`, `to`) computed again from
    /// what is stored; gives the number of rows written.
    ///
    /// # Errors
    /// When no sink answers, or it fails.
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
