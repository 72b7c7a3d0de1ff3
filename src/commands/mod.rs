//! What each subcommand does.

pub mod aggregate;
pub mod backfill;
pub mod backtest;
pub mod compute;
pub mod dead_letters;
pub mod deploy;
pub mod doctor;
pub mod export;
pub mod health;
pub mod init;
mod interrupt;
pub mod progress;
pub mod query;
pub mod recompute;
mod refused;
pub mod rows;
pub mod rules;
pub mod serve;
mod service;
pub mod services;
pub mod sessions;
pub mod tail;
pub mod topics;
mod typed_list;
pub mod up;
pub mod watch;
pub mod web;
