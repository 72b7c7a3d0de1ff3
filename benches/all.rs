//! Every question in turn, each in a process of its own, and one table of all figures.

use std::fmt;
use std::process::Command;

use anyhow::Context;
use clap::Args;

use crate::Answer;
use crate::figures::{self, Figure};

/// How the questions are asked, as on the command line.
const QUESTIONS: [&str; 12] = [
    "line-protocol",
    "polygon-frames",
    "appends",
    "log-to-store",
    "volatility",
    "streaming",
    "market-minute",
    "closing-minute",
    "dashboard",
    "whole-program",
    "viewers",
    "watchlist-changes",
];

/// Which of them.
#[derive(Args)]
pub struct Wanted {
    /// Only these questions
    #[arg(value_name = "QUESTION")]
    only: Vec<String>,
}

/// The figures of every question, or why it has none.
pub struct Table(Vec<(String, anyhow::Result<Vec<Figure>>)>);

/// Asks one question after the other; one that fails keeps no other from being asked.
pub fn run(wanted: &Wanted) -> anyhow::Result<Table> {
    let program = std::env::current_exe()?;
    let folder = tempfile::tempdir()?;
    let asked = QUESTIONS
        .iter()
        .filter(|question| wanted.only.is_empty() || wanted.only.iter().any(|only| only == *question));
    let ask = |question: &&str| {
        let file = folder.path().join(question);
        let ended = Command::new(&program).arg(question).arg("--figures").arg(&file).status()?;
        anyhow::ensure!(ended.success(), "it failed; the reason stands above");
        figures::read_from(&file)
    };
    Ok(Table(asked.map(|question| ((*question).to_owned(), ask(question).context("no figures"))).collect()))
}

impl Answer for Table {
    fn figures(&self) -> Vec<Figure> {
        self.0.iter().filter_map(|(_, figures)| figures.as_ref().ok()).flatten().cloned().collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (question, figures) in &self.0 {
            writeln!(f, "\n{question}")?;
            match figures {
                Ok(figures) => figures.iter().try_for_each(|figure| writeln!(f, "  {figure}"))?,
                Err(error) => writeln!(f, "  {error:#}")?,
            }
        }
        Ok(())
    }
}
