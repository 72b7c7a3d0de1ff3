//! What every polled news feed needs once: whose turn it is ([`Schedule`]) within the calls of
//! a day ([`DayQuota`]), what to do about failures ([`FailureTracker`]), until when the news is
//! complete ([`coverage`]), and what goes onto the topic ([`ArticleWriter`]).

mod coverage;
mod failures;
mod quota;
mod schedule;
mod seen;
mod writer;

use model::time::Millis;

pub use coverage::{Coverage, Progress, coverage};
pub use failures::FailureTracker;
pub use quota::DayQuota;
pub use schedule::{LONGEST, SHORTEST, Schedule};
pub use seen::{SeenArticles, Sighting};
pub use writer::ArticleWriter;

/// An article as a search finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What tells it from others, as long as it lives.
    pub id: String,
    /// Its kind, as `article`.
    pub kind: Option<String>,
    /// The section that it stands in.
    pub section_id: Option<String>,
    /// The name of that section.
    pub section_name: Option<String>,
    /// What the section belongs to.
    pub pillar: Option<String>,
    /// Plain text.
    pub headline: String,
    /// Where it is to be read.
    pub url: String,
    /// Last publication, which may move; epoch milliseconds.
    pub published: Millis,
    /// Last modification, where it is known; epoch milliseconds.
    pub updated: Option<Millis>,
    /// As received.
    pub raw: Box<str>,
}

/// A result that is not a valid article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadItem {
    /// Why it is not valid.
    pub reason: String,
    /// As received.
    pub raw: Box<str>,
}
