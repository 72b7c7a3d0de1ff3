//! What every feed needs once, whatever it brings: the driver of live price feeds, the parts of
//! polled news feeds, the way
//! onto the raw topics, and the time that it goes by.

pub mod clock;
pub mod news;
pub mod price;
pub mod writer;

pub use clock::{Clock, SharedClock, SteadyClock, SystemClock, millis};
pub use writer::TopicWriter;
