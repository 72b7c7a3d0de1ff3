//! Running the command: in a folder of its own, to its end or beside the test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use log::{Append, EmbeddedLog, Log};
use model::DeadLetter;
use testkit::command::output;

/// How long anything may take before a test gives up; no test measures time.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What every key of the tests holds.
const MARK_OF_KEYS: &str = "key-4711";

/// A folder with files, and the command run in it. No key may be in anything
/// that the commands say, nor in the data that they leave.
pub struct Sandbox {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// A command that runs beside the test, and is killed with it.
pub struct Running {
    child: Child,
    errors: mpsc::Receiver<String>,
}

/// What a command that ended left behind.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub errors: String,
    /// The command line, the exit code and all that was printed, as the text of a snapshot.
    pub printed: String,
}

/// Compares a text with the snapshot of the test, or its next one, in `snapshots/`.
///
/// What differs between two machines or two runs is replaced first: ports, process ids,
/// times of today, names of runs, sizes of disks, and the version. `CONTRIBUTING.md` says how changed
/// words are accepted.
#[allow(unused_macros, reason = "shared with other tests, which compare no texts")]
macro_rules! assert_words {
    ($($name_and_text:expr),+ $(,)?) => {
        insta::with_settings!({
            filters => $crate::harness::VARYING.to_vec(),
            omit_expression => true,
        }, {
            insta::assert_snapshot!($($name_and_text),+);
        })
    };
}
#[allow(unused_imports, reason = "shared with other tests, which compare no texts")]
pub(crate) use assert_words;

/// What differs between two machines or two runs, as patterns, and what takes its place.
pub const VARYING: [(&str, &str); 8] = [
    // Ports that the system chose; those of examples and defaults have four digits.
    (r"((?:127\.0\.0\.1|0\.0\.0\.0|localhost):)\d{5}\b", "${1}[PORT]"),
    (r"\bprocess \d+", "process [PID]"),
    (r"\b20(?:2[5-9]|[3-9]\d)-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?", "[NOW]"),
    (r"\b(?:17[5-9]|1[89]\d|[2-9]\d\d)\d{10}\b", "[NOW]"),
    (r"\breplayed/[0-9a-f]{16}\b", "replayed/[HASH]"),
    (r"\btickwire \d+\.\d+\.\d+\b", "tickwire [VERSION]"),
    (r"\b[\d.]+ [MGT]B free\b", "[SIZE] free"),
    (r"\bwithin \d+ s of\b", "within [SECONDS] s of"),
];

impl Sandbox {
    pub fn new() -> Sandbox {
        Sandbox { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// The same desk, with a variable in the environment of every command.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Sandbox {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with `text` in it.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
        command.args(line.split_whitespace());
        self.furnished(command)
    }

    /// A command in this desk's folder, with its variables and nothing of the machine's.
    fn furnished(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path());
        // Nothing of the machine that the tests run on may reach them.
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("TICKWIRE_") || name.contains("_API_KEY"))
        {
            command.env_remove(name);
        }
        command.env("TICKWIRE_DATA_DIR", self.path("data")).env_remove("RUST_LOG");
        // At which helps are wrapped.
        command.env("COLUMNS", "100");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `tickwire LINE` to its end, with no file of more than `kilobytes`: a disk that is full.
    #[allow(dead_code, reason = "of the tests of faults")]
    pub fn run_within(&self, kilobytes: u32, line: &str) -> Ended {
        // Ignored, the signal for it becomes an error of the write.
        let limited = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
        let mut command = Command::new("sh");
        // In blocks of 512 bytes.
        command.args(["-c", limited, &(2 * kilobytes).to_string(), env!("CARGO_BIN_EXE_tickwire")]);
        command.args(line.split_whitespace());
        self.ended(line, &output(&mut self.furnished(command), ""))
    }

    /// Runs `tickwire LINE` to its end.
    pub fn run(&self, line: &str) -> Ended {
        self.ended(line, &output(&mut self.command(line), ""))
    }

    /// Runs `tickwire LINE`, which must succeed; gives its output.
    pub fn out(&self, line: &str) -> String {
        let ended = self.run(line);
        assert_eq!(ended.code, Some(0), "tickwire {line}\n{}", ended.errors);
        ended.out
    }

    /// Runs `tickwire LINE`, which must fail; gives what it said.
    pub fn refused(&self, line: &str) -> String {
        let ended = self.run(line);
        assert!(
            matches!(ended.code, Some(1 | 2)),
            "tickwire {line} ended with {:?}\n{}",
            ended.code,
            ended.errors
        );
        ended.errors
    }

    /// Runs `tickwire LINE` with `text` on its standard input.
    pub fn run_with(&self, line: &str, text: &str) -> Ended {
        self.ended(line, &output(&mut self.command(line), text))
    }

    /// Runs `tickwire LINE` for each of `lines`, in their order; gives all that they printed.
    pub fn printed(&self, lines: &[&str]) -> String {
        lines.iter().map(|line| self.run(line).printed).collect()
    }

