//! One connection to the feed: it reads as fast as the feed sends, keeps the
//! subscriptions as the watchlist says, and notices when the feed goes quiet.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use model::time::{MINUTE, Millis, SECOND};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::error::Refusal;

use super::event::{self, Event};
use super::liveness::Liveness;
use super::session::{Ended, Session, Signal};
use super::subscriptions::{Subscriptions, wanted};
use super::verdict::{FeedStatus, verdict};

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
pub(super) async fn open(url: &str) -> Result<Socket, String> {
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
pub(super) struct Connection<'a> {
    session: &'a mut Session,
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

impl<'a> Connection<'a> {
    pub(super) fn new(session: &'a mut Session, socket: Socket) -> Connection<'a> {
        let now = session.clock.now();
        let liveness = Liveness::new(session.pulse, session.config.lag(), now);
        Connection {
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
    pub(super) async fn attend(mut self) -> Ended {
        match self.go_on().await {
            Err(ended) => {
                let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                ended
            }
            Ok(never) => match never {},
        }
    }

    async fn go_on(&mut self) -> Result<std::convert::Infallible, Ended> {
        let key = self.session.config.api_key.expose().to_owned();
        self.send(Message::text(json!({"action": "auth", "params": key}).to_string())).await?;
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
        if text.contains("\"AM\"") {
            self.liveness.data(now);
            self.brought = true;
            self.session.mute_patience.reset();
        }
        let verdicts = if text.contains("\"status\"") { verdicts(&text, now) } else { Vec::new() };
        // First, because a status beside bars may end the connection.
        self.session.frame(now, text).await?;
        for verdict in verdicts {
            self.obey(verdict).await?;
        }
        Ok(())
    }

    async fn obey(&mut self, verdict: FeedStatus) -> Result<(), Ended> {
        match verdict {
            FeedStatus::Authenticated if !self.authenticated => {
                self.authenticated = true;
                self.subscribe().await?;
            }
            FeedStatus::Subscribed(pair) => {
                self.brought = true;
                self.subscriptions.acknowledge(&pair);
            }
            FeedStatus::NotAuthorized => {
                if self.subscriptions.refused() == 0 {
                    tracing::warn!("The key's plan does not have some of the symbols that are watched.");
                }
                self.subscriptions.refuse();
                self.end_if_refused()?;
            }
            FeedStatus::TryAgain(reason) => return Err(Ended::Lost(reason)),
            FeedStatus::CoolDown(reason) => return Err(Ended::CoolDown(reason)),
            FeedStatus::Final(refusal) => return Err(Ended::Final(refusal)),
            FeedStatus::Unknown(said) => {
                // Said once a connection: a feed may say it without end.
                if !self.puzzled {
                    tracing::warn!(said, "The feed says something unknown.");
                }
                self.puzzled = true;
            }
            FeedStatus::Authenticated | FeedStatus::Unsubscribed(_) | FeedStatus::Nothing => {}
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
        for request in self.subscriptions.change_to(wanted, now) {
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
        if self.subscriptions.are_refused() { Err(Ended::Final(Refusal::Topic)) } else { Ok(()) }
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

/// What the statuses of a frame mean.
fn verdicts(frame: &str, now: Millis) -> Vec<FeedStatus> {
    let events = event::split(frame).unwrap_or_default();
    let statuses = events.into_iter().filter_map(|event| match event::read(event.get(), now) {
        Event::Status(status) => Some(verdict(&status)),
        _ => None,
    });
    statuses.collect()
}
