//! One service as a process: what it says, how it is, and how it dies.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up; no test measures time.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A service, killed with the test.
pub struct Process {
    child: Mutex<Child>,
    lines: Arc<Mutex<Vec<String>>>,
    /// Where its health and metrics are told.
    pub address: String,
}

impl Process {
    /// Starts what `command` says, and waits until it tells where its health is.
    pub fn start(mut command: Command) -> Process {
        command.env("TICKWIRE_METRICS__LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (output, heard) = (BufReader::new(child.stderr.take().unwrap()).lines(), lines.clone());
        std::thread::spawn(move || {
            output.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        });
        let mut process = Process { child: Mutex::new(child), lines, address: String::new() };
        let told = process.said("Health and metrics are served");
        process.address = format!("http://{}", told.split("address=").nth(1).unwrap().trim());
        process
    }

    /// Waits for a line that holds `text`.
    pub fn said(&self, text: &str) -> String {
        let found = || self.lines().into_iter().find(|line| line.contains(text));
        self.wait_for(&format!("`{text}`"), found, || self.lines().join("\n"))
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How often it said something that holds `text`.
    pub fn times_said(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until `/readyz` answers with `status` and with `text` somewhere.
    pub fn answers(&self, status: u16, text: &str) -> String {
        let last = Mutex::default();
        let asked = || {
            let (found, body) = ask(&format!("{}/readyz", self.address))?;
            *last.lock().unwrap() = format!("{found}: {body}");
            (found == status && body.contains(text)).then_some(body)
        };
        let said = || format!("{}\nand last answered {}", self.lines().join("\n"), last.lock().unwrap());
        self.wait_for(&format!("{status} with `{text}` at /readyz"), asked, said)
    }

    /// Waits until it has read or written `records` in all, or has ended.
    pub fn is_under_load(&self, records: f64) {
        let passed = || {
            let read = metric(&self.address, "tickwire_records_read_total");
            read + metric(&self.address, "tickwire_records_appended_total") >= records
        };
        let ended = || self.status().is_some();
        wait_for("records to pass", || (passed() || ended()).then_some(()), || self.lines().join("\n"));
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Sends it a signal by name, as `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let id = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Asks it to end; gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let id = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.ended()
    }

    /// Waits for its end; gives its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        wait_for("its end", || self.status(), || self.lines().join("\n")).code()
    }

    /// How it ended, once it has.
    fn status(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    /// Waits for what only a process that runs can bring; one that has ended is told with
    /// its exit code or signal, so that a crash is not taken for slowness.
    fn wait_for<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>, said: impl Fn() -> String) -> T {
        let found = wait_for(
            what,
            || match ask() {
                Some(found) => Some(Ok(found)),
                // Its last lines may still be on their way.
                None => self.status().map(|status| {
                    std::thread::sleep(Duration::from_secs(1));
                    ask().ok_or(status)
                }),
            },
            &said,
        );
        found.unwrap_or_else(|status| panic!("ended ({status}) before {what}; it said:\n{}", said()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>, said: impl Fn() -> String) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}; it said:\n{}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The sum of a metric over all its labels; 0 where nobody answers.
fn metric(address: &str, name: &str) -> f64 {
    let Some((200, text)) = ask(&format!("{address}/metrics")) else { return 0.0 };
    let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Status and body of an HTTP answer, if there is one.
fn ask(url: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
