//! What services and people agree on through the log: the watchlist and the alert rules as
//! versioned lists, states of services, questions and answers, and what stands on the raw
//! topics.

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
