//! Messages and their checks, topics, symbols, instruments, time and trading calendars: what every
//! other crate speaks of. Nothing here reads or writes anything.

pub mod alert;
pub mod append;
pub mod article;
pub mod bar;
pub mod calendar;
pub mod candle;
pub mod dead_letter;
pub mod gap;
pub mod heartbeat;
pub mod instrument;
pub mod number;
pub mod schema;
pub mod service;
pub mod source;
pub mod status;
pub mod symbol;
pub mod time;
pub mod topic;

pub use alert::Alert;
pub use append::Append;
pub use article::Article;
pub use bar::Bar;
pub use candle::{Candle, Candles};
pub use dead_letter::DeadLetter;
pub use gap::Gap;
pub use instrument::{AssetClass, Instrument};
pub use source::Source;
pub use topic::Topic;
