//! What goes over the wire: messages and their checks, topics, the watchlist,
//! the alert rules, the trading calendar, the log that carries them, and the way onto it.
//!
//! Every other crate speaks in these words; this one knows none of them.

pub mod again;
pub mod alert;
pub mod article;
pub mod bar;
pub mod calendar;
pub mod candle;
pub mod clock;
pub mod dead_letter;
pub mod foreign;
pub mod gap;
pub mod kept;
pub mod log;
pub mod number;
pub mod outlet;
pub mod preview;
pub mod reason;
pub mod rules;
pub mod schema;
pub mod source;
pub mod sqlite;
pub mod status;
pub mod stop;
pub mod symbol;
pub mod time;
pub mod topic;
pub mod watchlist;

pub use alert::Alert;
pub use article::Article;
pub use bar::Bar;
pub use candle::{Candle, Candles};
pub use dead_letter::DeadLetter;
pub use gap::Gap;
pub use source::Source;
pub use topic::Topic;
