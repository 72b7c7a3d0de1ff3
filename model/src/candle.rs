//! Bars by their figures alone, many at once: what measures over much history are made of.

use std::collections::HashMap;

use crate::bar::Bar;
use crate::time::Millis;

/// The figures of one minute bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// The bar's start: its event time.
    pub start_timestamp: Millis,
    /// When it was first seen; orders the versions of a bar.
    pub received_timestamp: Millis,
    /// First price of the minute.
    pub open: f64,
    /// Highest price of the minute.
    pub high: f64,
    /// Lowest price of the minute.
    pub low: f64,
    /// Last price of the minute.
    pub close: f64,
    /// Shares traded in the minute.
    pub volume: f64,
}

impl From<&Bar> for Candle {
    fn from(bar: &Bar) -> Candle {
        Candle {
            start_timestamp: bar.start_timestamp,
            received_timestamp: bar.received_timestamp,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
        }
    }
}

/// Candles of many symbols, in the order of their file.
#[derive(Clone, Debug, Default)]
pub struct Candles {
    symbols: Vec<String>,
    places: HashMap<String, u32>,
    rows: Vec<(u32, Candle)>,
}

impl Candles {
    /// The place of a symbol among [`Candles::symbols`]; it is given one if it has none.
    pub fn place_of(&mut self, symbol: &str) -> u32 {
        if let Some(&place) = self.places.get(symbol) {
            return place;
        }
        let place = self.symbols.len() as u32;
        self.symbols.push(symbol.to_owned());
        self.places.insert(symbol.to_owned(), place);
        place
    }

    /// Adds a candle of the symbol that has `place`.
    pub fn push(&mut self, place: u32, candle: Candle) {
        self.rows.push((place, candle));
    }

    /// Keeps those of which `keep` says so, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&Candle) -> bool) {
        self.rows.retain(|(_, candle)| keep(candle));
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        self.rows.reserve(more);
    }

    /// Each symbol once.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// Every candle, with the place of its symbol.
    pub fn rows(&self) -> &[(u32, Candle)] {
        &self.rows
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
