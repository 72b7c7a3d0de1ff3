//! What a run measured, each number beside its goal: the lines of the table that all runs end in.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Goal {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
    /// Nothing: it stands there to compare with.
    None,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, in words.
    what: String,
    /// Its value, or why it could not be measured here.
    value: Result<f64, String>,
    unit: String,
    goal: Goal,
}

impl Figure {
    /// A number that was measured.
    pub fn measured(what: impl Into<String>, value: f64, unit: &str, goal: Goal) -> Figure {
        Figure { what: what.into(), value: Ok(value), unit: unit.to_owned(), goal }
    }

    /// A number that could not be had on this machine.
    pub fn skipped(what: impl Into<String>, why: impl Into<String>) -> Figure {
        Figure { what: what.into(), value: Err(why.into()), unit: String::new(), goal: Goal::None }
    }
}

impl Goal {
    /// Whether it is met; `None` where there is none.
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Goal::AtLeast(least) => Some(value >= least),
            Goal::AtMost(most) => Some(value <= most),
            Goal::None => None,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match &self.value {
            Ok(value) => *value,
            Err(why) => return write!(f, "{:<72} skipped: {why}", self.what),
        };
        let goal = match self.goal {
            Goal::AtLeast(least) => format!("≥ {}", number(least)),
            Goal::AtMost(most) => format!("≤ {}", number(most)),
            Goal::None => String::new(),
        };
        let met = match self.goal.is_met(value) {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        let value = format!("{} {}", number(value), self.unit);
        write!(f, "{:<72} {value:<22} {goal:<10} {met}", self.what)
    }
}

/// With three digits or more, as large as it is.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.2} M", value / 1e6),
        large if large >= 1e4 => format!("{:.0} k", value / 1e3),
        large if large >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// Adds lines of the table to a file, for whoever puts several runs together.
pub fn add_to(file: &Path, figures: &[Figure]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    for figure in figures {
        writeln!(out, "{}", serde_json::to_string(figure)?)?;
    }
    Ok(())
}

/// The lines that were added to a file.
pub fn read_from(file: &Path) -> anyhow::Result<Vec<Figure>> {
    let text = std::fs::read_to_string(file).context("a run left no figures")?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_its_goal_is_met() {
        let line = |value, goal| Figure::measured("encoding", value, "points/s", goal).to_string();
        assert!(line(1_500_000.0, Goal::AtLeast(1e6)).ends_with("1.50 M points/s        ≥ 1.00 M   met"));
        assert!(line(1_500_000.0, Goal::AtMost(1e6)).ends_with("missed"));
        assert!(!line(3.25, Goal::None).contains("m e t"));
        assert!(Figure::skipped("Telegraf", "none here").to_string().ends_with("skipped: none here"));
    }

    #[test]
    fn figures_come_back_from_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures");
        let figures = [Figure::measured("a", 0.1, "s", Goal::AtMost(2.0)), Figure::skipped("b", "no server")];
        add_to(&file, &figures[..1]).unwrap();
        add_to(&file, &figures[1..]).unwrap();
        assert_eq!(read_from(&file).unwrap(), figures);
    }
}
