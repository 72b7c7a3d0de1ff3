//! What each subcommand does.

pub mod aggregate;
pub mod backfill;
pub mod backtest;
pub mod compute;
pub mod dead_letters;
pub mod doctor;
pub mod export;
pub mod init;
pub mod progress;
pub mod query;
pub mod recompute;
pub mod rows;
pub mod rules;
pub mod sessions;
pub mod tail;
pub mod topics;
mod typed_list;
pub mod up;
pub mod watch;
pub mod web;
