//! What every feed needs once, whatever it brings: the way onto the raw topics.

pub mod writer;

pub use writer::TopicWriter;
