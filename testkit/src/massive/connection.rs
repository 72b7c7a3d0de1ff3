//! Serves one connection of the feed by its script.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::feed::{Action, Shared};

/// The topics for stocks; a subscription to any other is ignored without an answer.
const TOPICS: [&str; 8] = ["AM", "A", "T", "Q", "LULD", "NOI", "FMV", "LV"];

/// A command of the test to a connection.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Text(String),
    Binary(Vec<u8>),
    HalfFrame,
    Drop,
    Close(u16),
    Stall,
    /// The limit of connections is exceeded.
    Evict,
}

#[derive(Deserialize)]
struct Request {
    action: String,
    #[serde(default)]
    params: String,
}

type Socket = WebSocketStream<TcpStream>;

/// Whether the connection stays open.
#[derive(PartialEq)]
enum Goes {
    On,
    Away,
}

pub(super) async fn serve(
    number: usize,
    stream: TcpStream,
    mut orders: UnboundedReceiver<Order>,
    shared: Arc<Shared>,
) {
    if let Ok(mut socket) = accept_async(stream).await {
        let _ = send(&mut socket, &status("connected", "Connected Successfully")).await;
        loop {
            let goes = tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => answer(number, &text, &mut socket, &shared).await,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Goes::Away,
                    Some(Ok(_)) => Goes::On,
                },
                order = orders.recv() => match order {
                    Some(Order::Stall) => {
                        shared.state().open.retain(|open| open.number != number);
                        std::future::pending().await
                    }
                    Some(order) => obey(order, &mut socket).await,
                    None => Goes::Away,
                },
            };
            if goes == Goes::Away {
                break;
            }
        }
    }
    shared.state().open.retain(|open| open.number != number);
}

async fn obey(order: Order, socket: &mut Socket) -> Goes {
    match order {
        Order::Text(text) => return went(socket.send(Message::text(text)).await.is_ok()),
        Order::Binary(bytes) => return went(socket.send(Message::binary(bytes)).await.is_ok()),
        Order::HalfFrame => {
            // A text frame that announces 64 bytes and contains 20.
            let _ = socket.get_mut().write_all(b"\x81\x40[{\"ev\":\"AM\",\"sym\":").await;
            let _ = socket.get_mut().flush().await;
        }
        Order::Close(code) => {
            let _ = socket.close(Some(CloseFrame { code: code.into(), reason: "".into() })).await;
        }
        Order::Evict => {
            let text =
                "Maximum number of websocket connections exceeded. You have reached the connection limit";
            let _ = send(socket, &status("max_connections", text)).await;
            let _ = socket.close(Some(CloseFrame { code: 1008.into(), reason: "".into() })).await;
        }
        Order::Stall | Order::Drop => {}
    }
    Goes::Away
}

async fn answer(number: usize, text: &str, socket: &mut Socket, shared: &Shared) -> Goes {
    let Ok(Request { action, params }) = serde_json::from_str(text) else { return Goes::On };
    shared.state().actions.push(Action {
        connection: number,
        action: action.clone(),
        params: params.clone(),
    });
    match action.as_str() {
        "auth" => authenticate(&params, socket, shared).await,
        "subscribe" => {
            let (frames, evicted) = subscribe(number, &params, shared);
            for frame in frames {
                if send(socket, &frame).await == Goes::Away {
                    return Goes::Away;
                }
            }
            if evicted { obey(Order::Evict, socket).await } else { Goes::On }
        }
        "unsubscribe" => {
            for frame in unsubscribe(number, &params, shared) {
                let _ = send(socket, &frame).await;
            }
            Goes::On
        }
        _ => Goes::On,
    }
}

async fn authenticate(key: &str, socket: &mut Socket, shared: &Shared) -> Goes {
    let auth = shared.state().script.auth.clone();
    let refusal = match auth {
        Auth::Key(right) if right == key => {
            return send(socket, &status("auth_success", "authenticated")).await;
        }
        Auth::Key(_) => status("auth_failed", "authentication failed"),
        Auth::Failed(text) => status("auth_failed", &text),
        Auth::TimedOut => status("auth_timeout", "No authentication request received."),
        Auth::Drops => return Goes::Away,
    };
    let _ = send(socket, &refusal).await;
    Goes::Away
}

