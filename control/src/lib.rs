//! What services and people agree on through the log: the watchlist and the alert rules as
//! versioned lists, states of services, questions and answers, and the way onto the raw
//! topics.

pub mod foreign;
pub mod kept;
pub mod preview;
pub mod recompute;
pub mod replay;
pub mod rules;
pub mod shutdown;
pub mod status;
pub mod watchlist;
pub mod writer;
