//! `tickwire dead-letters`: what did not validate, and the way back for what does by now.

mod read_again;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use control::replay::Replay;
use control::watchlist;
use log::{Log, LogError};
use model::DeadLetter;
use model::topic::DEAD_LETTERS;
use serde::Serialize;

use crate::cli::{DataArgs, DeadLettersCommand, Place};
use crate::config::Config;
use crate::owner::Way;
use crate::run::Run;
use read_again::Reader;

/// So many records are read at once.
const PAGE: usize = 500;
/// So many letters go back together.
const BATCH: usize = 200;
/// A line of the list is cut here.
const WIDTH: usize = 160;

/// How the page reads letters again, when it is asked to replay them.
pub fn read_again() -> ::web::ReadAgain {
    Arc::new(|letter, watchlist| {
        let reader = Reader::new(None, watchlist.clone()).map_err(|error| format!("{error:#}"))?;
        reader.events(letter)
    })
}

/// Lists, shows or replays dead letters.
pub async fn run(config: &Config, command: DeadLettersCommand) -> anyhow::Result<()> {
    let run = |data: &DataArgs| Run::find(config, data);
    match command {
        DeadLettersCommand::List { source, json, data } => list(&run(&data)?, source.as_deref(), json).await,
        DeadLettersCommand::Show { offset, data } => show(&run(&data)?, offset).await,
        DeadLettersCommand::Replay { offsets, all, header_of, data } => {
            let wanted = if all { None } else { Some(offsets.as_slice()) };
            replay(run(&data)?, wanted, header_of.as_deref()).await
        }
    }
}

/// A letter with its place.
#[derive(Serialize)]
struct Placed {
    partition: u32,
    offset: u64,
    #[serde(flatten)]
    letter: DeadLetter,
}

impl Placed {
    fn place(&self) -> Place {
        Place { partition: self.partition, offset: self.offset }
    }
}

/// Hands every letter to `each`, in the order of their places.
async fn letters(log: &dyn Log, mut each: impl FnMut(Placed) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for extent in log.extents(&DEAD_LETTERS).await? {
        let mut from = extent.first;
        while from < extent.next {
            let records = log.read(&DEAD_LETTERS, extent.partition, from, PAGE).await?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            for record in &records {
                if let Ok(letter) = serde_json::from_slice(&record.value) {
                    each(Placed { partition: record.partition, offset: record.offset, letter })?;
                }
            }
        }
    }
    Ok(())
}

async fn list(run: &Run, source: Option<&str>, json: bool) -> anyhow::Result<()> {
    let log = run.log_to_read()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut count = 0_u64;
    letters(&*log, |placed| {
        if source.is_some_and(|source| !placed.letter.source.starts_with(source)) {
            return Ok(());
        }
        count += 1;
        if json {
            serde_json::to_writer(&mut out, &placed).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            let DeadLetter { source, reason, received_timestamp, .. } = &placed.letter;
            let time = model::time::rfc3339(*received_timestamp);
            let line = format!("{}  {time}  {source}  {reason}", placed.place());
            writeln!(out, "{}", one_line(&line, WIDTH))?;
        }
        Ok(())
    })
    .await?;
    out.flush()?;
    if count == 0 {
        eprintln!(
            "No dead letters{} in the run `{}`.",
            source.map_or(String::new(), |s| format!(" of {s}")),
            run.name
        );
    }
    Ok(())
}

/// What came from outside must not steer the terminal.
fn one_line(text: &str, width: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(width).collect();
    if text.chars().nth(width).is_some() {
        line.push('…');
    }
    line
}

async fn show(run: &Run, place: Place) -> anyhow::Result<()> {
    let placed = letter_at(&*run.log_to_read()?, place).await?.with_context(|| missing(place))?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &placed).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

async fn letter_at(log: &dyn Log, place: Place) -> Result<Option<Placed>, LogError> {
    let records = log.read(&DEAD_LETTERS, place.partition, place.offset, 1).await?;
    let record = records.into_iter().find(|record| record.offset == place.offset);
    Ok(record.and_then(|record| {
        let letter = serde_json::from_slice(&record.value).ok()?;
        Some(Placed { partition: record.partition, offset: record.offset, letter })
    }))
}

fn missing(place: Place) -> String {
    format!("there is no dead letter at offset {place}: `tickwire dead-letters list` shows what there is")
}

/// Reads letters again, says of each that still does not validate why, and puts the others back.
async fn replay(run: Run, wanted: Option<&[Place]>, header_of: Option<&Path>) -> anyhow::Result<()> {
    let log = run.log_to_read()?;
    let reader = Reader::new(header_of, watchlist::read(&*log).await?)?;
    let (mut good, mut bad) = (Vec::new(), 0_usize);
    let mut read = |placed: Placed| {
        let (partition, offset) = (placed.partition, placed.offset);
        match reader.events(&placed.letter) {
            Ok(events) => good.push(Replay { partition, offset, events }),
            Err(reason) => {
                bad += 1;
                let line = format!("{} ({}): {reason}", placed.place(), placed.letter.source);
                eprintln!("{}", one_line(&line, 2 * WIDTH));
            }
        }
        Ok(())
    };
    match wanted {
        None => letters(&*log, &mut read).await?,
        Some(places) => {
            for &place in places {
                read(letter_at(&*log, place).await?.with_context(|| missing(place))?)?;
            }
        }
    }
    let (mut letters, mut events) = (0, 0);
    if !good.is_empty() {
        let way = Way::to(run).await?;
        for batch in good.chunks(BATCH) {
            match way.replay(batch.to_vec()).await {
                Ok(put_back) => (letters, events) = (letters + batch.len(), events + put_back),
                // One of them is refused: the others need not suffer for it.
                Err(_) => {
                    for one in batch {
                        match way.replay(vec![one.clone()]).await {
                            Ok(put_back) => (letters, events) = (letters + 1, events + put_back),
                            Err(error) => {
                                bad += 1;
                                eprintln!("{}", one_line(&format!("{error:#}"), 2 * WIDTH));
                            }
                        }
                    }
                }
            }
        }
    }
    say!("{letters} dead letter(s) replayed as {events} record(s); {bad} left as they are.")?;
    if wanted.is_some() && bad > 0 {
        bail!("not every dead letter that was named validates");
    }
    Ok(())
}