    fn ended(&self, line: &str, output: &Output) -> Ended {
        assert_no_key("the output", &output.stdout);
        assert_no_key("the errors", &output.stderr);
        let code = output.status.code();
        let out = String::from_utf8(output.stdout.clone()).unwrap();
        let errors = String::from_utf8(output.stderr.clone()).unwrap();
        let exit = code.map_or("killed".to_owned(), |code| format!("exit code {code}"));
        let mut printed = format!("$ tickwire {line}\n[{exit}]\n");
        for (name, text) in [("output", &out), ("errors", &errors)] {
            if !text.is_empty() {
                printed += &format!("[{name}]\n{}\n", text.trim_end_matches('\n'));
            }
        }
        printed.push('\n');
        Ended { code, printed: self.without_folders(&printed), out, errors }
    }

    /// `text` with names in the place of the folders of this desk and of the repository.
    pub fn without_folders(&self, text: &str) -> String {
        let folder = self.folder.path();
        let mut text = text.to_owned();
        for folder in folder.canonicalize().iter().map(PathBuf::as_path).chain([folder]) {
            text = text.replace(folder.to_str().unwrap(), "[FOLDER]");
        }
        text.replace(env!("CARGO_MANIFEST_DIR"), "[REPOSITORY]")
    }

    /// Runs `tickwire LINE` with `text` on its standard input, which must succeed; gives its output.
    pub fn out_of(&self, line: &str, text: &str) -> String {
        let ended = self.run_with(line, text);
        assert_eq!(ended.code, Some(0), "tickwire {line} < {text}\n{}", ended.errors);
        ended.out
    }

    /// Starts `tickwire LINE` beside the test.
    pub fn start(&self, line: &str) -> Running {
        let mut child = self
            .command(line)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, errors) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Running { child, errors }
    }

    /// Puts a dead letter, as JSON, into the log of the last run.
    pub fn append_letter(&self, letter: &str) {
        let letter: DeadLetter = serde_json::from_str(letter).unwrap();
        self.append(vec![letter.to_append()]);
    }

    /// Puts records into the log of the last run, while nobody runs.
    pub fn append(&self, records: Vec<Append>) {
        let run = std::fs::read_to_string(self.path("data/last-run")).unwrap();
        let log = EmbeddedLog::open(&self.path("data").join(run.trim()).join("log.db"), 1).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(log.append(records)).unwrap();
    }

    /// Replays `bars` to the end, as far as the store.
    pub fn replay(&self, bars: &Path) {
        self.out(&replay_line(bars));
    }
}

/// The line that replays `bars` to the end.
pub fn replay_line(bars: &Path) -> String {
    format!("up --listen 127.0.0.1:0 --prices replay:{} --speed max --exit-when-done", bars.display())
}

impl Running {
    /// Waits for the line on standard error that holds `text`.
    pub fn said(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut heard = String::new();
        loop {
            match self.errors.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    assert_no_key("a log line", line.as_bytes());
                    if line.contains(text) {
                        return line;
                    }
                    heard.push_str(&(line + "\n"));
                }
                Err(_) => panic!("`{text}` was not said, but:\n{heard}"),
            }
        }
    }

    /// Waits for the line on standard error that holds `text`, or for the end of the process;
    /// returns the exit code in the second case.
    #[allow(dead_code, reason = "of the tests of faults")]
    pub fn said_or_ended(&mut self, text: &str) -> Option<Option<i32>> {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.errors.recv_timeout(until.saturating_duration_since(Instant::now())) {
            assert_no_key("a log line", line.as_bytes());
            if line.contains(text) {
                return None;
            }
        }
        Some(self.ended())
    }

    /// The lines on standard error that were not read yet.
    #[allow(dead_code, reason = "of the tests of faults")]
    pub fn unread(&self) -> String {
        self.errors.try_iter().map(|line| line + "\n").collect()
    }

    /// The address at which the page is served.
    pub fn address(&self) -> String {
        let line = self.said("http://");
        let rest = line.split("http://").nth(1).unwrap();
        rest.split_whitespace().next().unwrap().trim_end_matches(['.', '/']).to_owned()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code, once it has ended.
    #[allow(dead_code, reason = "of the tests of faults")]
    pub fn has_ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, as `INT` or `KILL`.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; gives its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        wait_for("the command to end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let until = Instant::now() + PATIENCE;
            loop {
                match self.errors.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(line) => assert_no_key("a log line", line.as_bytes()),
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("a process of it outlives it"),
                }
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            search_for_keys(&self.path("data"));
        }
    }
}

fn search_for_keys(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match std::fs::read(&path) {
            Ok(bytes) => assert_no_key(&path.display().to_string(), &bytes),
            Err(_) => search_for_keys(&path),
        }
    }
}

/// Fails where `bytes`, which are `what`, hold a key.
pub fn assert_no_key(what: &str, bytes: &[u8]) {
    let holds = bytes.windows(MARK_OF_KEYS.len()).any(|part| part == MARK_OF_KEYS.as_bytes());
    // The key itself is no better off in the message.
    assert!(!holds, "{what} holds a key");
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The bars that ship with the repository.
pub fn sample_bars() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample/bars.csv")
}

/// A port that nothing listens at, held by the caller.
pub fn taken_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}
