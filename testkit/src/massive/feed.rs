//! The WebSocket feed as a test controls it: sends bars and frames, records requests.

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

/// How long a test waits for a condition before it fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The number of the connection, from 1.
    pub connection: usize,
    /// `auth`, `subscribe` or `unsubscribe`.
    pub action: String,
    /// Its parameters.
    pub params: String,
}

/// A running feed, stopped on drop.
pub struct Feed {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// The state shared by the connections.
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
    /// When no port can be bound.
    pub async fn start(script: Script) -> Feed {
        Feed::start_at("127.0.0.1:0", script).await
    }

    /// As [`Feed::start`], at a given address.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start_at(address: &str, script: Script) -> Feed {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let shared = Arc::new(Shared::default());
        shared.state().script = script;
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Feed { address, shared, accepting }
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("ws://{}/stocks", self.address)
    }

    /// Changes the script.
    pub fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.shared.state().script);
    }

    /// Sets whether new connections are closed before the upgrade.
    pub fn refuse(&self, refusing: bool) {
        self.shared.state().refusing = refusing;
    }

    /// All requests so far.
    pub fn actions(&self) -> Vec<Action> {
        self.shared.state().actions.clone()
    }

    /// How many connections have been opened, authenticated or not.
    pub fn opened(&self) -> usize {
        self.shared.state().opened
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.state().open.len()
    }

    /// The subscriptions of the last connection.
    pub fn pairs(&self) -> Vec<String> {
        self.shared.state().open.last().map(|open| open.pairs.iter().cloned().collect()).unwrap_or_default()
    }

    /// Sends bars to each connection, in one frame with those that it subscribed to.
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

    /// Sends bars to each connection in one frame, regardless of subscriptions.
    pub fn flood(&self, bars: &[MinuteBar]) {
        let events: Vec<Value> = bars.iter().map(MinuteBar::event).collect();
        self.text(Value::Array(events).to_string());
    }

    /// Sends a text frame.
    pub fn text(&self, frame: impl Into<String>) {
        self.order(&Order::Text(frame.into()));
    }

    /// Sends a binary frame.
    pub fn binary(&self, frame: Vec<u8>) {
        self.order(&Order::Binary(frame));
    }

    /// Sends part of a frame and closes the connection.
    pub fn half_frame(&self) {
        self.order(&Order::HalfFrame);
    }

    /// Closes connections without a close frame.
    pub fn drop_connections(&self) {
        self.order(&Order::Drop);
    }

    /// Closes connections with a close frame.
    pub fn close(&self, code: u16) {
        self.order(&Order::Close(code));
    }

    /// Stops reading and writing on the open connections, which no longer count as open.
    pub fn stall(&self) {
        self.order(&Order::Stall);
    }

    fn order(&self, order: &Order) {
        for open in &self.shared.state().open {
            let _ = open.orders.send(order.clone());
        }
    }

    /// Waits until `holds` returns true.
    ///
    /// # Panics
    /// After a timeout; the message contains `what`.
    pub async fn until(&self, what: &str, holds: impl Fn(&Feed) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}; actions {:?}", self.actions());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the last connection has exactly these subscriptions.
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
