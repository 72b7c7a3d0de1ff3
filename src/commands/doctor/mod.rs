//! `tickwire doctor`: what is in order, what is not, and what to do about it.

mod data;
mod hosts;

use std::io::Write;

use anyhow::bail;

use crate::cli::DoctorArgs;
use crate::config::{self, Config};

/// What one check came to.
pub struct Finding {
    what: &'static str,
    state: State,
    said: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Not there, and not needed as things are set.
    Open,
    Wrong,
}

impl Finding {
    fn good(what: &'static str, said: impl Into<String>) -> Finding {
        Finding { what, state: State::Good, said: said.into() }
    }

    fn open(what: &'static str, said: impl Into<String>) -> Finding {
        Finding { what, state: State::Open, said: said.into() }
    }

    fn wrong(what: &'static str, said: impl Into<String>) -> Finding {
        Finding { what, state: State::Wrong, said: said.into() }
    }

    fn of(what: &'static str, outcome: Result<String, String>) -> Finding {
        match outcome {
            Ok(said) => Finding::good(what, said),
            Err(said) => Finding::wrong(what, said),
        }
    }
}

/// Checks everything and prints a line for each; fails when something is wrong.
pub async fn run(config: &Config, args: DoctorArgs) -> anyhow::Result<()> {
    let root = args.data_dir.as_deref().unwrap_or(&config.data_dir);
    let mut findings = vec![mode(config)];
    findings.extend(hosts::check(config).await);
    findings.extend(data::check(root, config).await);
    let mut out = std::io::stdout().lock();
    for Finding { what, state, said } in &findings {
        let mark = match state {
            State::Good => "ok   ",
            State::Open => "–    ",
            State::Wrong => "WRONG",
        };
        writeln!(out, "{mark}  {what:<14}  {said}")?;
    }
    match findings.iter().filter(|finding| finding.state == State::Wrong).count() {
        0 => Ok(()),
        1 => bail!("one thing is wrong: its line says what to do"),
        wrong => bail!("{wrong} things are wrong: their lines say what to do"),
    }
}

/// What `up` would do with these settings.
fn mode(config: &Config) -> Finding {
    const WHAT: &str = "sources";
    match config.sources() {
        Err(error) => Finding::wrong(WHAT, format!("{error:#}")),
        Ok(sources) if sources.are_live() => Finding::good(WHAT, "`tickwire up` goes live"),
        Ok(_) => match config.prices.as_deref() {
            Some(prices) => {
                Finding::good(WHAT, format!("`tickwire up` takes prices from `{prices}`, as set"))
            }
            None => Finding::open(
                WHAT,
                format!("`tickwire up` simulates: set {} to go live", config::live_keys()),
            ),
        },
    }
}
