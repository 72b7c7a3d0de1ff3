#![cfg(test)]
//! The page and its API over a real socket, on a log and a store of their own.

mod access;
mod alerts;
mod api;
mod assets;
mod attacks;
mod connections;
mod ending;
mod events;
mod explore;
mod export;
mod harness;
mod news_page;
mod openapi;
mod page;
mod security;
mod status_page;
mod study;
mod watchlist;
mod watchlist_page;
