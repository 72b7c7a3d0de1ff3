//! `tickwire answer`: one question in SQL, for another process of this program. It has
//! limits of its own, and ends with its answer.

use query::explore::Asked;

use crate::apart;

/// Threads that drive the work; the question itself has one of its own.
const THREADS: usize = 2;
/// Threads that read the store.
const READERS: usize = 4;

/// Answers the question on standard input.
pub fn run() -> anyhow::Result<()> {
    // First of all: its limits hold for whatever comes after.
    let asked = Asked::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(READERS)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let store = apart::open(asked.store()).map_err(|error| format!("{error:#}"));
        asked.answer(store).await
    });
    // Nothing is left to be done: whoever asked has everything.
    runtime.shutdown_background();
    Ok(outcome?)
}
