//! `tickwire compute`: files in, rows out.

use testkit::real_bars;

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars, wait_for};

const HEADER: &str = "symbol,window_start,window_end,bars,realized,bipower,parkinson,garman_klass,rogers_satchell,gkyz,yang_zhang,jump_share,log_return,volume,received_until";

#[test]
fn rows_are_ordered_by_symbol_and_window_under_the_jobs_columns() {
    let sandbox = Sandbox::new();
    let out = sandbox.out(&format!("compute volatility --bars {}", sample_bars().display()));
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let keys: Vec<(&str, i64)> = lines
        .map(|line| {
            let mut fields = line.split(',');
            (fields.next().unwrap(), fields.next().unwrap().parse().unwrap())
        })
        .collect();
    assert!(keys.len() > 1_000 && keys.is_sorted());
}

#[test]
fn shuffled_and_repeated_rows_yield_the_same_bytes() {
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(sample_bars()).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let mut rows: Vec<&str> = rows.lines().collect();
    let straight = sandbox.out(&format!("compute volatility --bars {}", sample_bars().display()));
    // A fixed shuffle: every seventh row first, then the next, and some of them twice.
    let mut mixed: Vec<&str> =
        (0..7).flat_map(|offset| rows.iter().skip(offset).step_by(7).copied()).collect();
    mixed.extend(rows.drain(100..200));
    let file = sandbox.file("mixed.csv", format!("{header}\n{}\n", mixed.join("\n")));
    assert_eq!(sandbox.out(&format!("compute volatility --bars {}", file.display())), straight);
}

#[test]
fn every_format_in_and_out_carries_the_same_values() {
    let sandbox = Sandbox::new();
    let csv = sandbox.out(&format!("compute volatility --bars {}", sample_bars().display()));
    let bars = std::fs::read_to_string(sample_bars()).unwrap();
    let lines: String = bars
        .lines()
        .skip(1)
        .map(|row| {
            let f: Vec<&str> = row.split(',').collect();
            format!(
                "{{\"start_timestamp\":{},\"symbol\":\"{}\",\"open\":{},\"high\":{},\"low\":{},\"close\":{},\"volume\":{}}}\n",
                f[0], f[1], f[2], f[3], f[4], f[5], f[6]
            )
        })
        .collect();
    sandbox.file("bars.jsonl", lines);
    assert_eq!(sandbox.out("compute volatility --bars bars.jsonl"), csv);

    sandbox.out("compute volatility --bars bars.jsonl --out rows.json");
    let first: serde_json::Value = serde_json::from_str(
        std::fs::read_to_string(sandbox.path("rows.json")).unwrap().lines().next().unwrap(),
    )
    .unwrap();
    let fields: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(first["window_start"].to_string(), fields[1]);
    assert_eq!(first["realized"], serde_json::Value::Null);
    assert_eq!(first["volume"].as_f64().unwrap(), fields[13].parse::<f64>().unwrap());

    sandbox.out("compute volatility --bars bars.jsonl --format parquet --out rows.parquet");
    assert_eq!(&std::fs::read(sandbox.path("rows.parquet")).unwrap()[..4], b"PAR1");
}

#[test]
fn bars_out_of_order_after_thousands_in_order_yield_the_same_bytes_and_bad_rows_are_told_once() {
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(sample_bars()).unwrap();
    let straight = sandbox.out(&format!("compute volatility --bars {}", sample_bars().display()));
    let bad = text.lines().nth(1).unwrap().replacen(',', ",~", 1);
    // The first bar once more, behind all others: only then it shows that there is no order.
    let file = sandbox.file("late.csv", format!("{text}{bad}\n{}\n", text.lines().nth(1).unwrap()));
    let ended = sandbox.run(&format!("compute volatility --bars {}", file.display()));
    assert_eq!(ended.out, straight);
    // The row is named once, although the file is read twice.
    assert_words!(sandbox.without_folders(&ended.errors));
}

// `tickwire backtest`: the event study as a report, over files and over the store.

