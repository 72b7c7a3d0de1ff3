//! Tests of the measures, called as the engine calls them.

mod formulas;
mod window;

/// The measures that are not volatilities.
const NO_VOLATILITY: [&str; 6] = ["bollinger", "last_close", "log_return", "percent_move", "rsi", "volume"];

/// The number of bars that suffices for every measure.
const ENOUGH: usize = 60;
