//! A question in a process of its own: whatever it takes, this process does not take
//! it, and its memory and its time can be taken away from it.
//!
//! The child is the same program. It reads what is asked from its standard input and
//! writes the parts of the answer, each with its length before it, to its standard
//! output. It ends when its input is closed, so that it outlives nobody who asked.

use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use model::schema::{Column, ColumnType, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::SharedStore;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::explore::run::{AHEAD, Part, Parts};
use crate::explore::{ExploreError, Explorer, Limits};

/// The longest part of an answer, in bytes. A part holds rows of about [`crate::explore::run::PART`]
/// bytes, or one row, which is written in at most six bytes for each of its own.
const LONGEST_PART: u32 = 16 << 20;

/// What of the child's last words is kept, in bytes.
const LAST_WORDS: u64 = 8 << 10;

/// Variables that a child gets of this process: where certificates and proxies are, and
/// what a system needs to start a program. No key is among them.
const PASSED_ON: [&str; 14] = [
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SystemRoot",
    "TEMP",
    "TMPDIR",
    "TZ",
];

/// How questions are asked of a process of their own.
#[derive(Clone)]
pub struct Apart {
    /// The program.
    pub program: PathBuf,
    /// What makes it answer one question.
    pub arguments: Vec<OsString>,
    /// Where the store is, in words that the child knows, on one line. May hold a
    /// token: it goes through a pipe, never into arguments or the environment.
    pub store: String,
}

/// What a child is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    /// As in [`Apart::store`].
    pub(crate) store: String,
    pub(crate) sql: String,
    pub(crate) limits: Limits,
}

/// A part of an answer on its way.
#[derive(Serialize, Deserialize)]
enum Message {
    Columns(Vec<(String, Kind)>),
    Rows(Vec<Vec<Json>>),
    End { cut: bool },
    Failed(ExploreError),
}

