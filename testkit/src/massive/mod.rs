//! A stand-in for Massive (formerly Polygon): the WebSocket feed of minute bars, and the REST
//! history.

mod connection;
mod feed;
mod rest;

pub use connection::{Acks, Auth, Evicts, KEY, Script};
pub use feed::{Action, Feed};
pub use rest::{Answer, Call, History};

/// A minute bar as in the feed and the history.
#[derive(Clone, Debug, PartialEq)]
pub struct MinuteBar {
    /// The ticker.
    pub symbol: String,
    /// The start, epoch milliseconds.
    pub start: i64,
    /// Open, high, low and close.
    pub prices: [f64; 4],
    /// The volume.
    pub volume: f64,
}

impl MinuteBar {
    /// A bar with prices around `price`.
    pub fn new(symbol: &str, start: i64, price: f64, volume: f64) -> MinuteBar {
        let prices = [price, price + 0.5, price - 0.5, price + 0.25];
        MinuteBar { symbol: symbol.to_owned(), start, prices, volume }
    }

    /// The event of the feed, with all its fields.
    pub fn event(&self) -> serde_json::Value {
        let [open, high, low, close] = self.prices;
        serde_json::json!({
            "ev": "AM", "sym": self.symbol, "v": self.volume, "av": self.volume, "op": open, "vw": close,
            "o": open, "c": close, "h": high, "l": low, "a": close, "z": 12.0,
            "s": self.start, "e": self.start + 60_000, "dv": format!("{:.1}", self.volume),
        })
    }

    /// The result of the history.
    fn result(&self) -> serde_json::Value {
        let [open, high, low, close] = self.prices;
        serde_json::json!({
            "o": open, "h": high, "l": low, "c": close, "v": self.volume, "vw": close, "t": self.start, "n": 3,
        })
    }
}
