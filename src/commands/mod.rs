//! What each subcommand does.

/// Writes a line to standard output, which a reader such as `head` may have closed: that
/// is an error, at which the command ends quietly, and not a panic.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout().lock(), $($line)*)
    }};
}

pub mod aggregate;
pub mod answer;
pub mod backfill;
pub mod backtest;
pub mod backup;
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
mod span;
pub mod tail;
pub mod topics;
mod typed_list;
pub mod up;
pub mod watch;
pub mod web;
