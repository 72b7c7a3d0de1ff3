//! `tickwire compute`: files in, rows out.

use crate::harness::{Sandbox, assert_words, sample_bars};

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
