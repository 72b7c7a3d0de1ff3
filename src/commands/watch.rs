//! `tickwire watch`: what is watched, shown and changed, beside a running `up` too.

use std::io::Write;

use anyhow::bail;
use control::watchlist::{self, Change, Entry, Watchlist};

use super::typed_list::TypedList;
use crate::cli::{DataArgs, WatchCommand, WatchedArgs};
use crate::config::{Config, LogKind};
use crate::data_folder::{self, LIVE};
use crate::owner::Way;
use crate::run::Run;

/// Shows or changes the watchlist.
pub async fn run(config: &Config, command: WatchCommand) -> anyhow::Result<()> {
    match command {
        WatchCommand::List { json, data } => list(config, &data, json).await,
        WatchCommand::Add { entries, sections, data } => {
            let changes = additions(entries, &sections)?;
            change(run_to_change(config, &data)?, changes).await
        }
        WatchCommand::Remove { entries, data } => {
            let changes = removals(entries)?;
            change(run_to_change(config, &data)?, changes).await
        }
        WatchCommand::Set { file, data } => {
            let typed = TypedList::read(&file)?;
            set(run_to_change(config, &data)?, typed).await
        }
    }
}

/// Whether the list of the live run is meant: because it is named, or because the settings go live.
pub fn is_live(config: &Config, data: &DataArgs) -> bool {
    match data.data.as_deref() {
        Some(run) => run.trim_matches('/') == LIVE,
        None => config.is_live(),
    }
}

/// The run whose list is to be changed: the live one, made, if need be, so that
/// a list is there before the first start, or else the one named or run last.
pub fn run_to_change(config: &Config, data: &DataArgs) -> anyhow::Result<Run> {
    if is_live(config, data) { Run::live(config, data) } else { Run::find(config, data) }
}

async fn list(config: &Config, data: &DataArgs, json: bool) -> anyhow::Result<()> {
    let (run, list) = if is_live(config, data) && !is_there(config, data) {
        (LIVE.to_owned(), Watchlist::default())
    } else {
        let run = run_to_change(config, data)?;
        let list = watchlist::read(&*run.log_to_read()?).await?;
        (run.name, list)
    };
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &list).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if list.entries.is_empty() {
        writeln!(
            out,
            "Nothing is watched. `tickwire watch add AAPL --term apple` adds a symbol with its news."
        )?;
    } else {
        write_table(&mut out, &list)?;
    }
    say_where_ignored(&run);
    Ok(())
}

/// Whether the live run has begun; Kafka makes topics when they are asked for.
fn is_there(config: &Config, data: &DataArgs) -> bool {
    let root = data.data_dir.as_deref().unwrap_or(&config.data_dir);
    config.log == LogKind::Kafka || data_folder::runs(root).iter().any(|run| run == LIVE)
}

fn write_table(out: &mut impl Write, list: &Watchlist) -> std::io::Result<()> {
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
    let rows: Vec<_> = list
        .entries
        .iter()
        .map(|entry| [dash(&entry.symbol), dash(&entry.search_term), entry.sections.join(", ")])
        .collect();
    let width = |column: usize, heading: &str| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.chain([heading.len()]).max().unwrap_or_default()
    };
    let (symbols, terms) = (width(0, "SYMBOL"), width(1, "SEARCH TERM"));
    writeln!(out, "{:symbols$}  {:terms$}  SECTIONS", "SYMBOL", "SEARCH TERM")?;
    for [symbol, term, sections] in &rows {
        writeln!(out, "{}", format!("{symbol:symbols$}  {term:terms$}  {sections}").trim_end())?;
    }
    writeln!(out, "({} of version {})", counted(list), list.version)
}

fn counted(list: &Watchlist) -> String {
    match list.entries.len() {
        1 => "1 entry".into(),
        count => format!("{count} entries"),
    }
}

/// The watchlist steers live sources; other runs have one and pay no heed to it.
fn say_where_ignored(run: &str) {
    if run != LIVE {
        eprintln!(
            "Note: the run `{run}` ignores its watchlist, only live prices and news follow one. Name the live run with --data live, or go live: set {}.",
            crate::config::live_keys()
        );
    }
}

fn additions(args: WatchedArgs, sections: &[String]) -> anyhow::Result<Vec<Change>> {
    let WatchedArgs { symbols, term, symbol } = args;
    let symbols: Vec<_> = symbols.into_iter().chain(symbol).collect();
    let entry =
        |symbol: Option<String>| Entry { symbol, search_term: term.clone(), sections: sections.to_vec() };
    match (symbols.len(), &term) {
        (0, _) => Ok(vec![Change::Add(entry(None))]),
        (1, _) | (_, None) => {
            Ok(symbols.into_iter().map(|symbol| Change::Add(entry(Some(symbol)))).collect())
        }
        (_, Some(_)) => bail!("a search term goes with one symbol: add the others by themselves"),
    }
}

fn removals(args: WatchedArgs) -> anyhow::Result<Vec<Change>> {
    let WatchedArgs { symbols, term: search_term, symbol } = args;
    let symbols: Vec<_> = symbols.into_iter().chain(symbol).collect();
    match (symbols.len(), &search_term) {
        (0, _) => Ok(vec![Change::Remove { symbol: None, search_term }]),
        (1, _) | (_, None) => Ok(symbols
            .into_iter()
            .map(|symbol| Change::Remove { symbol: Some(symbol), search_term: search_term.clone() })
            .collect()),
        (_, Some(_)) => bail!("a search term goes with one symbol: remove the others by themselves"),
    }
}

/// Makes all changes together. They say what is to be different, so that they
/// can be made again from a list that somebody else has changed.
async fn change(run: Run, changes: Vec<Change>) -> anyhow::Result<()> {
    say_where_ignored(&run.name);
    let make = |list: &Watchlist| {
        let mut after = list.clone();
        for change in &changes {
            after = after.apply(change.clone())?;
        }
        Ok(after)
    };
    let (before, after) = Way::to(run).await?.change(make).await?;
    report(&before, &after)
}

async fn set(run: Run, typed: TypedList<Entry>) -> anyhow::Result<()> {
    say_where_ignored(&run.name);
    let way = Way::to(run).await?;
    let before = way.list().await?;
    match way.put(typed.version.unwrap_or(before.version), typed.entries).await? {
        Ok(list) => report(&before, &list),
        Err(conflict) => bail!(
            "{conflict}. `tickwire watch list --json` prints it; without its `version` a list is put whatever stood there"
        ),
    }
}

fn report(before: &Watchlist, after: &Watchlist) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let summary = watchlist::summary(&before.entries, &after.entries);
    Ok(writeln!(out, "Watchlist version {}: {summary} ({}).", after.version, counted(after))?)
}
