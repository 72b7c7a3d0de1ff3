//! Runs a query in a process of its own, whose memory and processor time are limited and which
//! can be killed without harm to this process.
//!
//! The child is the same program. It reads the query from its standard input and writes the
//! parts of the answer, each preceded by its length, to its standard output. It exits when its
//! input is closed, so it does not outlive its parent.

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

use crate::explore::run::{BUFFERED_PARTS, Part, Parts};
use crate::explore::{ExploreError, Explorer, Limits};

/// The maximum length of a part, in bytes. A part holds rows of about
/// [`crate::explore::run::PART`] bytes, or a single row; JSON takes at most six bytes for each
/// byte of text.
const LONGEST_PART: u32 = 16 << 20;

/// How much of the child's standard error is read, in bytes.
const STDERR_LIMIT: u64 = 8 << 10;

/// The environment variables that a child inherits: proxies, certificates, and what the
/// operating system needs to start a program. None of them contains a key.
const INHERITED_VARIABLES: [&str; 14] = [
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

/// How a query process is started.
#[derive(Clone)]
pub struct Apart {
    /// The program's path.
    pub program: PathBuf,
    /// The arguments that make it answer one query.
    pub arguments: Vec<OsString>,
    /// The location of the store, on one line, in a form that the child understands. It may
    /// contain a token and is therefore sent through a pipe, never as an argument or an
    /// environment variable.
    pub store: String,
}

/// The request to a child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    /// As in [`Apart::store`].
    pub(crate) store: String,
    pub(crate) sql: String,
    pub(crate) limits: Limits,
}

/// A part of an answer, as read from the pipe.
#[derive(Serialize, Deserialize)]
enum Message {
    Columns(Vec<(String, Kind)>),
    Rows(Vec<Vec<Json>>),
    End { cut: bool },
    Failed(ExploreError),
}

/// The same as [`Message`], borrowed for writing so that rows are not copied.
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

/// Writes a part, preceded by its length.
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

/// Reads the next part; `None` at the end of the stream.
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
        return Err(io::Error::other(format!(
            "a part of {length} bytes exceeds the limit of {LONGEST_PART}"
        )));
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

/// A running child; dropping this kills it.
pub(crate) struct KillOnDrop(Arc<Mutex<Child>>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        kill(&self.0);
    }
}

fn kill(child: &Mutex<Child>) {
    // Fails only if the child has exited already.
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

/// Starts a child for a query. `permit` is released when the child has exited.
pub(crate) fn start(
    apart: &Apart,
    sql: &str,
    limits: Limits,
    permit: OwnedSemaphorePermit,
) -> Result<(Parts, KillOnDrop), ExploreError> {
    let spawn_error = |error: io::Error| {
        tracing::error!(%error, "A query process could not be started.");
        ExploreError::Crashed
    };
    let question = Question { store: apart.store.clone(), sql: sql.to_owned(), limits };
    let mut question = serde_json::to_vec(&question).map_err(|error| spawn_error(error.into()))?;
    question.push(b'\n');
    let mut child = command(apart).spawn().map_err(spawn_error)?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let child = Arc::new(Mutex::new(child));
    let kill_on_drop = KillOnDrop(Arc::clone(&child));
    let (sender, parts) = mpsc::channel(BUFFERED_PARTS);
    let work = move || {
        let mut input = input;
        // If the child cannot read its request, its exit status says why.
        let asked = input.as_mut().map(|input| input.write_all(&question).and_then(|()| input.flush()));
        drop(question);
        let ended = match (asked, output) {
            (Some(Ok(())), Some(mut output)) => forward(&mut output, &sender),
            _ => Ended::Early,
        };
        kill(&child);
        let mut stderr = String::new();
        if let Some(errors) = errors {
            let _ = errors.take(STDERR_LIMIT).read_to_string(&mut stderr);
        }
        let status = child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        drop(input);
        drop(permit);
        let last = match ended {
            Ended::With(last) => last,
            Ended::Unread => return,
            Ended::Early => Err(exit_error(&status, &stderr, limits)),
        };
        let _ = sender.blocking_send(last);
    };
    std::thread::Builder::new().name("question".into()).spawn(work).map_err(spawn_error)?;
    Ok((parts, kill_on_drop))
}

fn command(apart: &Apart) -> Command {
    let mut command = Command::new(&apart.program);
    command
        .args(&apart.arguments)
        .env_clear()
        .envs(INHERITED_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // By default glibc reserves an arena for each thread, which would count towards the
        // memory limit.
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
    /// With its last part, which is not forwarded yet.
    With(Result<Part, ExploreError>),
    /// Without a last part.
    Early,
    /// The reader of the answer was dropped.
    Unread,
}

/// Forwards parts as fast as they are read.
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
                tracing::error!(%error, "A query process wrote an answer that cannot be read.");
                return Ended::Early;
            }
        }
    }
}

