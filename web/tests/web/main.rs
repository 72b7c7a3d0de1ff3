#![cfg(test)]
//! The page and its API over a real socket, on a log and a store of their own.

mod access;
mod alerts;
mod api;
mod attacks;
mod events;
mod explore;
mod harness;
mod page;
mod security;
mod status_page;
mod watchlist_page;
