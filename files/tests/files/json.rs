//! Bars in JSON lines.

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
    assert_eq!((bar.source, bar.complete_until, bar.position), (model::Source::Replay, 0, None));
}

#[test]
fn a_bad_line_is_named_with_its_column_and_loses_nothing_else() {
    for (from, to, said) in [
        (r#""open":2"#, r#""open":"two""#, "column `open` is `two`, which is no number"),
        (r#""open":2"#, r#""open":true"#, "column `open` is `true`, which is no number"),
        (r#""open":2"#, r#""open":[2]"#, "column `open` is `[2]`, which is no number"),
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

/// Documents as APIs answer and tools write them, with the filter of `jq` that makes rows of them.
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
