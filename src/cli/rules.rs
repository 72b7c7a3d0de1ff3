//! What can be typed to show the alert rules and to change them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use control::rules::Rule;
use model::alert::Comparison;

use super::DataArgs;

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Show the alert rules
    List {
        /// As JSON, with their version, as `rules set` takes them
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Add a rule
    Add {
        #[command(flatten)]
        rule: RuleArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Change the threshold of a rule, its hysteresis, or both
    Adjust {
        /// The rule's name
        name: String,

        /// The threshold, in the signal's unit
        #[arg(long, value_name = "X", allow_negative_numbers = true, required_unless_present = "hysteresis")]
        threshold: Option<f64>,

        /// How far the signal must come back before an episode closes
        #[arg(long, value_name = "H", allow_negative_numbers = true)]
        hysteresis: Option<f64>,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Switch a rule on
    Enable {
        /// The rule's name
        name: String,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Switch a rule off, and keep it
    Disable {
        /// The rule's name
        name: String,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Remove a rule
    Remove {
        /// The rule's name
        name: String,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Put other rules in place of all
    Set {
        /// JSON, as `rules list --json` prints it or only its entries; `-` is standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,

        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Args)]
pub struct RuleArgs {
    /// What it is called: small letters, digits and hyphens, as volatility-spike
    pub name: String,

    /// The column of the job `signals` that it watches, as jump_share
    #[arg(long, value_name = "COLUMN")]
    pub signal: String,

    #[command(flatten)]
    condition: Condition,

    /// How far the signal must come back before an episode closes, and another may open
    #[arg(long, value_name = "H", default_value_t = 0.0, allow_negative_numbers = true)]
    hysteresis: f64,

    /// Only for this symbol; may be repeated [default: all]
    #[arg(long = "symbol", value_name = "S")]
    symbols: Vec<String>,

    /// What an alert means, in a sentence
    #[arg(long, value_name = "TEXT", default_value = "")]
    meaning: String,

    /// Add it switched off
    #[arg(long)]
    disabled: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Condition {
    /// Episodes above this value
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    above: Option<f64>,

    /// Episodes below this value
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    below: Option<f64>,

    /// Passages through this value
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    crosses: Option<f64>,
}

impl RuleArgs {
    /// The rule, not checked yet.
    pub fn rule(self) -> Rule {
        let Condition { above, below, crosses } = self.condition;
        let (comparison, threshold) = match (above, below, crosses) {
            (Some(threshold), ..) => (Comparison::Above, threshold),
            (_, Some(threshold), _) => (Comparison::Below, threshold),
            (.., threshold) => (Comparison::Crosses, threshold.unwrap_or_default()),
        };
        Rule {
            name: self.name,
            signal: self.signal,
            comparison,
            threshold,
            hysteresis: self.hysteresis,
            enabled: !self.disabled,
            symbols: self.symbols,
            meaning: self.meaning,
        }
    }
}
