//! A replay through the whole pipeline ends with what `compute` yields.

use std::path::Path;
use std::time::Duration;

use testkit::real_bars;

use crate::harness::{Sandbox, replay_line, sample_bars};

/// Replays, exports, and compares with what is computed at once.
fn streamed_is_computed(sandbox: &Sandbox, bars: &Path) {
    sandbox.replay(bars);
    same_as_computed(sandbox, bars);
}

fn same_as_computed(sandbox: &Sandbox, bars: &Path) {
    let exported = sandbox.out("export volatility");
    let computed = sandbox.out(&format!("compute volatility --bars {}", bars.display()));
    assert!(computed.lines().count() > 100);
    let differ = exported.lines().zip(computed.lines()).find(|(exported, computed)| exported != computed);
    assert_eq!(differ, None, "the first line that differs");
    assert!(exported == computed, "one is longer than the other");
}

#[test]
fn the_export_is_byte_for_byte_what_is_computed() {
    streamed_is_computed(&Sandbox::new(), &sample_bars());
}

#[test]
fn the_same_holds_for_real_bars_over_nights_and_months() {
    let bars = real_bars();
    streamed_is_computed(&Sandbox::new(), &bars);
}

#[test]
fn killed_at_random_moments_and_started_again_it_ends_the_same() {
    let bars = real_bars();
    // Odd moments, spread over the second or two that a replay takes.
    for seed in [1, 2] {
        let sandbox = Sandbox::new();
        for round in 1..=5_u64 {
            let running = sandbox.start(&replay_line(&bars));
            std::thread::sleep(Duration::from_millis(150 + (seed * 7_919 * round * round) % 900));
            running.signal("KILL");
        }
        streamed_is_computed(&sandbox, &bars);
    }
}

#[test]
fn a_second_run_over_the_same_file_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let first = sandbox.out("export volatility");
    let topics = sandbox.out("topics");
    sandbox.replay(&sample_bars());
    assert_eq!(sandbox.out("export volatility"), first);
    let data = |topics: &str| -> Vec<String> {
        topics.lines().filter(|line| !line.contains("service-status")).map(str::to_owned).collect()
    };
    assert_eq!(data(&sandbox.out("topics")), data(&topics));
}

#[test]
fn late_and_corrected_bars_end_up_in_the_windows_that_they_touch() {
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(sample_bars()).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
    // Every eleventh row comes two hundred rows (about fifty minutes) late …
    for at in (0..rows.len() - 300).step_by(11) {
        let row = rows.remove(at);
        rows.insert(at + 200, row);
    }
    // … and every fifth bar of the last hundred is sent again with another close.
    for at in (rows.len() - 100..rows.len()).step_by(5) {
        let mut fields: Vec<String> = rows[at].split(',').map(str::to_owned).collect();
        fields[5] = fields[3].clone();
        rows.push(fields.join(","));
    }
    let file = sandbox.file("late.csv", format!("{header}\n{}\n", rows.join("\n")));
    streamed_is_computed(&sandbox, &file);
    let sink = sandbox.out("tail service-status --key sink");
    let sink: serde_json::Value = serde_json::from_str(sink.lines().last().unwrap()).unwrap();
    assert!(sink["value"]["counts"]["late"].as_u64().unwrap() > 100, "{sink}");
    assert_eq!(sink["value"]["counts"]["pending"], 0);
}

#[test]
fn bars_are_stored_as_they_came_and_clock_records_never() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let exported = sandbox.out("export stock_prices");
    let rows = std::fs::read_to_string(sample_bars()).unwrap().lines().count();
    assert_eq!(exported.lines().count(), rows);
    assert!(!exported.contains('~') && !sandbox.out("export volatility").contains('~'));
    assert!(sandbox.out("tail stock-prices").contains("~clock0"));
}

#[test]
fn news_is_replayed_beside_the_prices() {
    let sandbox = Sandbox::new();
    let news = sample_bars().with_file_name("articles.csv");
    sandbox.out(&format!("{} --news replay:{}", replay_line(&sample_bars()), news.display()));
    let articles = std::fs::read_to_string(&news).unwrap().lines().count();
    assert_eq!(sandbox.out("export news_articles").lines().count(), articles);
}
