//! Commands that a test runs to their end, and no longer than it waits for anything.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a command may take before a test gives up; no test measures time.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs `command` to its end, with `input` on its standard input.
///
/// # Panics
/// When the command does not start, or when five minutes later it runs or a process that
/// it started holds its output open: with what it printed until then.
pub fn output(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let id = child.id().to_string();
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // Beside the reading, as a command may print before it has read all; one that ends
    // before that closes the pipe.
    std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let in_time = end.recv_timeout(PATIENCE);
    if let Ok(output) = in_time {
        return output.expect("its output can be read");
    }
    let _ = Command::new("kill").args(["-KILL", &id]).status();
    let printed = end.recv_timeout(Duration::from_secs(10)).ok().and_then(Result::ok);
    panic!("{command:?} did not end within {PATIENCE:?}; it printed: {printed:?}");
}
