//! The description of the alarms, and the two files that are made of it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

/// Where operators read what to do, beside what the alarm's title becomes as an anchor.
pub const RUNBOOK: &str = "docs/operations.md";

#[derive(Deserialize)]
struct Description {
    alarm: Vec<Alarm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// What it is called in Prometheus, in capitals and small letters.
    pub name: String,
    /// What people read; also the title of its paragraph.
    pub title: String,
    pub severity: String,
    /// How long there must be cause before it fires.
    pub r#for: String,
    pub summary: String,
    pub prometheus: String,
    pub points: Option<Points>,
}

/// The condition over the points of `pipeline`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// All, where it names none.
    pub services: Vec<String>,
    pub figures: Vec<String>,
    pub minutes: u32,
    pub take: Take,
    pub above: Option<f64>,
    pub below: Option<f64>,
    #[serde(default)]
    pub silence: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    Last,
    Rise,
    Count,
}

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every alarm.
pub fn alarms() -> Vec<Alarm> {
    let file = Toml::file_exact(path("monitoring/alarms.toml"));
    Figment::from(file).extract::<Description>().unwrap().alarm
}

impl Alarm {
    /// The anchor of its paragraph, as renderers of Markdown make it of the title.
    pub fn anchor(&self) -> String {
        self.title.to_lowercase().replace(' ', "-")
    }

    /// Its name in Grafana: `price-feed-down` for `PriceFeedDown`.
    pub fn uid(&self) -> String {
        let mut uid = "tickwire".to_owned();
        for letter in self.name.chars() {
            if letter.is_uppercase() {
                uid.push('-');
            }
            uid.extend(letter.to_lowercase());
        }
        uid
    }
}

impl Points {
    /// The query: a series a service and figure.
    pub fn flux(&self) -> Vec<String> {
        let any = |tag: &str, names: &[String]| {
            names.iter().map(|name| format!("r.{tag} == \"{name}\"")).collect::<Vec<_>>().join(" or ")
        };
        let mut lines = vec![
            "from(bucket: v.defaultBucket)".to_owned(),
            "  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)".to_owned(),
            "  |> filter(fn: (r) => r._measurement == \"pipeline\")".to_owned(),
            "  |> filter(fn: (r) => r._field == \"value\")".to_owned(),
            format!("  |> filter(fn: (r) => {})", any("figure", &self.figures)),
        ];
        if !self.services.is_empty() {
            lines.push(format!("  |> filter(fn: (r) => {})", any("service", &self.services)));
        }
        if self.take == Take::Rise {
            lines.push("  |> difference(nonNegative: true)".to_owned());
        }
        lines.push("  |> keep(columns: [\"_time\", \"service\", \"figure\", \"_value\"])".to_owned());
        lines.push("  |> group(columns: [\"service\", \"figure\"])".to_owned());
        lines
    }

    fn reducer(&self) -> &'static str {
        match self.take {
            Take::Last => "last",
            Take::Rise => "sum",
            Take::Count => "count",
        }
    }

    /// Grafana's name of the comparison, and the number.
    fn threshold(&self) -> (&'static str, f64) {
        match (self.above, self.below) {
            (Some(above), None) => ("gt", above),
            (None, Some(below)) => ("lt", below),
            _ => panic!("an alarm is `above` or `below` a number: {self:?}"),
        }
    }

    /// Whether values, oldest first, of one series are cause for alarm.
    pub fn fires(&self, values: &[f64]) -> bool {
        let taken = match self.take {
            Take::Last => values.last().copied(),
            Take::Rise => Some(values.iter().sum()),
            Take::Count => Some(values.len() as f64),
        };
        let over = |value: f64| match self.threshold() {
            ("gt", number) => value > number,
            (_, number) => value < number,
        };
        taken.is_some_and(over)
    }
}