/// The frames of the answer, and whether the connection must be closed.
fn subscribe(number: usize, params: &str, shared: &Shared) -> (Vec<Value>, bool) {
    let mut state = shared.state();
    let script = state.script.clone();
    let mut answers = Vec::new();
    for pair in params.split(',').map(str::trim) {
        let Some((topic, ticker)) = pair.split_once('.').filter(|(topic, _)| TOPICS.contains(topic)) else {
            continue;
        };
        if !script.plan.iter().any(|planned| planned == topic) {
            answers.push(json!({"ev": "status", "status": "error", "message": "not authorized"}));
            continue;
        }
        let held = state.open.iter_mut().find(|open| open.number == number);
        // A repeated subscription is not answered.
        if !held.is_some_and(|open| open.pairs.insert(pair.to_owned())) {
            continue;
        }
        if !matches!(&script.acks, Acks::NotFor(silent) if silent.iter().any(|known| known == ticker)) {
            let message = format!("subscribed to: {pair}");
            answers.push(json!({"ev": "status", "status": "success", "message": message}));
        }
    }
    let frames = match script.acks {
        Acks::Packed if !answers.is_empty() => vec![Value::Array(answers)],
        _ => answers.into_iter().map(|answer| json!([answer])).collect(),
    };
    let too_many = state.open.len() > script.connections;
    if too_many && script.evicts == Evicts::Older {
        let _ = state.open[0].orders.send(Order::Evict);
    }
    (frames, too_many && script.evicts == Evicts::Newcomer)
}

fn unsubscribe(number: usize, params: &str, shared: &Shared) -> Vec<Value> {
    let mut state = shared.state();
    let Some(open) = state.open.iter_mut().find(|open| open.number == number) else { return Vec::new() };
    let mut frames = Vec::new();
    for pair in params.split(',').map(str::trim).filter(|pair| open.pairs.remove(*pair)) {
        frames.push(status("success", &format!("unsubscribed to: {pair}")));
    }
    frames
}

fn status(status: &str, message: &str) -> Value {
    json!([{"ev": "status", "status": status, "message": message}])
}

async fn send(socket: &mut Socket, frame: &Value) -> Goes {
    went(socket.send(Message::text(frame.to_string())).await.is_ok())
}

fn went(sent: bool) -> Goes {
    if sent { Goes::On } else { Goes::Away }
}

// The script: how the feed behaves.

/// The default key. All keys in tests have the same suffix, so that output can be searched for
/// them.
pub const KEY: &str = "massive-key-4711";

/// The behaviour of the feed; can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Script {
    /// The answer to an authentication.
    pub auth: Auth,
    /// How subscriptions are acknowledged.
    pub acks: Acks,
    /// Topics included in the plan; a subscription to another known topic is `not authorized`.
    pub plan: Vec<String>,
    /// The maximum number of connections.
    pub connections: usize,
    /// Which connection is closed beyond the maximum.
    pub evicts: Evicts,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            auth: Auth::Key(KEY.into()),
            acks: Acks::OneAFrame,
            plan: vec!["AM".into(), "A".into()],
            connections: usize::MAX,
            evicts: Evicts::Older,
        }
    }
}

/// The answer to an authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `auth_success` for this key; for others `auth_failed` and a close without a close frame.
    Key(String),
    /// `auth_failed` with this text.
    Failed(String),
    /// `auth_timeout`, as if no authentication had been sent.
    TimedOut,
    /// The connection is closed at once.
    Drops,
}

/// How subscriptions are acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acks {
    /// One acknowledgement in each frame.
    OneAFrame,
    /// All acknowledgements of a request in one frame.
    Packed,
    /// None for these tickers; for others as [`Acks::OneAFrame`].
    NotFor(Vec<String>),
}

/// Which connection is closed when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicts {
    /// The earlier one.
    Older,
    /// The latest one, after its subscription has been acknowledged.
    Newcomer,
}
