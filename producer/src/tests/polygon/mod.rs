//! Live prices from a feed that misbehaves in every way seen in the wild.

mod backfill;
mod frames;
mod history;
mod holes;
mod hostile;
mod place;
mod session;
mod soak;
mod watchlist;
