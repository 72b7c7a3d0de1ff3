//! The measures, called as the engine calls them.

mod formulas;
mod window;

/// The measures that say something else of a window than how volatile it was.
const NO_VOLATILITY: [&str; 6] = ["bollinger", "last_close", "log_return", "percent_move", "rsi", "volume"];

/// So many bars are enough for every measure.
const ENOUGH: usize = 60;