/// The error for a child that exited without reporting one.
fn exit_error(status: &io::Result<ExitStatus>, stderr: &str, limits: Limits) -> ExploreError {
    if stderr.contains("overflowed its stack") {
        return ExploreError::TooDeep;
    }
    const NO_MEMORY: [&str; 4] =
        ["memory allocation of", "ut of memory", "annot allocate memory", "temporarily unavailable"];
    if NO_MEMORY.iter().any(|words| stderr.contains(words)) {
        return ExploreError::TooLarge { limit: limits.memory };
    }
    match status.as_ref().ok().and_then(signal) {
        // The kernel kills a process when the machine or the container is out of memory.
        Some(SIGKILL) => ExploreError::TooLarge { limit: limits.memory },
        Some(SIGXCPU) => ExploreError::TooSlow { limit: limits.time },
        _ => {
            tracing::error!(?status, stderr, "A query process ended unexpectedly.");
            ExploreError::Crashed
        }
    }
}

/// SIGKILL.
const SIGKILL: i32 = 9;
/// SIGXCPU; 24 on every system that enforces the limit of processor time.
const SIGXCPU: i32 = 24;

#[cfg(unix)]
fn signal(status: &ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(status)
}

#[cfg(not(unix))]
fn signal(_: &ExitStatus) -> Option<i32> {
    None
}

// The child's side of [`crate::explore::Apart`]: this process answers one query and exits.

#[cfg(unix)]
use std::time::Duration;

/// What a query process needs beside the query's memory, in bytes: the stack of the planning
/// thread, those of the reading threads, and the program's own data.
#[cfg(unix)]
const OVERHEAD: u64 = crate::explore::run::STACK as u64 + (96 << 20);
/// The maximum number of open files: the store's, the pipes and the runtime's.
#[cfg(unix)]
const FILES: u64 = 64;
/// Processor time beyond the query's time limit. The parent kills the child earlier, by the
/// wall clock; this limit holds if the parent is gone.
#[cfg(unix)]
const CPU_GRACE: Duration = Duration::from_secs(2);

/// The request that this process answers.
pub struct Asked {
    question: Question,
}

impl Asked {
    /// Reads the request from standard input, limits this process's resources, and starts a
    /// thread that exits the process when standard input is closed.
    ///
    /// # Errors
    /// When standard input does not contain a request.
    pub fn read() -> io::Result<Asked> {
        let mut input = io::stdin().lock();
        let mut line = String::new();
        input.read_line(&mut line)?;
        drop(input);
        let question: Question = serde_json::from_str(&line).map_err(|_| {
            io::Error::other("this command is for internal use; use `tickwire query \"SELECT …\"`")
        })?;
        limit(question.limits);
        std::thread::Builder::new().name("asker".into()).stack_size(64 << 10).spawn(|| {
            // The parent sends nothing more; the end of the input means that it has exited.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            std::process::exit(1);
        })?;
        Ok(Asked { question })
    }

    /// The location of the store, as given in [`Apart::store`].
    pub fn store(&self) -> &str {
        &self.question.store
    }

    /// Writes the answer to standard output: from `store`, or the error if it could not be
    /// opened.
    ///
    /// # Errors
    /// When standard output is closed because the parent has exited.
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

/// Limits this process's resources. Limits that the system does not support are skipped: the
/// time limit and the size of the answer are enforced everywhere.
#[cfg(unix)]
fn limit(limits: Limits) {
    use rlimit::Resource;

    let memory = limits.memory as u64 + OVERHEAD;
    let processor = (limits.time + CPU_GRACE).as_secs();
    for (resource, soft, hard) in [
        (Resource::DATA, memory, memory),
        // At the hard limit the process receives SIGKILL, as when memory runs out; SIGXCPU at
        // the soft limit tells the two apart.
        (Resource::CPU, processor, processor + 1),
        (Resource::NOFILE, FILES, FILES),
        // A core dump would contain the store's token.
        (Resource::CORE, 0, 0),
    ] {
        let most = resource.get_hard().unwrap_or(hard);
        let _ = resource.set(soft.min(most), hard.min(most));
    }
    // If the machine still runs out of memory, the kernel should kill this process first.
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
