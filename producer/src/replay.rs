//! A file of bars, played back.

use std::path::PathBuf;

use async_trait::async_trait;
use feed::TopicWriter;
use files::{BadRow, FileError, Placed};
use log::time_bounds::TimeBounds;
use model::service::RunState;
use model::time::{self, DAY, MINUTE, Millis, minute_of};
use model::{AssetClass, Bar, DeadLetter, heartbeat};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::ProducerError;
use crate::pace::{End, Pace, PacedSource};

/// A longer stretch without rows is played as one second.
const LONG: Millis = 5 * MINUTE;
/// Heartbeats go on for so long beyond the last bar, so that every window closes.
const BEYOND: Millis = DAY;

/// Rows that are read ahead at once, and how often.
const ROWS_AHEAD: usize = 1_000;
const READS_AHEAD: usize = 2;

pub(crate) struct Replay {
    path: PathBuf,
    name: String,
    /// Rows taken so far, bad ones included.
    taken: u64,
    bars: u64,
    /// The greatest minute of a bar so far.
    greatest: Option<Millis>,
    /// The first place from which on the file, or a part of it, could not be read.
    unread: Option<FileError>,
    /// The class of the file's bars.
    class: AssetClass,
}

type Read = Result<Placed<Bar>, BadRow>;

impl Replay {
    pub(crate) fn new(path: PathBuf) -> Replay {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Replay { path, name, taken: 0, bars: 0, greatest: None, unread: None, class: AssetClass::Stocks }
    }

    async fn row(
        &mut self,
        row: Read,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<(), ProducerError> {
        match row.and_then(|row| self.checked(row)) {
            Ok(Placed { value: bar, .. }) => {
                let minute = minute_of(bar.start_timestamp);
                self.advance(minute, writer, pace).await?;
                if pace.is_stopped() {
                    return Ok(());
                }
                self.taken += 1;
                self.bars += 1;
                writer.take(&Bar {
                    complete_until: self.greatest.unwrap_or(minute),
                    position: Some(self.taken),
                    ..bar
                });
            }
            Err(bad) => {
                if self.unread.is_none() {
                    self.unread = bad.ends_file(&self.path.display().to_string());
                }
                self.taken += 1;
                let (line, before) = (bad.line, writer.before());
                if self.taken > before.taken + before.rejected {
                    let source = format!("replay:{}:{line}", bad.file(&self.name));
                    writer.refuse(&DeadLetter::new(source, bad.reason, &bad.text, time::now()));
                }
            }
        }
        (writer.taken, writer.rejected) = (self.bars, self.taken - self.bars);
        if writer.is_full() {
            writer.flush().await?;
        }
        Ok(())
    }

    /// The row, if it is of the class of the file and within the bounds of time.
    fn checked(&self, row: Placed<Bar>) -> Read {
        self.check(&row.value).map_err(|reason| {
            let text = serde_json::to_vec(&row.value).unwrap_or_default();
            row.rejected(reason, text)
        })?;
        Ok(row)
    }

    fn check(&self, bar: &Bar) -> Result<(), String> {
        let class = AssetClass::of(&bar.symbol);
        // Each class has a clock of its own, and a replay plays one.
        if class != self.class {
            return Err(format!(
                "{} is of the class {class}, and the file begins with bars of {}: a replay plays one class; put the bars of each class into a file of their own",
                bar.symbol, self.class
            ));
        }
        TimeBounds::REPLAY.check_row(self.greatest, bar.start_timestamp)
    }

    /// Plays event time up to `minute`: the heartbeats that lead there, each when it is due.
    async fn advance(
        &mut self,
        minute: Millis,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<(), ProducerError> {
        let Some(greatest) = self.greatest else {
            self.greatest = Some(minute);
            writer.clock(minute, Some(self.taken));
            return Ok(());
        };
        let long = minute - greatest > LONG;
        let mut played = false;
        for at in heartbeat::minutes(greatest, minute) {
            if writer.lacks_clock(at) && !(long && played) {
                if long {
                    pace.gap();
                } else {
                    pace.minute();
                }
                played = true;
                if pace.is_early() {
                    writer.flush().await?;
                    pace.wait().await;
                }
            }
            if pace.is_stopped() {
                return Ok(());
            }
            writer.clock(at, Some(self.taken));
            self.greatest = Some(at);
            if writer.is_full() {
                writer.flush().await?;
            }
        }
        Ok(())
    }

    fn check_length(&self, writer: &TopicWriter<Bar>) -> Result<(), ProducerError> {
        let (rows, written) = (self.taken, writer.rows_written());
        if written > rows {
            return Err(ProducerError::Shorter { file: self.name.clone(), rows, written });
        }
        Ok(())
    }
}

#[async_trait]
impl PacedSource for Replay {
    fn name(&self) -> String {
        format!("replay of {}", self.name)
    }

    async fn class(&mut self) -> AssetClass {
        self.class = class_of(self.path.clone()).await;
        self.class
    }

    async fn play(
        mut self: Box<Self>,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<End, ProducerError> {
        let (mut rows, reading) = read_ahead(self.path.clone()).await?;
        writer.say(RunState::Running).await?;
        while let Some(chunk) = rows.recv().await {
            for row in chunk {
                if pace.is_stopped() {
                    return Ok(End::Stopped);
                }
                self.row(row, writer, pace).await?;
            }
        }
        // A reader that panicked has not come to the end of the file.
        if let Err(error) = reading.await {
            std::panic::resume_unwind(error.into_panic());
        }
        self.check_length(writer)?;
        if let Some(greatest) = self.greatest {
            self.advance(greatest + BEYOND, writer, pace).await?;
        }
        if pace.is_stopped() {
            return Ok(End::Stopped);
        }
        if let Some(unread) = self.unread {
            // What could be read is played to its end all the same.
            writer.flush().await?;
            return Err(unread.into());
        }
        Ok(End::Finished)
    }
}

/// The class of a file's bars; that of a file that cannot be opened does not matter.
async fn class_of(path: PathBuf) -> AssetClass {
    let found = spawn_blocking(move || files::class_of(&path)).await;
    found.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).unwrap_or_default()
}

/// Reads the file on a thread of its own, a little ahead of what is played.
async fn read_ahead(path: PathBuf) -> Result<(mpsc::Receiver<Vec<Read>>, JoinHandle<()>), ProducerError> {
    let opened = spawn_blocking(move || files::bars(&path)).await;
    let mut rows = opened.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    let (chunks, ahead) = mpsc::channel(READS_AHEAD);
    let reading = spawn_blocking(move || {
        loop {
            let chunk: Vec<_> = rows.by_ref().take(ROWS_AHEAD).collect();
            // Without a receiver the replay has been stopped.
            if chunk.is_empty() || chunks.blocking_send(chunk).is_err() {
                break;
            }
        }
    });
    Ok((ahead, reading))
}
