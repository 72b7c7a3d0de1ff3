//! Bars of a market without an end: prices that go up and down by cents.

use model::time::{MINUTE, Millis};
use model::{Bar, Source, heartbeat};

/// When the first of them begin: 2024-01-02 at 14:30 in UTC.
pub const FIRST: Millis = 1_704_205_800_000;

/// The bar of a symbol in a minute, both counted from 0.
pub fn bar(symbol: usize, minute: usize) -> Bar {
    let start = FIRST + minute as Millis * MINUTE;
    let price = |at: usize| (10_000 + (symbol * 31 + at * at * 7) % 41) as f64 / 100.0;
    let (open, close) = (price(minute), price(minute + 1));
    Bar {
        symbol: format!("S{symbol:05}"),
        open,
        high: open.max(close) + 0.02,
        low: open.min(close) - 0.03,
        close,
        volume: (100 + minute % 977) as f64,
        start_timestamp: start,
        end_timestamp: start + MINUTE,
        source: Source::Simulation,
        received_timestamp: start + MINUTE,
        complete_until: start,
        ..heartbeat::bar(0, start)
    }
}
