//! `/search`: which stories a query finds, in which order, and on which page.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};

use super::story::Story;

/// A page of what was found.
pub(super) struct Page {
    pub(super) stories: Vec<Story>,
    pub(super) total: usize,
    pub(super) page: usize,
    pub(super) page_size: usize,
}

impl Page {
    pub(super) fn pages(&self) -> usize {
        self.total.div_ceil(self.page_size)
    }
}

/// Answers `parameters`, or says why not in the words of the API.
pub(super) fn search(
    stories: &[Story],
    parameters: &BTreeMap<String, String>,
    deepest: usize,
) -> Result<Page, String> {
    let parameter = |name: &str| parameters.get(name).map(String::as_str);
    let number = |name: &str, default: usize| parameter(name).map_or(Ok(default), str::parse);
    let (Ok(page), Ok(page_size)) = (number("page", 1), number("page-size", 10)) else {
        return Err("page and page-size must be integers".into());
    };
    if page < 1 || !(1..=200).contains(&page_size) {
        return Err("page-size must be an integer between 0 and 200".into());
    }
    let (from, to) = (date(parameter("from-date"), i64::MIN)?, date(parameter("to-date"), i64::MAX)?);
    let time = |story: &Story, by: Option<&str>| match by {
        // Whole seconds, as shown.
        Some("last-modified") => story.modified.div_euclid(1_000) * 1_000,
        _ => story.published.div_euclid(1_000) * 1_000,
    };
    let sections = parameter("section");
    let mut found: Vec<&Story> = stories
        .iter()
        .filter(|story| parameter("q").is_none_or(|q| matches(q, story)))
        .filter(|story| sections.is_none_or(|sections| sections.split('|').any(|id| id == story.section)))
        .filter(|story| (from..=to).contains(&time(story, parameter("use-date"))))
        .collect();
    let order = parameter("order-date").or(parameter("use-date"));
    found.sort_by_key(|story| (time(story, order), story.id.clone()));
    if parameter("order-by") != Some("oldest") {
        found.reverse();
    }
    let first = (page - 1) * page_size;
    if first >= deepest {
        return Err("Content API does not support paging this far. Please change page or page-size or consider filtering using a date range.".into());
    }
    if page > 1 && first >= found.len() {
        return Err("requested page is beyond the number of available pages".into());
    }
    let stories = found.iter().skip(first).take(page_size).map(|story| (*story).clone()).collect();
    Ok(Page { stories, total: found.len(), page, page_size })
}

fn date(text: Option<&str>, default: i64) -> Result<i64, String> {
    let Some(text) = text else { return Ok(default) };
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    match text.parse::<NaiveDate>() {
        Ok(date) => Ok(date.and_time(Default::default()).and_utc().timestamp_millis()),
        Err(_) => Err(format!("The date {text} must be an ISO8601 date or datetime")),
    }
}

/// Words and "exact phrases" with OR and AND between them; words side by side must all be there.
fn matches(q: &str, story: &Story) -> bool {
    let text = format!("{} {}", story.headline, story.trail_text).to_lowercase();
    let holds = |phrase: &str| match phrase.trim().strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
        Some(exact) => text.contains(&exact.to_lowercase()),
        None => phrase.split_whitespace().all(|word| text.contains(&word.to_lowercase())),
    };
    q.split(" OR ").any(|alternative| alternative.split(" AND ").all(holds))
}
