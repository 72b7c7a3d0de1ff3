//! How services are asked to end: after the records that the log holds, or at once.

use tokio::sync::watch;

/// The requested state of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Keep running.
    Run,
    /// Process the records that the log already holds, then end.
    Drain,
    /// Finish the current work and end.
    Stop,
}

/// The sending side: requests that services end.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(watch::Sender<Shutdown>);

/// The receiving side, held by each service.
#[derive(Clone, Debug)]
pub struct ShutdownToken(watch::Receiver<Shutdown>);

/// A pair of connected sides, in the state [`Shutdown::Run`].
pub fn channel() -> (ShutdownHandle, ShutdownToken) {
    let (sender, receiver) = watch::channel(Shutdown::Run);
    (ShutdownHandle(sender), ShutdownToken(receiver))
}

impl ShutdownHandle {
    /// Requests `wish`. A weaker request does not replace a stronger one.
    pub fn ask(&self, wish: Shutdown) {
        self.0.send_if_modified(|held| {
            let stronger = wish > *held;
            if stronger {
                *held = wish;
            }
            stronger
        });
    }
}

impl ShutdownToken {
    /// The current request; [`Shutdown::Stop`] if the handle was dropped.
    pub fn wish(&self) -> Shutdown {
        if self.0.has_changed().is_err() { Shutdown::Stop } else { *self.0.borrow() }
    }

    /// Whether to end now.
    pub fn stopped(&self) -> bool {
        self.wish() == Shutdown::Stop
    }

    /// Whether to end once no record is left to read.
    pub fn draining(&self) -> bool {
        self.wish() >= Shutdown::Drain
    }

    /// Waits until `wish` or a stronger one is requested.
    pub async fn at_least(&self, wish: Shutdown) {
        let mut receiver = self.0.clone();
        let _ = receiver.wait_for(|held| *held >= wish).await;
    }
}
