//! The files of `sql/`, read as Arroyo's dialect.

mod hop;
mod interval;
mod statements;
mod tables;

pub(crate) use hop::{WindowedQuery, end_column, pull_out_windows, start_column};
pub(crate) use interval::updating_ttl;
pub(crate) use statements::statements;
pub(crate) use tables::{SinkTable, SourceTable, Table};

/// The file that holds the source tables.
pub(crate) const TABLES: &str = "tables";

/// Every file of `sql/` by name, as built into the program.
pub(crate) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));
