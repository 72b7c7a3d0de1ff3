//! From the start of the process until its page answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Program;
use crate::dashboard::History;

/// How long a start may take before something must be broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the page is asked.
const LOOK: Duration = Duration::from_millis(2);

/// How large the history was, and how long each start took.
pub fn run(
    program: &Path,
    symbols: usize,
    days: usize,
    starts: usize,
) -> anyhow::Result<(u64, Vec<Duration>)> {
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("simulated");
    std::fs::create_dir_all(&run)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let made = runtime.block_on(History { symbols, days }.store(&run))?;
    let store = run.join("store.db");
    std::fs::rename(made, &store)?;
    // Or the first start would wait until the disk has all of it.
    std::fs::File::open(&store)?.sync_all()?;
    let times = (0..starts).map(|_| once(program, folder.path())).collect::<anyhow::Result<_>>()?;
    Ok((store.metadata()?.len(), times))
}

fn once(program: &Path, data: &Path) -> anyhow::Result<Duration> {
    // Free for the moment in which the program takes it.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let begun = Instant::now();
    let _running = Program::up(program, data, &["--listen".as_ref(), address.to_string().as_ref()])?;
    while !answers(address) {
        ensure!(begun.elapsed() < PATIENCE, "the page never answers");
        std::thread::sleep(LOOK);
    }
    Ok(begun.elapsed())
}

/// Whether the first page comes whole.
fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut page = String::new();
    stream.write_all(asked.as_bytes()).is_ok()
        && stream.read_to_string(&mut page).is_ok()
        && page.starts_with("HTTP/1.1 200")
        && page.trim_end().ends_with("</html>")
}
