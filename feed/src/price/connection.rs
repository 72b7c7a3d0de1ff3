//! The connections to a feed: one reads as fast as the feed sends, keeps the subscriptions
//! as the watchlist says, and notices when the feed goes quiet; the session connects again,
//! and says when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use control::watchlist::Watchlist;
use futures::{SinkExt, StreamExt};
use model::time::{MINUTE, Millis, SECOND};
use net::{RetryPolicy, Waits};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::liveness::{Liveness, MutePatience, Pulse};
use super::subscriptions::{Subscriptions, wanted};
use super::{FeedMessage, FeedSession, PriceFeed, Refusal};
use crate::clock::{SharedClock, millis};

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
    /// These symbols have not been acknowledged.
    Unacknowledged(Vec<String>),
}

/// How a connection ended.
#[derive(Debug)]
enum Ended {
    /// Worth another try.
    Lost(String),
    /// Worth another try after a while.
    CoolDown(String),
    /// The handler does not take the signals as fast as they come.
    Overrun,
    /// Worth another try only after a long while, or once what is asked for is another.
    Final(Refusal),
    /// The handler that takes the signals has ended.
    NoHandler,
}

/// A feed across its connections.
pub(super) struct Session<F> {
    feed: Arc<F>,
    clock: SharedClock,
    watchlist: watch::Receiver<Watchlist>,
    /// Whether the watchlist can still change.
    list_lives: bool,
    waits: Waits,
    mute_patience: MutePatience,
    pulse: Pulse,
    out: mpsc::Sender<Signal>,
    room: Arc<Semaphore>,
}

