//! How services are asked to end: after what is there, or at once.

use tokio::sync::watch;

/// What a service is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Go on.
    Run,
    /// Finish what the log already holds, then end.
    Drain,
    /// Leave things in order and end now.
    Stop,
}

/// The asking side.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(watch::Sender<Shutdown>);

/// The side that a service holds.
#[derive(Clone, Debug)]
pub struct ShutdownToken(watch::Receiver<Shutdown>);

/// A stopper with its receiving side.
pub fn channel() -> (ShutdownHandle, ShutdownToken) {
    let (sender, receiver) = watch::channel(Shutdown::Run);
    (ShutdownHandle(sender), ShutdownToken(receiver))
}

impl ShutdownHandle {
    /// Asks for `wish`; a stronger wish is never taken back by a weaker one.
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
    /// What is wished now; a dropped stopper means stop.
    pub fn wish(&self) -> Shutdown {
        if self.0.has_changed().is_err() { Shutdown::Stop } else { *self.0.borrow() }
    }

    /// Whether to end now.
    pub fn stopped(&self) -> bool {
        self.wish() == Shutdown::Stop
    }

    /// Whether to end once nothing is left to read.
    pub fn draining(&self) -> bool {
        self.wish() >= Shutdown::Drain
    }

    /// Waits until at least `wish` is wished.
    pub async fn at_least(&self, wish: Shutdown) {
        let mut receiver = self.0.clone();
        let _ = receiver.wait_for(|held| *held >= wish).await;
    }
}
