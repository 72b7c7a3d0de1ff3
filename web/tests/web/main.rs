//! The page and its API over a real socket, on a log and a store of their own.

#[cfg(test)]
mod access;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod api;
#[cfg(test)]
mod assets;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod events;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod news_page;
#[cfg(test)]
mod page;
#[cfg(test)]
mod security;
#[cfg(test)]
mod study;
#[cfg(test)]
mod watchlist;
#[cfg(test)]
mod watchlist_page;
