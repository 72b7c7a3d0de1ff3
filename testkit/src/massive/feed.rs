//! The WebSocket side, as the test holds it: what is sent, and what came in.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::connection::{self, Order};
use super::{MinuteBar, Script};

/// How long a test waits for something to happen before it fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The connection, counted from 1.
    pub connection: usize,
    /// `auth`, `subscribe` or `unsubscribe`.
    pub action: String,
    /// Its parameters.
    pub params: String,
}

/// A running feed; it ends when dropped.
pub struct Feed {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the connections share.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) script: Script,
    pub(super) actions: Vec<Action>,
    pub(super) opened: usize,
    pub(super) open: Vec<Open>,
    refusing: bool,
}

/// An open connection.
pub(super) struct Open {
    pub(super) number: usize,
    pub(super) orders: UnboundedSender<Order>,
    pub(super) pairs: BTreeSet<String>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Starts a feed on a free port.
    ///
    /// # Panics
    /// When this machine has no free port.
    pub async fn start(script: Script) -> Feed {
        Feed::start_at("127.0.0.1:0", script).await
    }

    /// The same at an address of one's own.
    ///
    /// # Panics
    /// When nothing can be listened at there.
    pub async fn start_at(address: &str, script: Script) -> Feed {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let shared = Arc::new(Shared::default());
        shared.state().script = script;
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Feed { address, shared, accepting }
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("ws://{}/stocks", self.address)
    }

    /// Changes the script for what comes next.
    pub fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.shared.state().script);
    }

    /// Whether new connections are dropped before the upgrade.
    pub fn refuse(&self, refusing: bool) {
        self.shared.state().refusing = refusing;
    }

    /// What clients have asked for so far.
    pub fn actions(&self) -> Vec<Action> {
        self.shared.state().actions.clone()
    }

    /// Connections opened so far, authenticated or not.
    pub fn opened(&self) -> usize {
        self.shared.state().opened
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.state().open.len()
    }

    /// The pairs that the last connection holds.
    pub fn pairs(&self) -> Vec<String> {
        self.shared.state().open.last().map(|open| open.pairs.iter().cloned().collect()).unwrap_or_default()
    }

    /// Sends bars in one frame to each connection, of those that it subscribed to.
    pub fn bars(&self, bars: &[MinuteBar]) {
        for open in &self.shared.state().open {
            let wanted = |bar: &&MinuteBar| {
                open.pairs.contains("AM.*") || open.pairs.contains(&format!("AM.{}", bar.symbol))
            };
            let events: Vec<Value> = bars.iter().filter(wanted).map(MinuteBar::event).collect();
            if !events.is_empty() {
                let _ = open.orders.send(Order::Text(Value::Array(events).to_string()));
            }
        }
    }

    /// Sends bars in one frame to each connection, whether it subscribed to them or not.
    pub fn flood(&self, bars: &[MinuteBar]) {
        let events: Vec<Value> = bars.iter().map(MinuteBar::event).collect();
        self.text(Value::Array(events).to_string());
    }

    /// Sends a frame as it is.
    pub fn text(&self, frame: impl Into<String>) {
        self.order(&Order::Text(frame.into()));
    }

    /// Sends a binary frame.
    pub fn binary(&self, frame: Vec<u8>) {
        self.order(&Order::Binary(frame));
    }

    /// Cuts a frame in the middle and the connection with it.
    pub fn half_frame(&self) {
        self.order(&Order::HalfFrame);
    }

    /// Drops connections without a close frame.
    pub fn drop_connections(&self) {
        self.order(&Order::Drop);
    }

    /// Closes connections properly.
    pub fn close(&self, code: u16) {
        self.order(&Order::Close(code));
    }

    /// Neither reads nor writes any more on the open connections, which count as open no longer.
    pub fn stall(&self) {
        self.order(&Order::Stall);
    }

    fn order(&self, order: &Order) {
        for open in &self.shared.state().open {
            let _ = open.orders.send(order.clone());
        }
    }

    /// Waits until `holds`.
    ///
    /// # Panics
    /// When it does not hold in time, with `what` was waited for.
    pub async fn until(&self, what: &str, holds: impl Fn(&Feed) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}; actions {:?}", self.actions());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the last connection holds exactly these pairs.
    pub async fn until_pairs(&self, pairs: &[&str]) {
        self.until(&format!("subscribed to {pairs:?}"), |feed| feed.pairs() == pairs).await;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.accepting.abort();
        self.drop_connections();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (orders, inbox) = unbounded_channel();
        let number = {
            let mut state = shared.state();
            if state.refusing {
                continue;
            }
            state.opened += 1;
            let number = state.opened;
            state.open.push(Open { number, orders, pairs: BTreeSet::new() });
            number
        };
        tokio::spawn(connection::serve(number, stream, inbox, shared.clone()));
    }
}
