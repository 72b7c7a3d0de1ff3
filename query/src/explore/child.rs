//! The other side of [`crate::explore::Apart`]: one question, answered by this process, which
//! does nothing else and ends with it.

use std::io::{self, BufRead};
#[cfg(unix)]
use std::time::Duration;

use store::SharedStore;

use crate::explore::apart::{Question, write};
use crate::explore::{ExploreError, Explorer, Limits};

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
            if !matches!(part, Ok(crate::explore::run::Part::Rows(_))) {
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
