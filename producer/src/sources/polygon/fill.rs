//! Filling holes from history, symbol by symbol, beside the live feed.

use std::sync::Arc;

use futures::StreamExt;
use model::time::Millis;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::history::{HistoryClient, HistoryFailure, Page, Stretch};
use feed::SharedClock;

/// Requests at once; the quota still counts each.
const AT_ONCE: usize = 4;
/// Pages that wait to be written.
const AHEAD: usize = 8;

/// What a fill brings.
#[derive(Debug)]
pub(super) enum Word {
    /// Bars of one symbol.
    Page(Page),
    /// All of a stretch has been brought.
    Done(Stretch),
    /// A stretch cannot be had.
    Failed(Stretch, String),
    /// Nothing can be had with this key.
    NoAccess(String),
    /// That was all.
    Finished,
}

/// A fill at work; it ends when dropped.
pub(super) struct Fill {
    words: mpsc::Receiver<Word>,
    _task: JoinSet<()>,
}

impl Fill {
    /// Asks for `stretches` in their order, the first at `ready`, when the
    /// history has the last minute of them.
    pub(super) fn start(
        history: Arc<HistoryClient>,
        clock: SharedClock,
        stretches: Vec<Stretch>,
        ready: Millis,
    ) -> Fill {
        let (sender, words) = mpsc::channel(AHEAD);
        let mut task = JoinSet::new();
        task.spawn(async move {
            clock.sleep_until(ready).await;
            let bringing =
                stretches.into_iter().map(|stretch| bring(history.clone(), stretch, sender.clone()));
            let mut brought = futures::stream::iter(bringing).buffered(AT_ONCE);
            while let Some(access) = brought.next().await {
                if let Err(reason) = access {
                    let _ = sender.send(Word::NoAccess(reason)).await;
                    return;
                }
            }
            let _ = sender.send(Word::Finished).await;
        });
        Fill { words, _task: task }
    }

    /// What comes next.
    pub(super) async fn word(&mut self) -> Word {
        self.words.recv().await.unwrap_or(Word::Finished)
    }
}

/// Brings one stretch; an error means that the key has no access to any.
async fn bring(history: Arc<HistoryClient>, stretch: Stretch, out: mpsc::Sender<Word>) -> Result<(), String> {
    let word = match pages(&history, &stretch, &out).await {
        Ok(()) => Word::Done(stretch),
        Err(HistoryFailure::NoAccess(reason)) => return Err(reason),
        Err(failure) => Word::Failed(stretch, failure.to_string()),
    };
    let _ = out.send(word).await;
    Ok(())
}

async fn pages(
    history: &HistoryClient,
    stretch: &Stretch,
    out: &mpsc::Sender<Word>,
) -> Result<(), HistoryFailure> {
    let mut pages = history.pages(stretch);
    while let Some(page) = pages.next().await? {
        let _ = out.send(Word::Page(page)).await;
    }
    Ok(())
}
