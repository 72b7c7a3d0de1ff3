//! A service of the pipeline: a task that can be asked to end, and waited for.

use std::future::Future;

use anyhow::Context;
use control::shutdown::{self, Shutdown, ShutdownHandle, ShutdownToken};
use model::service::Service;
use tokio::task::JoinHandle;

/// A running service.
pub struct RunningService {
    name: Service,
    stopper: ShutdownHandle,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl RunningService {
    /// Starts the service that `work` describes.
    pub fn start<W, E>(name: Service, work: impl FnOnce(ShutdownToken) -> W) -> RunningService
    where
        W: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<anyhow::Error>,
    {
        let (stopper, stop) = shutdown::channel();
        let work = work(stop);
        let task = tokio::spawn(async move { work.await.map_err(Into::into) });
        RunningService { name, stopper, task: Some(task) }
    }

    /// Asks it to end.
    pub fn ask(&self, wish: Shutdown) {
        self.stopper.ask(wish);
    }

    /// Whether its end has not been seen yet.
    pub fn is_running(&self) -> bool {
        self.task.is_some()
    }

    /// Waits for its end; at once with `Ok` where that was seen before. Safe to
    /// be dropped and called again.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let outcome = task.await;
        self.task = None;
        match outcome {
            Ok(outcome) => outcome.with_context(|| format!("the {} failed", self.name)),
            Err(panicked) => Err(anyhow::anyhow!("the {} crashed: {panicked}", self.name)),
        }
    }
}
