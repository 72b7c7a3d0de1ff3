//! `tickwire tail`: the records of a topic, as JSON lines.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use log::Record;
use model::topic::Topic;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::TailArgs;
use crate::config::Config;
use crate::run::Run;

/// So many records are read at once.
const PAGE: usize = 1_000;

/// One record, as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
    appended_at: i64,
    key: &'a str,
    value: &'a RawValue,
}

/// Prints records from where `--from` says; with `--follow`, and from the end, goes on.
pub async fn run(config: &Config, args: TailArgs) -> anyhow::Result<()> {
    let log = Run::find(config, &args.data)?.log_to_read()?;
    let topics = log.topics().await?;
    let Some(topic) = topics.iter().find(|topic| topic.name() == args.topic) else {
        let known: Vec<_> = topics.iter().map(Topic::name).collect();
        bail!("there is no topic `{}`; there are: {}", args.topic, known.join(", "));
    };
    let mut next = Vec::new();
    for extent in log.extents(topic).await? {
        let from = match args.from.as_str() {
            "beginning" => extent.first,
            "end" => extent.next,
            time => {
                let at = model::time::parse(time).context("--from takes `beginning`, `end` or a time")?;
                log.offset_at(topic, extent.partition, at).await?
            }
        };
        next.push((extent.partition, from));
    }
    let follow = args.follow || args.from == "end";
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    loop {
        let mut any = false;
        for (partition, from) in &mut next {
            let records = log.read(topic, *partition, *from, PAGE).await?;
            for record in &records {
                *from = record.offset + 1;
                any = true;
                if args.key.as_ref().is_none_or(|key| *key == record.key) {
                    print(&mut out, record)?;
                }
            }
        }
        if !any {
            out.flush()?;
            if !follow {
                return Ok(());
            }
            log.appended(Duration::from_millis(200)).await;
        }
    }
}

fn print(out: &mut impl Write, record: &Record) -> anyhow::Result<()> {
    // What is no JSON is shown as the text that it is.
    let value: Box<RawValue> = serde_json::from_slice(&record.value)
        .or_else(|_| serde_json::value::to_raw_value(&String::from_utf8_lossy(&record.value)))?;
    let line = Line {
        topic: record.topic.name(),
        partition: record.partition,
        offset: record.offset,
        appended_at: record.appended_at,
        key: &record.key,
        value: &value,
    };
    serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}
