//! The report as one page of HTML, with its pictures and its style in it and
//! without a script.

use std::collections::BTreeMap;

use crate::{MeanPath, Reaction};
use askama::Template;
use model::time;

use crate::report::picture::{self, Drawing};
use crate::report::{ALL, MINUTES, Report, words};

/// So many articles of a symbol are listed, those with the largest reactions.
const LISTED: usize = 100;
/// The minute by which reactions are compared.
const COMPARED: i64 = 30;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    heading: String,
    confidence: f64,
    sections: Vec<Section>,
}

/// A symbol, or all of them together.
struct Section {
    name: String,
    about: String,
    notes: Vec<String>,
    picture: Option<String>,
    minutes: Vec<[String; 5]>,
    articles: Vec<Line>,
    more: usize,
}

/// An article in the list of its symbol.
struct Line {
    headline: String,
    at: String,
    reactions: Vec<String>,
    left_out: String,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A picture could not be drawn.
    #[error(transparent)]
    Drawing(#[from] Drawing),
    /// The page could not be put together.
    #[error("the page could not be written: {0}")]
    Template(#[from] askama::Error),
}

/// The report as a page.
///
/// # Errors
/// When a picture cannot be drawn.
pub fn page(report: &Report<'_>) -> Result<String, PageError> {
    let headlines: BTreeMap<&str, &str> =
        report.articles.iter().map(|article| (article.id.as_str(), article.headline.as_str())).collect();
    let mut sections = Vec::new();
    if report.study.symbols.len() > 1 {
        let about = format!("{} articles used", report.study.pooled.events);
        sections.push(section(ALL, about, &report.study.pooled)?);
    }
    for symbol in &report.study.symbols {
        let mut section = section(&symbol.symbol, words::articles(symbol), &symbol.mean)?;
        section.notes.extend(words::splits(symbol));
        section.notes.extend(report.comparisons.get(&symbol.symbol).and_then(words::jumps));
        section.list(&symbol.reactions, &headlines);
        sections.push(section);
    }
    let page =
        Page { heading: words::heading(report), confidence: 100.0 * report.options.confidence, sections };
    Ok(page.render()?)
}

fn section(name: &str, about: String, path: &MeanPath) -> Result<Section, Drawing> {
    let minutes = MINUTES.iter().filter_map(|&minute| path.minute(minute)).filter_map(|minute| {
        let cumulative = Some(minute.cumulative?);
        Some([
            minute.minute.to_string(),
            words::mean(cumulative),
            words::band(cumulative),
            words::times(minute.abnormal_volume),
            minute.cumulative?.count.to_string(),
        ])
    });
    Ok(Section {
        name: name.to_owned(),
        about,
        notes: words::run_up(path.run_up()).into_iter().collect(),
        picture: (path.events > 0).then(|| picture::of(name, path)).transpose()?,
        minutes: minutes.collect(),
        articles: Vec::new(),
        more: 0,
    })
}

impl Section {
    fn list(&mut self, reactions: &[Reaction], headlines: &BTreeMap<&str, &str>) {
        let cumulative = |reaction: &Reaction, minute| reaction.path.as_ref()?.minute(minute)?.cumulative;
        let size = |reaction: &Reaction| cumulative(reaction, COMPARED).map_or(-1.0, f64::abs);
        let mut largest: Vec<&Reaction> = reactions.iter().collect();
        largest.sort_by(|one, other| size(other).total_cmp(&size(one)));
        self.more = largest.len().saturating_sub(LISTED);
        let line = |reaction: &&Reaction| Line {
            headline: headlines.get(reaction.id.as_str()).copied().unwrap_or(&reaction.id).to_owned(),
            at: time::rfc3339(reaction.at),
            reactions: [5, COMPARED, 60]
                .map(|minute| cumulative(reaction, minute).map_or_else(|| "–".into(), words::percent))
                .into(),
            left_out: reaction.left_out.map(|reason| reason.reason().to_owned()).unwrap_or_default(),
        };
        self.articles = largest.iter().take(LISTED).map(line).collect();
    }
}