impl<F: PriceFeed> Session<F> {
    pub(super) fn new(
        feed: Arc<F>,
        clock: SharedClock,
        watchlist: watch::Receiver<Watchlist>,
        pulse: Pulse,
        out: mpsc::Sender<Signal>,
    ) -> Session<F> {
        Session {
            feed,
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

    /// Connects, and reconnects, until the handler has ended.
    pub(super) async fn run(mut self) {
        loop {
            let ended = match open(&self.feed.settings().websocket_url).await {
                Ok(socket) => Connection::new(&mut self, socket).attend().await,
                Err(reason) => Ended::Lost(reason),
            };
            // Another list may hold what the plan has.
            let for_the_list =
                matches!(&ended, Ended::Final(refusal) if refusal.is_for_the_list) && self.list_lives;
            let (wait, reason) = match ended {
                Ended::Lost(reason) => (millis(self.waits.endless()), reason),
                Ended::CoolDown(reason) => (COOL_DOWN, reason),
                Ended::Overrun => (0, "the log does not keep up with the feed".into()),
                Ended::Final(refusal) => {
                    let minutes = REFUSED / MINUTE;
                    (REFUSED, format!("{}. It is tried again in {minutes} minutes", refusal.reason))
                }
                Ended::NoHandler => return,
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
    async fn frame(&mut self, received: Millis, text: Utf8Bytes) -> Result<(), Ended> {
        let size = (text.len() >> 10).clamp(1, ROOM) as u32;
        let clock = self.clock.clone();
        let room = tokio::select! {
            room = self.room.clone().acquire_many_owned(size) => room.map_err(|_| Ended::NoHandler)?,
            () = clock.sleep_until(received + OVERRUN) => return Err(Ended::Overrun),
        };
        self.say(Signal::Frame { received, text, _room: room }).await
    }

    /// Passes a signal on.
    async fn say(&mut self, signal: Signal) -> Result<(), Ended> {
        let signal = match self.out.try_send(signal) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Ended::NoHandler),
            Err(mpsc::error::TrySendError::Full(signal)) => signal,
        };
        let deadline = self.clock.now() + OVERRUN;
        tokio::select! {
            sent = self.out.send(signal) => sent.map_err(|_| Ended::NoHandler),
            () = self.clock.sleep_until(deadline) => Err(Ended::Overrun),
        }
    }

    fn delay(&self) -> Millis {
        self.feed.settings().delay()
    }
}

/// How long opening, and sending a request, may take.
const IO: Duration = Duration::from_secs(15);
/// The longest message that is read.
const LONGEST: usize = 16 << 20;
/// How long the feed may take to accept the key.
const AUTH: Millis = 15 * SECOND;
/// How long after the first request the acknowledgements may hold up the filling of holes.
const SETTLE: Millis = 10 * SECOND;
/// A connection that has been open so long and brought something is a good one.
const USEFUL: Millis = 10 * SECOND;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a connection.
async fn open(url: &str) -> Result<Socket, String> {
    let config = WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
    let connector = Connector::Rustls(net::tls());
    let opening = connect_async_tls_with_config(url, Some(config), true, Some(connector));
    match timeout(IO, opening).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(format!("the feed cannot be reached: {error}")),
        Err(_) => Err("the feed does not answer".into()),
    }
}

/// A connection in use.
struct Connection<'a, F: PriceFeed> {
    session: &'a mut Session<F>,
    feed: F::Session,
    socket: Socket,
    subscriptions: Subscriptions,
    opened: Millis,
    authenticated: bool,
    /// The first requests have been sent at …
    asked: Option<Millis>,
    /// … and what comes from now on is the whole feed.
    up: bool,
    liveness: Liveness,
    brought: bool,
    /// Whether it has said something unknown.
    puzzled: bool,
}

impl<'a, F: PriceFeed> Connection<'a, F> {
    fn new(session: &'a mut Session<F>, socket: Socket) -> Connection<'a, F> {
        let now = session.clock.now();
        let lag = session.feed.settings().lag();
        let liveness = Liveness::new(session.pulse, F::DESCRIPTION.class, lag, now);
        Connection {
            feed: session.feed.session(),
            session,
            socket,
            subscriptions: Subscriptions::default(),
            opened: now,
            authenticated: false,
            asked: None,
            up: false,
            liveness,
            brought: false,
            puzzled: false,
        }
    }

    /// Attends to the connection until it ends.
    async fn attend(mut self) -> Ended {
        match self.go_on().await {
            Err(ended) => {
                let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                ended
            }
            Ok(never) => match never {},
        }
    }

    async fn go_on(&mut self) -> Result<std::convert::Infallible, Ended> {
        match self.feed.hello() {
            Some(hello) => self.send(Message::text(hello)).await?,
            None => self.accepted().await?,
        }
        let clock = self.session.clock.clone();
        loop {
            let (wake, pulse) = (self.wake(), self.liveness.pulse());
            tokio::select! {
                message = self.socket.next() => self.take(message).await?,
                changed = self.session.watchlist.changed(), if self.authenticated && self.session.list_lives => {
                    self.session.list_lives = changed.is_ok();
                    self.subscribe().await?;
                }
                () = clock.sleep_until(wake) => {}
                () = sleep_until(pulse) => {}
            }
            self.look_around(clock.now()).await?;
        }
    }

    async fn take(&mut self, message: Option<Result<Message, Error>>) -> Result<(), Ended> {
        let now = self.session.clock.now();
        if let Some(Ok(message)) = &message
            && let Some(at) = self.liveness.on_event(message, now)
        {
            self.session.say(Signal::Alive { at }).await?;
        }
        match message {
            Some(Ok(Message::Text(text))) => self.take_text(text, now).await,
            Some(Ok(Message::Binary(bytes))) => {
                self.session.say(Signal::Binary { received: now, bytes }).await
            }
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map_or("without a reason".into(), |frame| {
                    format!("with code {} {}", u16::from(frame.code), frame.reason)
                });
                Err(Ended::Lost(format!("the feed closed the connection {}", why.trim_end())))
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(Ended::Lost(format!("the connection broke: {error}"))),
            None => Err(Ended::Lost("the feed dropped the connection".into())),
        }
    }

    /// Bars are read elsewhere; here only what concerns the connection.
    async fn take_text(&mut self, text: Utf8Bytes, now: Millis) -> Result<(), Ended> {
        let glance = self.feed.glance(&text);
        if glance.has_data {
            self.liveness.data(now);
            self.brought = true;
            self.session.mute_patience.reset();
        }
        // First, because a message beside bars may end the connection.
        self.session.frame(now, text).await?;
        for message in glance.messages {
            self.apply(message).await?;
        }
        Ok(())
    }

    /// The feed takes requests from now on.
    async fn accepted(&mut self) -> Result<(), Ended> {
        if self.authenticated {
            return Ok(());
        }
        self.authenticated = true;
        self.subscribe().await
    }

    async fn apply(&mut self, message: FeedMessage) -> Result<(), Ended> {
        match message {
            FeedMessage::Accepted => self.accepted().await?,
            FeedMessage::Subscribed(symbol) => {
                self.brought = true;
                self.subscriptions.acknowledge(&symbol);
            }
            FeedMessage::NotInPlan => {
                if self.subscriptions.refused() == 0 {
                    tracing::warn!("The key's plan does not have some of the symbols that are watched.");
                }
                self.subscriptions.refuse();
                self.end_if_refused()?;
            }
            FeedMessage::TryAgain(reason) => return Err(Ended::Lost(reason)),
            FeedMessage::CoolDown(reason) => return Err(Ended::CoolDown(reason)),
            FeedMessage::Final(refusal) => return Err(Ended::Final(refusal)),
            FeedMessage::Unknown(said) => {
                // Said once a connection: a feed may say it without end.
                if !self.puzzled {
                    tracing::warn!(said, "The feed says something unknown.");
                }
                self.puzzled = true;
            }
        }
        Ok(())
    }

    /// Asks for what the watchlist has come to hold, and no more for what it holds no longer.
    async fn subscribe(&mut self) -> Result<(), Ended> {
        let now = self.session.clock.now();
        let wanted: BTreeSet<String> = wanted(&self.session.watchlist.borrow_and_update());
        if self.subscriptions.is_empty() {
            self.liveness.data(now);
        }
        self.asked.get_or_insert(now);
        let (new, old) = self.subscriptions.change_to(wanted, now);
        // First what is new, so that nothing is missed when a wildcard comes or goes.
        let mut requests = if new.is_empty() { Vec::new() } else { self.feed.subscribe(&new) };
        if !old.is_empty() {
            requests.extend(self.feed.unsubscribe(&old));
        }
        for request in requests {
            self.send(Message::text(request)).await?;
        }
        Ok(())
    }

    /// Does what has become due.
    async fn look_around(&mut self, now: Millis) -> Result<(), Ended> {
        if !self.authenticated && now >= self.opened + AUTH {
            return Err(Ended::Lost("the feed neither accepts nor refuses the key".into()));
        }
        if self.liveness.is_silent() {
            return Err(Ended::Lost("the feed gives no sign of life, not even to pings".into()));
        }
        let mute = self.liveness.mute_for(now, self.session.delay(), &self.session.mute_patience);
        if let Some(minutes) = mute.filter(|_| !self.subscriptions.is_empty()) {
            self.session.mute_patience.grow();
            return Err(Ended::Lost(format!(
                "no bar of any symbol for {minutes} minutes while the market is open"
            )));
        }
        if let Some(ping) = self.liveness.ping(now) {
            self.send(ping).await?;
        }
        if self.brought && now >= self.opened + USEFUL {
            self.session.waits.reset();
        }
        let settled =
            self.asked.is_some_and(|asked| self.subscriptions.is_settled() || now >= asked + SETTLE);
        if settled && !self.up {
            self.up = true;
            self.session.say(Signal::Up { at: now }).await?;
        }
        let overdue = self.subscriptions.overdue(now);
        if !overdue.is_empty() {
            self.session.say(Signal::Unacknowledged(overdue)).await?;
            self.end_if_refused()?;
        }
        Ok(())
    }

    /// Without anything that the plan has, there is nothing to wait for.
    fn end_if_refused(&self) -> Result<(), Ended> {
        if !self.subscriptions.are_refused() {
            return Ok(());
        }
        let reason = F::DESCRIPTION.nothing_in_plan.to_owned();
        Err(Ended::Final(Refusal { reason, is_for_the_list: true }))
    }

    /// When to look around next, if nothing happens before.
    fn wake(&self) -> Millis {
        let mut times = self.liveness.wake(&self.session.mute_patience).to_vec();
        if !self.authenticated {
            times.push(self.opened + AUTH);
        }
        if let (Some(asked), false) = (self.asked, self.up) {
            times.push(asked + SETTLE);
        }
        times.extend(self.subscriptions.deadline());
        let now = self.session.clock.now();
        times.into_iter().filter(|at| *at > now).min().unwrap_or(now + MINUTE)
    }

    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(IO, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Ended::Lost(format!("the connection broke: {error}"))),
            Err(_) => Err(Ended::Lost("the feed takes no requests".into())),
        }
    }
}
