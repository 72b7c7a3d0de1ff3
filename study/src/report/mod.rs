//! An event study as a report: text for a terminal, and one page of HTML with
//! pictures that needs nothing beside it.

mod page;
mod picture;
mod text;
pub mod words;

use std::collections::BTreeMap;

use crate::{Comparison, MeanPath, Options, Study};
use model::Article;

pub use page::page;
pub use picture::Drawing;
pub use text::text;

/// The minutes that tables show.
pub const MINUTES: [i64; 9] = [-30, -15, -5, 0, 1, 5, 15, 30, 60];

/// The name of the mean over all symbols together.
pub const ALL: &str = "all symbols";

/// What a report is made of.
pub struct Report<'a> {
    /// What was studied, in words.
    pub of: String,
    /// How.
    pub options: &'a Options,
    /// What came of it.
    pub study: &'a Study,
    /// Windows with and without news, by symbol.
    pub comparisons: &'a BTreeMap<String, Comparison>,
    /// The articles, for their headlines.
    pub articles: &'a [Article],
}

impl<'a> Report<'a> {
    /// Every mean path under its name; of several symbols also the one of all
    /// together, first.
    pub fn paths(&self) -> Vec<(&'a str, &'a MeanPath)> {
        let pooled = (self.study.symbols.len() > 1).then_some((ALL, &self.study.pooled));
        let each = self.study.symbols.iter().map(|symbol| (symbol.symbol.as_str(), &symbol.mean));
        pooled.into_iter().chain(each).collect()
    }
}
