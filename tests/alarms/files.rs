//! What is checked in is what the description says, and leads to a paragraph that helps.

use std::collections::BTreeSet;

use crate::description::{self, RUNBOOK, alarms, path};

/// Set to write the files anew.
const WRITE: &str = "WRITE_ALARMS";

#[test]
fn the_rules_of_grafana_and_prometheus_are_made_of_one_description() {
    let alarms = alarms();
    for (file, made) in [
        ("grafana/provisioning/alerting/rules.yaml", description::grafana(&alarms)),
        ("monitoring/rules.yml", description::prometheus(&alarms)),
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
