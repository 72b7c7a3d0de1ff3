//! The feed across its connections: when to connect again, and when never.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use control::watchlist::Watchlist;
use model::time::{MINUTE, Millis, SECOND};
use net::{RetryPolicy, Waits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Refusal;
use feed::{SharedClock, millis};

use super::PolygonConfig;
use super::connection::{self, Connection};
use super::liveness::{MutePatience, Pulse};

/// Waits between connections.
const RECONNECTS: RetryPolicy = RetryPolicy::new(Duration::from_secs(1), Duration::from_secs(60));
/// How long to stay away where another connection uses the key.
const COOL_DOWN: Millis = 60 * SECOND;
/// How long to stay away from a feed that refuses the key, its plan or what is watched:
/// so rarely that no server takes it for an attack.
const REFUSED: Millis = 15 * MINUTE;
/// Signals that wait to be read …
pub(super) const QUEUE: usize = 4_096;
/// … and what their frames may hold together, in KiB.
const ROOM: usize = 64 << 10;
/// How long the queue may stay full before the feed is closed.
const OVERRUN: Millis = 5 * SECOND;

/// What the feed tells the handler.
#[derive(Debug)]
pub(super) enum Signal {
    /// A frame, with the room that it takes in the queue.
    Frame { received: Millis, text: Utf8Bytes, _room: OwnedSemaphorePermit },
    /// A frame that the feed never sends.
    Binary { received: Millis, bytes: Bytes },
    /// Everything that the feed sent before `at` has been passed on.
    Alive { at: Millis },
    /// From now on, everything that is subscribed to comes.
    Up { at: Millis },
    /// From now on, nothing comes.
    Down { at: Millis, reason: String },
    /// These pairs have not been acknowledged.
    Unacknowledged(Vec<String>),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Worth another try.
    Lost(String),
    /// Worth another try after a while.
    CoolDown(String),
    /// What was received cannot be got rid of.
    Overrun,
    /// Worth another try only after a long while, or once what is asked for is another.
    Final(Refusal),
    /// Nobody listens any more.
    Unheard,
}

pub(super) struct Session {
    pub(super) config: Arc<PolygonConfig>,
    pub(super) clock: SharedClock,
    pub(super) watchlist: watch::Receiver<Watchlist>,
    /// Whether the watchlist can still change.
    pub(super) list_lives: bool,
    pub(super) waits: Waits,
    pub(super) mute_patience: MutePatience,
    pub(super) pulse: Pulse,
    out: mpsc::Sender<Signal>,
    room: Arc<Semaphore>,
}

impl Session {
    pub(super) fn new(
        config: Arc<PolygonConfig>,
        clock: SharedClock,
        watchlist: watch::Receiver<Watchlist>,
        pulse: Pulse,
        out: mpsc::Sender<Signal>,
    ) -> Session {
        Session {
            config,
            clock,
            watchlist,
            list_lives: true,
            waits: RECONNECTS.waits(),
            mute_patience: MutePatience::new(),
            pulse,
            out,
            room: Arc::new(Semaphore::new(ROOM)),
        }
    }

    /// Connects, and connects again, until nobody listens.
    pub(super) async fn run(mut self) {
        loop {
            let ended = match connection::open(&self.config.websocket_url).await {
                Ok(socket) => Connection::new(&mut self, socket).attend().await,
                Err(reason) => Ended::Lost(reason),
            };
            // Another list may hold what the plan has.
            let for_the_list = matches!(ended, Ended::Final(Refusal::Topic)) && self.list_lives;
            let (wait, reason) = match ended {
                Ended::Lost(reason) => (millis(self.waits.endless()), reason),
                Ended::CoolDown(reason) => (COOL_DOWN, reason),
                Ended::Overrun => (0, "the log does not keep up with the feed".into()),
                Ended::Final(refusal) => {
                    let minutes = REFUSED / MINUTE;
                    (REFUSED, format!("{refusal}. It is tried again in {minutes} minutes"))
                }
                Ended::Unheard => return,
            };
            let at = self.clock.now();
            if self.out.send(Signal::Down { at, reason }).await.is_err() {
                return;
            }
            // After an overrun, everything that is queued is written first.
            drop(self.room.clone().acquire_many_owned(ROOM as u32).await);
            tokio::select! {
                () = self.clock.sleep_until(at + wait) => {}
                changed = self.watchlist.changed(), if for_the_list => self.list_lives = changed.is_ok(),
                () = self.out.closed() => return,
            }
        }
    }

    /// Passes a frame on.
    pub(super) async fn frame(&mut self, received: Millis, text: Utf8Bytes) -> Result<(), Ended> {
        let size = (text.len() >> 10).clamp(1, ROOM) as u32;
        let clock = self.clock.clone();
        let room = tokio::select! {
            room = self.room.clone().acquire_many_owned(size) => room.map_err(|_| Ended::Unheard)?,
            () = clock.sleep_until(received + OVERRUN) => return Err(Ended::Overrun),
        };
        self.say(Signal::Frame { received, text, _room: room }).await
    }

    /// Passes a signal on.
    pub(super) async fn say(&mut self, signal: Signal) -> Result<(), Ended> {
        let signal = match self.out.try_send(signal) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Ended::Unheard),
            Err(mpsc::error::TrySendError::Full(signal)) => signal,
        };
        let deadline = self.clock.now() + OVERRUN;
        tokio::select! {
            sent = self.out.send(signal) => sent.map_err(|_| Ended::Unheard),
            () = self.clock.sleep_until(deadline) => Err(Ended::Overrun),
        }
    }

    pub(super) fn delay(&self) -> Millis {
        millis(self.config.feed_delay)
    }
}
