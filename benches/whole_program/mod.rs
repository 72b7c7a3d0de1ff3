//! The program itself: how soon does its page answer with a gigabyte of history,
//! and how much memory does a month of a hundred symbols take?

mod memory;
mod start;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::figures::{Figure, Goal, percentile};
use memory::Month;

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Symbols of the history that lies in the data folder at the start
    #[arg(long, default_value_t = 500)]
    stored_symbols: usize,
    /// Its days
    #[arg(long, default_value_t = 20)]
    stored_days: usize,
    /// How often the program is started
    #[arg(long, default_value_t = 10)]
    starts: usize,
    /// Symbols that are watched
    #[arg(long, default_value_t = 100)]
    symbols: usize,
    /// Trading days that they are watched
    #[arg(long, default_value_t = 21)]
    days: usize,
    /// The program [default: the one built beside this one]
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,
}

/// What came out; nothing where the program has not been built.
pub struct Answer(Option<Measured>);

struct Measured {
    /// What lay in the data folder.
    bytes: u64,
    starts: Vec<Duration>,
    month: Month,
}

/// Starts it often, then lets it watch.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let Some(program) = wanted.program.clone().or_else(beside_this) else { return Ok(Answer(None)) };
    let (bytes, starts) = start::run(&program, wanted.stored_symbols, wanted.stored_days, wanted.starts)?;
    let month = memory::run(&program, wanted.symbols, wanted.days)?;
    Ok(Answer(Some(Measured { bytes, starts, month })))
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let Some(Measured { starts, month, .. }) = &self.0 else {
            let why = "no `tickwire` stands beside this program: cargo build --release --bin tickwire";
            return vec![Figure::skipped("the whole program", why)];
        };
        let millis = percentile(starts, 1.0).as_secs_f64() * 1e3;
        let mebibytes = |kibibytes: u64| kibibytes as f64 / 1_024.0;
        vec![
            Figure::measured(
                "from the start until the page answers, slowest",
                millis,
                "ms",
                Goal::AtMost(300.0),
            ),
            Figure::measured(
                "a month at full speed, peak memory",
                mebibytes(month.peak()),
                "MiB",
                Goal::AtMost(150.0),
            ),
            Figure::measured(
                "its second half's peak, beside that of its first",
                month.growth(),
                "times",
                Goal::None,
            ),
            Figure::measured(
                "bars a second through all jobs, by the clock",
                month.rate(),
                "bars/s",
                Goal::None,
            ),
        ]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Measured { bytes, starts, .. }) = &self.0 {
            let at = |share| percentile(starts, share).as_millis();
            let gigabytes = *bytes as f64 / 1e9;
            writeln!(
                f,
                "{} starts over {gigabytes:.2} GB: {} ms median, {} ms slowest",
                starts.len(),
                at(0.5),
                at(1.0)
            )?;
        }
        crate::Answer::figures(self).iter().try_for_each(|figure| writeln!(f, "  {figure}"))
    }
}

// `tickwire` as a process of its own, with settings of its own.

/// The one that was built with this program.
fn beside_this() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    this.ancestors().skip(1).take(2).map(|folder| folder.join("tickwire")).find(|program| program.is_file())
}

/// Ends with this.
struct Program(pub Child);

impl Program {
    /// `tickwire up` over a data folder, with nothing of this user's settings.
    pub fn up(program: &Path, data: &Path, arguments: &[&OsStr]) -> anyhow::Result<Program> {
        let own = |name: &str| name.starts_with("TICKWIRE_") || name.ends_with("_API_KEY");
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
            command.env_remove(name);
        }
        command.current_dir(data).arg("up").arg("--data-dir").arg(data).args(arguments);
        let child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("it does not start")?;
        Ok(Program(child))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_answers_and_a_day_is_watched_to_its_end() {
        let _alone = crate::ALONE.lock();
        let wanted =
            Wanted { stored_symbols: 2, stored_days: 1, starts: 2, symbols: 2, days: 1, program: None };
        let answer = run(&wanted).unwrap();
        // Where the program has not been built, that is said.
        let Some(measured) = answer.0 else { return };
        assert_eq!(measured.starts.len(), 2);
        assert!(measured.month.peak() > 0);
    }
}
