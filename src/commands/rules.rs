//! `tickwire rules`: the alert rules, shown and changed, beside a running `up` too.

use std::io::Write;

use anyhow::bail;
use control::rules::{self, Change, Rule, Rules};
use model::AssetClass;
use model::schema::ColumnType;

use super::typed_list::TypedList;
use super::watch;
use crate::cli::{DataArgs, RulesCommand};
use crate::config::Config;
use crate::owner::Way;
use crate::run::Run;

/// Shows or changes the rules.
pub async fn run(config: &Config, command: RulesCommand) -> anyhow::Result<()> {
    match command {
        RulesCommand::List { json, data } => list(config, &data, json).await,
        RulesCommand::Add { rule, data } => {
            let rule = rule.rule();
            rules::check_signals(std::slice::from_ref(&rule), &signals(config)?)?;
            change(watch::run_to_change(config, &data)?, Change::Add(rule)).await
        }
        RulesCommand::Adjust { name, threshold, hysteresis, data } => {
            let adjust = Change::Adjust { name, threshold, hysteresis };
            change(watch::run_to_change(config, &data)?, adjust).await
        }
        RulesCommand::Enable { name, data } => {
            change(watch::run_to_change(config, &data)?, Change::Enable(name, true)).await
        }
        RulesCommand::Disable { name, data } => {
            change(watch::run_to_change(config, &data)?, Change::Enable(name, false)).await
        }
        RulesCommand::Remove { name, data } => {
            change(watch::run_to_change(config, &data)?, Change::Remove(name)).await
        }
        RulesCommand::Set { file, data } => {
            let typed = TypedList::read(&file)?;
            rules::check_signals(&typed.entries, &signals(config)?)?;
            set(watch::run_to_change(config, &data)?, typed).await
        }
    }
}

/// What rules can watch: the numbers among the columns of the job.
fn signals(config: &Config) -> anyhow::Result<Vec<String>> {
    let job = config.jobs(&[AssetClass::Stocks])?.into_iter().find(|job| job.topic == alerts::signals());
    let columns = job.map(|job| job.columns).unwrap_or_default();
    Ok(columns
        .into_iter()
        .filter(|column| matches!(column.kind, ColumnType::Float | ColumnType::Int))
        .map(|column| column.name)
        .collect())
}

async fn list(config: &Config, data: &DataArgs, json: bool) -> anyhow::Result<()> {
    let rules = rules::read(&*Run::find(config, data)?.log_to_read()?).await?;
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &rules).map_err(std::io::Error::from)?;
        return Ok(writeln!(out)?);
    }
    if rules.entries.is_empty() {
        writeln!(
            out,
            "There are no rules. `tickwire rules add jump --signal jump_share --above 0.5` adds one."
        )?;
        return Ok(());
    }
    write_table(&mut out, &rules)
}

fn write_table(out: &mut impl Write, rules: &Rules) -> anyhow::Result<()> {
    let headings = ["RULE", "", "SIGNAL", "CONDITION", "HYSTERESIS", "SYMBOLS"].map(str::to_owned);
    let rows: Vec<_> = [headings].into_iter().chain(rules.entries.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..6).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(writeln!(out, "({} of version {})", counted(rules), rules.version)?)
}

fn cells(rule: &Rule) -> [String; 6] {
    [
        rule.name.clone(),
        if rule.enabled { "on" } else { "off" }.into(),
        rule.signal.clone(),
        format!("{} {}", rule.comparison, rule.threshold),
        rule.hysteresis.to_string(),
        if rule.symbols.is_empty() { "all".into() } else { rule.symbols.join(", ") },
    ]
}

fn counted(rules: &Rules) -> String {
    match rules.entries.len() {
        1 => "1 rule".into(),
        count => format!("{count} rules"),
    }
}

async fn change(run: Run, change: Change) -> anyhow::Result<()> {
    let make = |rules: &Rules| Ok(rules.apply(change.clone())?);
    let (before, after) = Way::to(run).await?.change(make).await?;
    report(&before, &after)
}

async fn set(run: Run, typed: TypedList<Rule>) -> anyhow::Result<()> {
    let way = Way::to(run).await?;
    let before = way.list().await?;
    match way.put(typed.version.unwrap_or(before.version), typed.entries).await? {
        Ok(rules) => report(&before, &rules),
        Err(conflict) => bail!(
            "{conflict}. `tickwire rules list --json` prints them; without their `version` they are put whatever stood there"
        ),
    }
}

fn report(before: &Rules, after: &Rules) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let summary = rules::summary(&before.entries, &after.entries);
    Ok(writeln!(out, "Rules version {}: {summary} ({}).", after.version, counted(after))?)
}
