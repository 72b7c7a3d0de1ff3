//! `tickwire query`: read-only SQL over the store, beside a running `up` too.

mod screen;

use std::io::{IsTerminal, Read};
use std::time::Duration;

use anyhow::Context;
use files::TableWriter;
use query::explore::{Explorer, Limits};

use super::progress;
use crate::cli::{OutputArgs, QueryArgs};
use crate::config::Config;
use crate::run::Run;

/// More than the page allows: whoever runs a command waits for nobody else.
const LIMITS: Limits =
    Limits { time: Duration::from_secs(600), rows: None, bytes: None, memory: 1 << 30, at_once: 1 };

/// Runs one statement and writes its rows: as a table where a person reads, else as a file.
pub async fn run(config: &Config, args: QueryArgs) -> anyhow::Result<()> {
    let sql = if args.sql == "-" { typed()? } else { args.sql };
    let explorer = Explorer::apart(Run::find(config, &args.data)?.apart()?, LIMITS);
    let mut answer = explorer.query(&sql).await?;
    let OutputArgs { format, out } = args.output;
    if format.is_none() && out.is_none() && std::io::stdout().is_terminal() {
        return screen::print(&mut answer).await;
    }
    let mut table = TableWriter::create(format, answer.columns(), out.as_deref())?;
    let bar = progress::bar("Writing rows", None);
    while let Some(rows) = answer.next().await? {
        for row in &rows {
            table.write_row(row)?;
        }
        bar.inc(rows.len() as u64);
    }
    bar.finish_and_clear();
    Ok(table.finish()?)
}

fn typed() -> anyhow::Result<String> {
    let mut sql = String::new();
    std::io::stdin().read_to_string(&mut sql).context("the query cannot be read from standard input")?;
    Ok(sql)
}
