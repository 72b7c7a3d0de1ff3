//! A story, and how the API shows it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

/// A story as the newsroom has it; times in epoch milliseconds, of which whole seconds are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Stable over edits: its path.
    pub id: String,
    /// article, liveblog …
    pub kind: String,
    /// The section's identity.
    pub section: String,
    /// The headline; may hold markup.
    pub headline: String,
    /// The sentence below it; holds markup.
    pub trail_text: String,
    /// Last publication, which may move.
    pub published: i64,
    /// Last modification.
    pub modified: i64,
    /// Replaces or, with null, takes away what a result would hold.
    pub result: BTreeMap<String, Value>,
}

impl Story {
    /// A story on business, published and last modified `at`.
    pub fn new(id: &str, headline: &str, at: i64) -> Story {
        Story {
            id: id.into(),
            kind: "article".into(),
            section: "business".into(),
            headline: headline.into(),
            trail_text: format!("<strong>More</strong> on this: {headline} &amp; what it means"),
            published: at,
            modified: at,
            result: BTreeMap::new(),
        }
    }

    /// The same in another section.
    pub fn in_section(self, section: &str) -> Story {
        Story { section: section.into(), ..self }
    }

    /// A result with the `fields` that were asked for.
    pub(super) fn shown(&self, fields: &str) -> Value {
        let asked = |field: &str| fields == "all" || fields.split(',').any(|name| name.trim() == field);
        let all = [
            ("headline", self.headline.clone()),
            ("trailText", self.trail_text.clone()),
            ("firstPublicationDate", iso(self.published)),
            ("lastModified", iso(self.modified)),
            ("wordcount", "420".into()),
        ];
        let shown: Map<_, _> = all
            .into_iter()
            .filter(|(name, _)| asked(name))
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect();
        let mut result = json!({
            "id": self.id,
            "type": self.kind,
            "sectionId": self.section,
            "sectionName": self.section.to_uppercase(),
            "webPublicationDate": iso(self.published),
            "webTitle": self.headline,
            "webUrl": format!("https://www.theguardian.com/{}", self.id),
            "apiUrl": format!("https://content.guardianapis.com/{}", self.id),
            "isHosted": false,
            "pillarId": "pillar/news",
            "pillarName": "News",
        });
        if !shown.is_empty() {
            result["fields"] = shown.into();
        }
        for (name, value) in &self.result {
            match value {
                Value::Null => result.as_object_mut().map(|result| result.remove(name)),
                value => result.as_object_mut().map(|result| result.insert(name.clone(), value.clone())),
            };
        }
        result
    }
}

fn iso(at: i64) -> String {
    let time = DateTime::from_timestamp_millis(at).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
