//! `tickwire recompute`: results of a span, again from what is stored.

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars, wait_for};

const RESULTS: [&str; 5] = ["volatility", "news_impact", "news_reaction", "movers", "signals"];

/// A news file with an article about every symbol of the sample, in its first session.
fn with_news(sandbox: &Sandbox) -> String {
    let bars = std::fs::read_to_string(sample_bars()).unwrap();
    let mut text = "id,symbol,headline,url,published_timestamp\n".to_owned();
    for (number, line) in bars.lines().skip(1).enumerate().step_by(101) {
        let fields: Vec<&str> = line.split(',').collect();
        let at: i64 = fields[0].parse().unwrap();
        text += &format!("{number},{},Something,https://example.org,{}\n", fields[1], at + 7_000);
    }
    sandbox.file("news.csv", text);
    format!("{} --news replay:news.csv", replay_line(&sample_bars()))
}

fn computed_again(said: &str) -> usize {
    said.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn what_is_computed_again_is_what_was_stored_and_what_a_computation_yields() {
    let sandbox = Sandbox::new();
    sandbox.out(&with_news(&sandbox));
    let exports = || RESULTS.map(|name| sandbox.out(&format!("export {name}")));
    let before = exports();
    for (name, export) in RESULTS.iter().zip(&before) {
        let line = format!("compute {name} --bars {} --news news.csv", sample_bars().display());
        let (mut computed, mut export) = (sandbox.out(&line), export.clone());
        if *name == "news_reaction" {
            // Points lie in the order of time, computed rows in that of articles.
            let sorted = |text: String| {
                let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                lines[1..].sort();
                lines.join("\n")
            };
            (computed, export) = (sorted(computed), sorted(export));
        }
        assert!(computed.lines().count() > 100, "{name}");
        assert!(computed == export, "{name} differs");
    }
    let rows: usize = before.iter().map(|export| export.lines().count() - 1).sum();
    let said = sandbox.out("recompute --from 2000-01-01 --to 2100-01-01");
    assert_eq!(computed_again(&said), rows, "{said}");
    assert!(exports() == before);
    assert_eq!(computed_again(&sandbox.out("recompute --from 2000-01-01 --to 2000-01-02")), 0);
}

#[test]
fn a_running_owner_computes_again_what_another_command_asks_for() {
    let sandbox = Sandbox::new();
    let line = with_news(&sandbox).replace(" --exit-when-done", "");
    let running = sandbox.start(&line);
    running.address();
    let ask = || computed_again(&sandbox.out("recompute --from 2000-01-01 --to 2100-01-01"));
    // As much again once all of the replay is stored.
    let mut last = 0;
    let rows = wait_for("the owner to have everything", || {
        let rows = ask();
        let settled = rows > 1_000 && rows == last;
        last = rows;
        settled.then_some(rows)
    });
    assert!(rows > 1_000);
}

#[test]
fn a_span_without_time_in_it_and_a_folder_without_a_run_are_refused() {
    let sandbox = Sandbox::new();
    let lines =
        ["recompute --from 2014-01-02 --to 2014-01-01", "recompute --from 2014-01-01 --to 2014-01-02"];
    assert_words!(sandbox.printed(&lines));
}