#[test]
fn news_planted_into_real_bars_is_studied_and_reported_in_every_form() {
    let bars = real_bars();
    let sandbox = Sandbox::new();
    // Friday the 11th, 11:17:20 in New York; then one at night, one that follows, one of nobody's.
    let news = "id,symbol,search_term,headline,url,published_ms\n\
        one,IBM,IBM,<b>Results</b> & more,https://example.org/1,1381504640000\n\
        one,IBM,IBM,<b>Results</b> & more,https://example.org/1,1381504640000\n\
        two,IBM,IBM,Again,https://example.org/2,1381505640000\n\
        night,BAC,BAC,At night,https://example.org/3,1381370400000\n\
        nobody,ZZZZ,ZZZZ,Unknown,https://example.org/4,1381504640000\n";
    let news = sandbox.file("news.csv", news);
    let line = format!("backtest --bars {} --news {} --out-dir out", bars.display(), news.display());
    let text = sandbox.out(&line);
    assert_words!(sandbox.without_folders(&text));
    assert_eq!(std::fs::read_to_string(sandbox.path("out/report.txt")).unwrap(), text);

    let page = std::fs::read_to_string(sandbox.path("out/report.html")).unwrap();
    assert!(page.contains("&#60;b&#62;Results") && !page.contains("<b>Results"), "headlines are text");
    assert_eq!(page.matches("<svg ").count(), 2, "all symbols, and IBM");
    assert!(!page.contains("<script") && !page.contains("src="));

    let paths = std::fs::read_to_string(sandbox.path("out/mean-paths.csv")).unwrap();
    assert!(paths.starts_with("symbol,minute,events,cumulative,standard_error,low,high,"), "{paths}");
    let line = paths.lines().find(|line| line.starts_with("IBM,60,1,")).unwrap();
    let articles = std::fs::read_to_string(sandbox.path("out/articles.csv")).unwrap();
    let of_one = articles.lines().find(|line| line.starts_with("IBM,one,1381504640000,,5,")).unwrap();
    // The mean over a single article is that article's.
    assert!(of_one.split(',').any(|cell| cell == line.split(',').nth(3).unwrap()), "{line}\n{of_one}");
    assert_eq!(articles.lines().count(), 1 + 4);
    let windows = std::fs::read_to_string(sandbox.path("out/windows.csv")).unwrap();
    assert!(windows.contains("\nIBM,with,") && windows.contains("\nIBM,without,"), "{windows}");
}

#[test]
fn the_store_yields_the_report_that_its_files_do() {
    let sandbox = Sandbox::new();
    let (bars, news) = (sample_bars(), sample_bars().with_file_name("articles.csv"));
    let files = format!("--bars {} --news {}", bars.display(), news.display());
    sandbox.out(&format!(
        "up --listen 127.0.0.1:0 --prices replay:{} --news replay:{} --speed max --exit-when-done",
        bars.display(),
        news.display()
    ));
    assert_eq!(sandbox.out("backtest"), sandbox.out(&format!("backtest {files}")));
    let alone = sandbox.out("backtest --symbol AAPL --as-of-arrival --csv paths.csv --html page.html");
    assert!(alone.contains("AAPL: ") && !alone.contains("TSLA") && alone.contains("by arrival"), "{alone}");
    assert!(sandbox.path("paths.csv").exists() && sandbox.path("page.html").exists());
    assert_words!(sandbox.printed(&["backtest --symbol ZZZZ"]));
}

#[test]
fn the_backtest_that_ships_uses_at_least_ten_articles() {
    let sandbox = Sandbox::new();
    let folder = sample_bars().with_file_name("backtest");
    let (bars, news) = (folder.join("bars.csv.gz"), folder.join("articles.csv"));
    let said = sandbox.out(&format!("backtest --bars {} --news {}", bars.display(), news.display()));
    let used = said.split(" used").next().and_then(|before| before.split_whitespace().last());
    let used: usize = used.and_then(|used| used.parse().ok()).unwrap_or(0);
    assert!(used >= 10, "{said}");
}

// `tickwire recompute`: results of a span, again from what is stored.

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
