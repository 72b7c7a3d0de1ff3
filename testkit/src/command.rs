//! Runs commands with a timeout.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The timeout of a command; generous, because no test measures time.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs `command` to its end, with `input` on its standard input.
///
/// # Panics
/// When the command does not start, or when it, or a process that it started and that holds its
/// output open, still runs after five minutes; the message contains the output so far.
pub fn output(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let id = child.id().to_string();
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // On a thread of its own, because a command may print before it has read everything; a
    // command that ends first closes the pipe.
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
