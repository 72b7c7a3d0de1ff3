//! What services and people agree on through the log: the watchlist and the alert rules as
//! versioned lists, states of services, questions and answers, and the way onto the raw
//! topics.

pub mod again;
pub mod foreign;
pub mod kept;
pub mod outlet;
pub mod preview;
pub mod replay;
pub mod rules;
pub mod status;
pub mod stop;
pub mod watchlist;