/// The rules of Grafana.
pub fn grafana(alarms: &[Alarm]) -> String {
    let mut text = "# Made of monitoring/alarms.toml; change that, and write this anew:
# WRITE_ALARMS=1 cargo test --test alarms
apiVersion: 1

groups:
  - orgId: 1
    name: pipeline
    folder: Tickwire
    interval: 1m
    rules:
"
    .to_owned();
    for alarm in alarms {
        let Some(points) = &alarm.points else { continue };
        let (operator, number) = points.threshold();
        let silence = if points.silence { "Alerting" } else { "OK" };
        write!(
            text,
            "      - uid: {uid}
        title: {title}
        condition: C
        for: {time}
        noDataState: {silence}
        # Where the store does not answer nothing is known, which is cause for alarm.
        execErrState: Alerting
        annotations:
          summary: {summary}
          runbook_url: {RUNBOOK}#{anchor}
        labels: {{severity: {severity}}}
        data:
          - refId: A
            relativeTimeRange: {{from: {seconds}, to: 0}}
            datasourceUid: tickwire
            model:
              refId: A
              query: |
                {flux}
          - refId: B
            datasourceUid: __expr__
            model: {{refId: B, type: reduce, expression: A, reducer: {reducer}}}
          - refId: C
            datasourceUid: __expr__
            model:
              refId: C
              type: threshold
              expression: B
              conditions: [{{evaluator: {{type: {operator}, params: [{number}]}}}}]
",
            uid = alarm.uid(),
            title = quoted(&alarm.title),
            time = alarm.r#for,
            summary = quoted(&alarm.summary),
            anchor = alarm.anchor(),
            severity = alarm.severity,
            seconds = points.minutes * 60,
            flux = points.flux().join("\n                "),
            reducer = points.reducer(),
        )
        .unwrap();
    }
    text
}

/// The rules of Prometheus.
pub fn prometheus(alarms: &[Alarm]) -> String {
    let mut text = "# Made of alarms.toml; change that, and write this anew:
# WRITE_ALARMS=1 cargo test --test alarms
groups:
  - name: tickwire
    rules:
"
    .to_owned();
    for alarm in alarms {
        write!(
            text,
            "      - alert: {}
        expr: {}
        for: {}
        labels: {{severity: {}}}
        annotations:
          title: {}
          summary: {}
          runbook_url: {RUNBOOK}#{}
",
            alarm.name,
            quoted(&alarm.prometheus),
            alarm.r#for,
            alarm.severity,
            quoted(&alarm.title),
            quoted(&alarm.summary),
            alarm.anchor(),
        )
        .unwrap();
    }
    text
}

/// A text as YAML has it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

// What is checked in is what the description says, and leads to a paragraph that helps.

/// Set to write the files anew.
const WRITE: &str = "WRITE_ALARMS";

#[test]
fn the_rules_of_grafana_and_prometheus_are_made_of_one_description() {
    let alarms = alarms();
    for (file, made) in [
        ("grafana/provisioning/alerting/rules.yaml", grafana(&alarms)),
        ("monitoring/rules.yml", prometheus(&alarms)),
    ] {
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(path(file), &made).unwrap();
        }
        let held = std::fs::read_to_string(path(file)).unwrap_or_default();
        assert!(
            held == made,
            "{file} is not what monitoring/alarms.toml says: {WRITE}=1 cargo test --test alarms"
        );
    }
}

#[test]
fn every_alarm_leads_to_a_paragraph_that_says_what_to_do() {
    let text = std::fs::read_to_string(path(RUNBOOK)).unwrap();
    let alarms = alarms();
    let names: BTreeSet<_> = alarms.iter().map(|alarm| alarm.name.clone()).collect();
    assert_eq!(names.len(), alarms.len(), "a name stands twice");
    for alarm in &alarms {
        let heading = format!("\n### {}\n", alarm.title);
        let (_, paragraph) = text.split_once(&heading).unwrap_or_else(|| {
            panic!("{RUNBOOK} has no paragraph `### {}`, which {} leads to", alarm.title, alarm.name)
        });
        let paragraph = paragraph.split("\n#").next().unwrap();
        assert!(paragraph.split_whitespace().count() >= 15, "{}: {paragraph}", alarm.title);
        assert!(["critical", "warning"].contains(&alarm.severity.as_str()), "{}", alarm.name);
    }
    let listed = text.split("\n### ").skip(1).filter(|section| section.contains("*Alarm."));
    assert_eq!(listed.count(), alarms.len(), "a paragraph is marked as that of an alarm and is none");
}

#[test]
fn somebody_is_told_by_grafana_and_compose_names_who() {
    let contact = std::fs::read_to_string(path("grafana/provisioning/alerting/contact.yaml")).unwrap();
    assert!(contact.contains("contactPoints:") && contact.contains("policies:"), "{contact}");
    let compose = std::fs::read_to_string(path("compose.yaml")).unwrap();
    let example = std::fs::read_to_string(path(".env.example")).unwrap();
    let mut variables = contact
        .split('$')
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect::<String>());
    assert!(variables.clone().count() > 0);
    // An empty setting would keep Grafana from starting.
    assert!(
        variables.all(|name| compose.contains(&format!("{name}: ${{{name}:-")) && example.contains(&name))
    );
    assert!(compose.contains("./monitoring/rules.yml:/etc/prometheus/rules.yml:ro"));
}
