//! What services and people exchange through the log: the watchlist and the alert rules as
//! versioned lists, the states of services, previews, replayed dead letters, and the types of
//! the raw topics.

pub mod foreign;
pub mod kept;
pub mod preview;
pub mod raw;
pub mod recompute;
pub mod replay;
pub mod rules;
pub mod shutdown;
pub mod status;
pub mod watchlist;