/// The same, as it is written: rows are not copied for it.
#[derive(Serialize)]
#[serde(rename = "Message")]
enum Written<'a> {
    Columns(Vec<(&'a str, Kind)>),
    Rows(&'a [Vec<Value>]),
    End { cut: bool },
    Failed(&'a ExploreError),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Kind {
    Float,
    Int,
    Time,
    Text,
    Bool,
}

impl From<ColumnType> for Kind {
    fn from(kind: ColumnType) -> Kind {
        match kind {
            ColumnType::Float => Kind::Float,
            ColumnType::Int => Kind::Int,
            ColumnType::Time => Kind::Time,
            ColumnType::Text => Kind::Text,
            ColumnType::Bool => Kind::Bool,
        }
    }
}

impl From<Kind> for ColumnType {
    fn from(kind: Kind) -> ColumnType {
        match kind {
            Kind::Float => ColumnType::Float,
            Kind::Int => ColumnType::Int,
            Kind::Time => ColumnType::Time,
            Kind::Text => ColumnType::Text,
            Kind::Bool => ColumnType::Bool,
        }
    }
}

/// Writes a part for the process that asked.
pub(crate) fn write(out: &mut impl Write, part: &Result<Part, ExploreError>) -> io::Result<()> {
    let message = match part {
        Ok(Part::Columns(columns)) => Written::Columns(
            columns.iter().map(|column| (column.name.as_str(), column.kind.into())).collect(),
        ),
        Ok(Part::Rows(rows)) => Written::Rows(rows),
        Ok(Part::End { cut }) => Written::End { cut: *cut },
        Err(error) => Written::Failed(error),
    };
    let text = serde_json::to_vec(&message)?;
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&text)?;
    out.flush()
}

/// Reads the next part; nothing at the end of what was written.
fn read(
    from: &mut impl Read,
    columns: &mut Vec<ColumnType>,
) -> io::Result<Option<Result<Part, ExploreError>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST_PART {
        return Err(io::Error::other(format!("a part of {length} bytes")));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    Ok(Some(match serde_json::from_slice(&text)? {
        Message::Columns(given) => {
            *columns = given.iter().map(|(_, kind)| (*kind).into()).collect();
            Ok(Part::Columns(given.into_iter().map(|(name, kind)| Column::new(name, kind.into())).collect()))
        }
        Message::Rows(rows) => Ok(Part::Rows(rows.iter().map(|row| values(row, columns)).collect())),
        Message::End { cut } => Ok(Part::End { cut }),
        Message::Failed(error) => Err(error),
    }))
}

fn values(row: &[Json], columns: &[ColumnType]) -> Vec<Value> {
    row.iter()
        .zip(columns)
        .map(|(value, kind)| Value::from_json(value, *kind).unwrap_or(Value::Null))
        .collect()
}

/// A child at work. Dropped, it is killed.
pub(crate) struct Killer(Arc<Mutex<Child>>);

impl Drop for Killer {
    fn drop(&mut self) {
        kill(&self.0);
    }
}

fn kill(child: &Mutex<Child>) {
    // One that has ended already cannot be, and need not.
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

/// Starts a child for a question. Its place is given back once it is gone.
pub(crate) fn start(
    apart: &Apart,
    sql: &str,
    limits: Limits,
    place: OwnedSemaphorePermit,
) -> Result<(Parts, Killer), ExploreError> {
    let no_process = |error: io::Error| {
        tracing::error!(%error, "no process for a question");
        ExploreError::Crashed
    };
    let question = Question { store: apart.store.clone(), sql: sql.to_owned(), limits };
    let mut question = serde_json::to_vec(&question).map_err(|error| no_process(error.into()))?;
    question.push(b'\n');
    let mut child = command(apart).spawn().map_err(no_process)?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let child = Arc::new(Mutex::new(child));
    let killer = Killer(Arc::clone(&child));
    let (sender, parts) = mpsc::channel(AHEAD);
    let work = move || {
        let mut input = input;
        // A child that cannot read it says why by its end.
        let asked = input.as_mut().map(|input| input.write_all(&question).and_then(|()| input.flush()));
        drop(question);
        let ended = match (asked, output) {
            (Some(Ok(())), Some(mut output)) => forward(&mut output, &sender),
            _ => Ended::Early,
        };
        kill(&child);
        let mut last_words = String::new();
        if let Some(errors) = errors {
            let _ = errors.take(LAST_WORDS).read_to_string(&mut last_words);
        }
        let status = child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        drop(input);
        drop(place);
        let last = match ended {
            Ended::With(last) => last,
            Ended::Unread => return,
            Ended::Early => Err(died(&status, &last_words, limits)),
        };
        let _ = sender.blocking_send(last);
    };
    std::thread::Builder::new().name("question".into()).spawn(work).map_err(no_process)?;
    Ok((parts, killer))
}

fn command(apart: &Apart) -> Command {
    let mut command = Command::new(&apart.program);
    command
        .args(&apart.arguments)
        .env_clear()
        .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // Heaps of its own for each thread would each take a part of its memory.
        .env("MALLOC_ARENA_MAX", "1")
        .env("RUST_LOG", "off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "tickwire");
    command
}

/// How a child's answer ended.
enum Ended {
    /// With its last part, which is still to be given.
    With(Result<Part, ExploreError>),
    /// Without one.
    Early,
    /// Its reader went away.
    Unread,
}

/// Hands on parts as they come, as fast as they are read.
fn forward(output: &mut impl Read, parts: &mpsc::Sender<Result<Part, ExploreError>>) -> Ended {
    let mut columns = Vec::new();
    loop {
        match read(output, &mut columns) {
            Ok(Some(last @ (Ok(Part::End { .. }) | Err(_)))) => return Ended::With(last),
            Ok(Some(part)) => {
                if parts.blocking_send(part).is_err() {
                    return Ended::Unread;
                }
            }
            Ok(None) => return Ended::Early,
            Err(error) => {
                tracing::error!(%error, "a question's process wrote what cannot be read");
                return Ended::Early;
            }
        }
    }
}

/// Why a child ended that did not say why.
fn died(status: &io::Result<ExitStatus>, last_words: &str, limits: Limits) -> ExploreError {
    if last_words.contains("overflowed its stack") {
        return ExploreError::TooDeep;
    }
    const NO_MEMORY: [&str; 4] =
        ["memory allocation of", "ut of memory", "annot allocate memory", "temporarily unavailable"];
    if NO_MEMORY.iter().any(|words| last_words.contains(words)) {
        return ExploreError::TooLarge { limit: limits.memory };
    }
    match status.as_ref().ok().and_then(signal) {
        // By the kernel, where the machine or the container has no memory left.
        Some(KILL) => ExploreError::TooLarge { limit: limits.memory },
        Some(OUT_OF_CPU) => ExploreError::TooSlow { limit: limits.time },
        _ => {
            tracing::error!(?status, last_words, "a question's process ended");
            ExploreError::Crashed
        }
    }
}

/// SIGKILL.
const KILL: i32 = 9;
/// SIGXCPU, which has this number where there is a limit of processor time.
const OUT_OF_CPU: i32 = 24;

#[cfg(unix)]
fn signal(status: &ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(status)
}

#[cfg(not(unix))]
fn signal(_: &ExitStatus) -> Option<i32> {
    None
}

// The other side of [`crate::explore::Apart`]: one question, answered by this process, which
// does nothing else and ends with it.

#[cfg(unix)]
use std::time::Duration;

/// What a question's process has beside the memory of the question: the stack of the
/// thread that plans it, those of the threads that read, and the program's own data.
#[cfg(unix)]
const BESIDE: u64 = crate::explore::run::STACK as u64 + (96 << 20);
/// Files and sockets: the store's, the pipes, and what the runtime needs.
#[cfg(unix)]
const FILES: u64 = 64;
/// Processor time beyond the time that a question has: it is killed by the clock
/// before, unless nobody is left to do so.
#[cfg(unix)]
const BEYOND: Duration = Duration::from_secs(2);

/// What this process was asked.
pub struct Asked {
    question: Question,
}

impl Asked {
    /// Reads the question from standard input, gives away what this process must not
    /// take, and sees to it that the process ends when its input is closed.
    ///
    /// # Errors
    /// When standard input holds no question.
    pub fn read() -> io::Result<Asked> {
        let mut input = io::stdin().lock();
        let mut line = String::new();
        input.read_line(&mut line)?;
        drop(input);
        let question: Question = serde_json::from_str(&line).map_err(|_| {
            io::Error::other("this is how Tickwire asks itself; use `tickwire query \"SELECT …\"`")
        })?;
        limit(question.limits);
        std::thread::Builder::new().name("asker".into()).stack_size(64 << 10).spawn(|| {
            // Nothing more comes: the end of it is that whoever asked has gone.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            std::process::exit(1);
        })?;
        Ok(Asked { question })
    }

    /// Where the store is, in the words of whoever asked.
    pub fn store(&self) -> &str {
        &self.question.store
    }

    /// Answers on standard output: from `store`, or with the reason why there is none.
    ///
    /// # Errors
    /// When standard output is closed: whoever asked has gone.
    pub async fn answer(self, store: Result<SharedStore, String>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let explorer = match store {
            Ok(store) => Explorer::new(store, Limits { at_once: 1, ..self.question.limits }),
            Err(reason) => return write(&mut out, &Err(ExploreError::Store(reason))),
        };
        let mut answer = match explorer.query(&self.question.sql).await {
            Ok(answer) => answer,
            Err(error) => return write(&mut out, &Err(error)),
        };
        write(&mut out, &Ok(answer.columns_part()))?;
        loop {
            let part = answer.part().await;
            write(&mut out, &part)?;
            if !matches!(part, Ok(Part::Rows(_))) {
                return Ok(());
            }
        }
    }
}

/// Takes from this process what its question may not have. What a system does not
/// know is left out there: the clock and the size of the answer hold everywhere.
#[cfg(unix)]
fn limit(limits: Limits) {
    use rlimit::Resource;

    let memory = limits.memory as u64 + BESIDE;
    let processor = (limits.time + BEYOND).as_secs();
    for (resource, soft, hard) in [
        (Resource::DATA, memory, memory),
        // The hard limit ends it in the same way as a lack of memory does; the soft one says which it was.
        (Resource::CPU, processor, processor + 1),
        (Resource::NOFILE, FILES, FILES),
        // A picture of the memory would hold the token of the store.
        (Resource::CORE, 0, 0),
    ] {
        let most = resource.get_hard().unwrap_or(hard);
        let _ = resource.set(soft.min(most), hard.min(most));
    }
    // Where memory runs out all the same, this process is the one to end.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

#[cfg(not(unix))]
fn limit(_: Limits) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_through_the_pipe_as_they_were() {
        let columns = vec![
            Column::new("f", ColumnType::Float),
            Column::new("i", ColumnType::Int),
            Column::new("t", ColumnType::Text),
            Column::new("b", ColumnType::Bool),
        ];
        let row =
            vec![Value::Float(3.0), Value::Int(i64::MAX), Value::Text("a\n\u{0}é".into()), Value::Bool(true)];
        let rows = vec![row, vec![Value::Null; 4]];
        let mut bytes = Vec::new();
        write(&mut bytes, &Ok(Part::Columns(columns.clone()))).unwrap();
        write(&mut bytes, &Ok(Part::Rows(rows.clone()))).unwrap();
        write(&mut bytes, &Ok(Part::End { cut: true })).unwrap();
        write(&mut bytes, &Err(ExploreError::TooLarge { limit: 5 })).unwrap();
        let (from, mut kinds) = (&mut bytes.as_slice(), Vec::new());
        let mut next = || read(from, &mut kinds).unwrap().unwrap();
        assert!(matches!(next(), Ok(Part::Columns(read)) if read == columns));
        assert!(matches!(next(), Ok(Part::Rows(read)) if read == rows));
        assert!(matches!(next(), Ok(Part::End { cut: true })));
        assert!(matches!(next(), Err(ExploreError::TooLarge { limit: 5 })));
        assert!(read(&mut [].as_slice(), &mut Vec::new()).unwrap().is_none());
    }

    #[test]
    fn a_part_that_is_too_long_is_not_read() {
        let mut bytes = (LONGEST_PART + 1).to_le_bytes().to_vec();
        bytes.extend([b' '; 16]);
        assert!(read(&mut bytes.as_slice(), &mut Vec::new()).is_err());
    }
}
