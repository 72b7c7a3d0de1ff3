//! Tests of bars in JSON lines and CSV.

use model::Source;
use model::time::MINUTE;

use crate::{Folder, outline};

const GOOD: &str =
    r#"{"symbol":"A","open":2,"high":3.5,"low":1,"close":2,"volume":7,"start_ms":1380873960000}"#;

#[test]
fn a_line_becomes_a_bar_and_what_the_log_holds_is_read_back() {
    let exported = r#"{"symbol":"A","open":2,"high":3,"low":1,"close":2,"vwap":null,"volume":7.5,"otc":false,"start_timestamp":1380873960000,"end_timestamp":1380874020000,"source":"polygon","received_timestamp":1380874021000,"complete_until":5,"position":3,"more":[1]}"#;
    let rows = Folder::new().bars("a.jsonl", format!("{GOOD}\n\n{exported}"));
    assert_eq!(outline(&rows), (vec![1, 3], vec![]));
    let bar = &rows[1].as_ref().unwrap().value;
    assert_eq!((bar.volume, bar.otc, bar.received_timestamp), (7.5, Some(false), 1_380_874_021_000));
    assert_eq!((bar.source, bar.complete_until, bar.position), (Source::Replay, 0, None));
}

#[test]
fn a_bad_line_is_named_with_its_column_and_loses_nothing_else() {
    for (from, to, said) in [
        (r#""open":2"#, r#""open":"two""#, "column `open` is `two`, which is not a number"),
        (r#""open":2"#, r#""open":true"#, "column `open` is `true`, which is not a number"),
        (r#""open":2"#, r#""open":[2]"#, "column `open` is `[2]`, which is not a number"),
        (r#""open":2,"#, "", "column `open` is empty"),
        (r#""open":2"#, r#""open":NaN"#, "column `open` is `NaN`, which is no finite number"),
        (r#""open":2"#, r#""open":-Infinity"#, "is no finite number"),
        (r#""open":2"#, r#""open":nope"#, "no JSON object"),
        (r#""open":2"#, r#""open":-2"#, "open is -2"),
        (r#""symbol":"A""#, r#""symbol":true"#, "column `symbol` is `true`, which is no text"),
        (
            r#""start_ms":1380873960000"#,
            r#""start_ms":0.5"#,
            "column `start_timestamp` is `0.5`, which lies in the first weeks of 1970",
        ),
        (r#""start_ms":1380873960000}"#, r#""start_ms":1380873960000"#, "cut off"),
        (GOOD, "[1,2]", "no JSON object"),
        (GOOD, "start_ms,symbol", "no JSON object"),
    ] {
        let bad = GOOD.replace(from, to);
        let rows = Folder::new().bars("a.json", format!("{GOOD}\n{bad}\n{GOOD}\n"));
        let (good, refused) = outline(&rows);
        assert_eq!(good, [1, 3], "{bad}");
        assert!(refused[0].1.contains(said), "{bad}: {}", refused[0].1);
        assert_eq!(rows[1].as_ref().unwrap_err().text, bad.as_bytes());
    }
}

/// Documents as APIs return and tools write them, each with the `jq` filter for it.
const DOCUMENTS: [(&str, &str); 12] = [
    (r#"[{"symbol":"A"}]"#, "jq -c '.[]'"),
    ("\n[\n {\"symbol\": \"A\"}\n]", "jq -c '.[]'"),
    (r#"[[1709649000000,"2","3"]]"#, "start_ms: .[0]"),
    (
        r#"{"ticker":"AAPL","status":"OK","results":[{"v":7,"vw":2.1,"o":2,"c":2,"h":3,"l":1,"t":1709649000000}]}"#,
        "'.ticker as $symbol | .results[] | {start_ms: .t, symbol: $symbol, open: .o",
    ),
    (
        r#"{"bars":{"AAPL":[{"c":2,"h":3,"l":1,"n":5,"o":2,"t":"2024-03-05T14:30:00Z","v":7}]},"next_page_token":null}"#,
        "'.bars | to_entries[] | .key as $symbol | .value[] | {start_ms: .t",
    ),
    (
        r#"{"bars":[{"c":2,"h":3,"l":1,"o":2,"t":"2024-03-05T14:30:00Z","v":7}],"symbol":"AAPL"}"#,
        "'.symbol as $symbol | .bars[] | ",
    ),
    (r#"{"data":{"rows":[{"symbol":"A","open":2}]}}"#, "jq -c '.data.rows[]'"),
    (r#"{"Time Series (1min)":[{"open":2}]}"#, r#"jq -c '.["Time Series (1min)"][]'"#),
    ("{\n \"start_ms\": 1709649000000,\n \"symbol\": \"A\"\n}", "jq -c '.'"),
    ("{\n \"results\": [\n  {\"symbol\": \"A\"}\n ]\n}", "jq -c '.results[]'"),
    (r#"{"start_ms":{"0":1709649000000},"symbol":{"0":"A"}}"#, "keys_unsorted[] as $at"),
    (r#"{"start_ms":[1709649000000],"symbol":["A"]}"#, "range(.start_ms | length) as $at"),
];

#[test]
fn a_whole_document_is_refused_in_one_sentence_with_what_makes_rows_of_it() {
    for (text, filter) in DOCUMENTS {
        let said = Folder::new().refused("a.json", text);
        assert!(said.contains(filter) && said.contains("one object a line"), "{text}: {said}");
    }
    let many = format!(
        r#"{{"ticker":"A","results":[{}]}}"#,
        vec![r#"{"t":1,"o":1,"h":1,"l":1,"c":1,"v":1}"#; 50_000].join(",")
    );
    assert!(Folder::new().refused("long.json", many).contains(".results[]"));
}

#[test]
fn a_first_line_that_is_cut_off_or_lacks_a_column_is_no_document() {
    for first in
        [&GOOD[..GOOD.len() - 5], "{\"symbol\":\"A\"}", "{", "{}", "{\"more\":[{\"a\":1}", "start_ms,symbol"]
    {
        let rows = Folder::new().bars("a.json", format!("{first}\n{GOOD}\n"));
        assert_eq!(outline(&rows).0, [2], "{first}");
    }
    let nested = GOOD.replacen('{', r#"{"more":[{"symbol":[1]}],"#, 1);
    assert_eq!(outline(&Folder::new().bars("a.json", nested)).0, [1]);
}

#[test]
fn an_array_or_an_empty_file_is_refused_with_the_remedy() {
    let folder = Folder::new();
    assert!(folder.refused("a.json", format!("[{GOOD}]")).contains("one object a line"));
    assert!(folder.refused("b.json", "").contains("is empty"));
}

// Tests of bars in CSV.

const HEADER: &str = "start_ms,symbol,open,high,low,close,volume\n";

fn bars(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

#[test]
fn a_row_becomes_a_bar_with_its_line_and_defaults() {
    let rows = Folder::new().bars("a.csv", bars("1380873960000,SPY,167.65,167.7,167.6,167.65,20000\n"));
    let placed = rows[0].as_ref().unwrap();
    let bar = &placed.value;
    assert_eq!((placed.line, bar.symbol.as_str(), bar.high, bar.volume), (2, "SPY", 167.7, 20_000.0));
    assert_eq!(bar.start_timestamp, 1_380_873_960_000);
    assert_eq!(bar.end_timestamp, bar.start_timestamp + MINUTE);
    assert_eq!(bar.received_timestamp, bar.end_timestamp);
    assert_eq!((bar.source, bar.vwap, bar.position), (Source::Replay, None, None));
}

#[test]
fn columns_are_found_by_name_in_any_order_and_others_ignored() {
    let text = "note,close,otc,low,high,open,vwap,volume,symbol,received_timestamp,end_timestamp,start_timestamp\n\
                x,2,TRUE,1,3,2,2.5,7,BRK.B,1380873990099,1380873990000,1380873960000\n\
                y,2,,1,3,2,,7,BRK.B,,,2013-10-04T08:07:00Z\n";
    let rows = Folder::new().bars("a.csv", text);
    let first = &rows[0].as_ref().unwrap().value;
    assert_eq!(
        (first.otc, first.vwap, first.received_timestamp, first.end_timestamp),
        (Some(true), Some(2.5), 1_380_873_990_099, 1_380_873_990_000)
    );
    let second = &rows[1].as_ref().unwrap().value;
    assert_eq!(
        (second.otc, second.vwap, second.start_timestamp, second.end_timestamp),
        (None, None, 1_380_874_020_000, 1_380_874_080_000)
    );
}

#[test]
fn every_double_is_read_bit_for_bit() {
    let rows = Folder::new()
        .bars("a.csv", bars("1380873960000,A,0.30000000000000004,1e14,3e-15,0.1,0.000312415150803\n"));
    let bar = &rows[0].as_ref().unwrap().value;
    assert_eq!((bar.open, bar.high, bar.low, bar.volume), (0.1 + 0.2, 1e14, 3e-15, 0.000_312_415_150_803));
}

#[test]
fn a_bad_row_is_named_with_line_column_and_value_and_loses_nothing_else() {
    for (row, said) in [
        ("1380873960000,A,abc,3,1,2,7", "column `open` is `abc`, which is not a number"),
        ("1380873960000,A,2,3,1,,7", "column `close` is empty"),
        ("1380873960000,A,2,NaN,1,2,7", "column `high` is `NaN`, which is no finite number"),
        ("1380873960000,A,2,3,1,2,inf", "column `volume` is `inf`, which is no finite number"),
        ("1380873960000,A,2,3,1,2,1e999", "column `volume` is `1e999`, which is no finite number"),
        ("1380873960000,A,-2,3,1,2,7", "open is -2"),
        ("1380873960000,A,2,3,1,2,-7", "volume is -7"),
        ("1380873960000,A,2,1,3,2,7", "high 1 is below low 3"),
        ("noon,A,2,3,1,2,7", "column `start_timestamp`: `noon` is not a time"),
        ("99999999999999999,A,2,3,1,2,7", "no time in epoch milliseconds between"),
        ("1380873960000,,2,3,1,2,7", "column `symbol` is empty"),
        ("1380873960000,~clock0,2,3,1,2,7", "kept for heartbeats"),
        ("1380873960000,A,2,3,1,2", "the row has 6 columns, the header has 7"),
        ("1380873960000,A,2,3,1,2,7,8", "the row has 8 columns, the header has 7"),
        ("1380873960000,A,\"2,3,1,2,7", "a quote is opened and never closed"),
        ("1380873960000,A,\"2,000\",3,1,2,7", "column `open` is `2,000`, which is not a number"),
    ] {
        let rows = Folder::new()
            .bars("a.csv", bars(&format!("1380873960000,A,2,3,1,2,7\n{row}\n1380874020000,A,2,3,1,2,7\n")));
        let (good, bad) = outline(&rows);
        assert_eq!(good, [2, 4], "{row}");
        assert_eq!(bad[0].0, 3);
        assert!(bad[0].1.contains(said), "{row}: {}", bad[0].1);
        assert_eq!(rows[1].as_ref().unwrap_err().text, row.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let mut text = bars("").into_bytes();
    text.extend_from_slice(b"1380873960000,\xff\xfe,2,3,1,2,7\n1380873960000,A,2,3,1,2,7\n");
    let rows = Folder::new().bars("a.csv", text);
    let bad = rows[0].as_ref().unwrap_err();
    assert_eq!(bad.text, b"1380873960000,\xff\xfe,2,3,1,2,7");
    assert!(bad.reason.contains("not UTF-8"), "{}", bad.reason);
    assert!(rows[1].is_ok());
}

#[test]
fn out_of_order_and_repeated_rows_are_valid() {
    let rows = Folder::new().bars(
        "a.csv",
        bars("1380874020000,A,2,3,1,2,7\n1380873960000,A,2,3,1,2,7\n1380873960000,A,2,3,1,2,7\n"),
    );
    assert_eq!(outline(&rows), (vec![2, 3, 4], vec![]));
}

#[test]
fn a_file_cut_within_its_last_line_keeps_all_rows_but_that_one() {
    let whole = bars("1380873960000,A,2,3,1,2,7\n1380874020000,A,2,3,1,2,7\n");
    let second = whole.rfind("1380874020000").unwrap();
    for end in second + 1..whole.len() - 2 {
        let rows = Folder::new().bars("a.csv", &whole[..end]);
        let (good, bad) = outline(&rows);
        assert_eq!((good, bad.len(), bad[0].0), (vec![2], 1, 3), "{:?}", &whole[second..end]);
    }
}

#[test]
fn windows_line_ends_blank_lines_quotes_and_a_byte_order_mark_are_taken() {
    let text = "\u{feff}\"start_ms\",symbol,open,high,low,close,volume\r\n\r\n1380873960000,\"A\",\"2\",3,1,2,7\r\n\r\n1380874020000, A ,2,3,1,2,7";
    let rows = Folder::new().bars("a.csv", text);
    assert_eq!(outline(&rows), (vec![3, 5], vec![]));
    assert!(rows.iter().flatten().all(|placed| placed.value.symbol == "A"));
}

#[test]
fn a_line_of_many_megabytes_is_one_bad_row() {
    let long = "x".repeat(3 << 20);
    let rows = Folder::new().bars("a.csv", bars(&format!("{long}\n1380873960000,A,2,3,1,2,7\n")));
    let bad = rows[0].as_ref().unwrap_err();
    assert!(bad.reason.contains("3145728 bytes") && bad.text.len() < long.len(), "{}", bad.reason);
    assert_eq!(rows[1].as_ref().unwrap().line, 3);
}

#[test]
fn a_file_with_the_wrong_columns_names_what_is_missing_and_what_is_there() {
    let folder = Folder::new();
    let said = folder.refused("b.csv", "time,symbol,open,high,low,price\n1380873960000,A,2,3,1,2\n");
    assert!(said.contains("no column start_timestamp or start_ms, close, volume"), "{said}");
    assert!(said.contains("it has time, symbol, open, high, low, price"), "{said}");
    let said = folder.refused("c.csv", "start_ms,symbol,open,high,low,close,close,volume\n");
    assert!(said.contains("two columns named `close`"), "{said}");
    let said = folder.refused("d.csv", "\n\n");
    assert!(
        said.contains("is empty") && said.contains("start_timestamp or start_ms, symbol or ticker"),
        "{said}"
    );
    assert!(folder.refused("e.csv", "").contains("is empty"));
}

#[test]
fn a_file_that_is_not_there_or_is_an_empty_folder_says_so() {
    let folder = Folder::new();
    let error = files::bars(&folder.path("none.csv")).err().unwrap().to_string();
    assert!(error.contains("none.csv") && error.contains("cannot be read"), "{error}");
    std::fs::create_dir(folder.path("folder.csv")).unwrap();
    let error = files::bars(&folder.path("folder.csv")).err().unwrap().to_string();
    assert!(error.contains("folder.csv") && error.contains("no parts"), "{error}");
    assert!(folder.refused("bars.txt", "").contains("extension"));
}

#[test]
fn the_real_file_is_read_whole() {
    let path = testkit::real_bars();
    let rows: Vec<_> = files::bars(&path).unwrap().collect();
    assert_eq!((rows.len(), rows.iter().flatten().count()), (15_732, 15_732));
    assert_eq!(rows[15_731].as_ref().unwrap().line, 15_733);
}
