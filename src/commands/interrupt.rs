//! Ctrl-C and SIGTERM: the first asks for an orderly end, a second one quits.

use tokio::sync::watch;

/// Whether an end was asked for.
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on.
    pub fn listen() -> Interrupt {
        let (asked, receiver) = watch::channel(false);
        // Made here, not in the task: no signal may slip through before it runs.
        let mut signals = Signals::new();
        tokio::spawn(async move {
            signals.next().await;
            eprintln!("Stopping; once more to quit at once.");
            let _ = asked.send(true);
            signals.next().await;
            std::process::exit(130);
        });
        Interrupt(receiver)
    }

    /// Waits until an end is asked for.
    pub async fn asked(&self) {
        let _ = self.0.clone().wait_for(|asked| *asked).await;
    }
}

#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn new() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        // Where one cannot be listened to, its default stays: it ends the process.
        Signals(
            [SignalKind::interrupt(), SignalKind::terminate()]
                .into_iter()
                .filter_map(|kind| signal(kind).ok())
                .collect(),
        )
    }

    async fn next(&mut self) {
        let any = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(any).await;
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Signals {
        Signals
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
