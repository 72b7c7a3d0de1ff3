//! Bars in JSON lines.

use crate::{Folder, outline};

const GOOD: &str =
    r#"{"symbol":"A","open":2,"high":3.5,"low":1,"close":2,"volume":7,"start_ms":1380873960000}"#;

#[test]
fn a_line_becomes_a_bar_and_what_the_log_holds_is_read_back() {
    let exported = r#"{"symbol":"A","open":2,"high":3,"low":1,"close":2,"vwap":null,"volume":7.5,"otc":false,"start_timestamp":1380873960000,"end_timestamp":1380874020000,"source":"polygon","received_timestamp":61000,"complete_until":5,"position":3,"more":[1]}"#;
    let rows = Folder::new().bars("a.jsonl", format!("{GOOD}\n\n{exported}"));
    assert_eq!(outline(&rows), (vec![1, 3], vec![]));
    let bar = &rows[1].as_ref().unwrap().value;
    assert_eq!((bar.volume, bar.otc, bar.received_timestamp), (7.5, Some(false), 61_000));
    assert_eq!((bar.source, bar.complete_until, bar.position), (wire::Source::Replay, 0, None));
}

#[test]
fn a_bad_line_is_named_with_its_column_and_loses_nothing_else() {
    for (from, to, said) in [
        (r#""open":2"#, r#""open":"2""#, r#"column `open` is `"2"`, which is no number"#),
        (r#""open":2"#, r#""open":[2]"#, "column `open` is `[2]`, which is no number"),
        (r#""open":2,"#, "", "column `open` is empty"),
        (r#""open":2"#, r#""open":NaN"#, "no JSON object"),
        (r#""open":2"#, r#""open":-2"#, "open is -2"),
        (r#""symbol":"A""#, r#""symbol":5"#, "column `symbol` is `5`, which is no text"),
        (
            r#""start_ms":1380873960000"#,
            r#""start_ms":0.5"#,
            "column `start_timestamp` is `0.5`, which is no time",
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

#[test]
fn an_array_or_an_empty_file_is_refused_with_the_remedy() {
    let folder = Folder::new();
    assert!(folder.refused("a.json", format!("[{GOOD}]")).contains("one object a line"));
    assert!(folder.refused("b.json", "").contains("is empty"));
}
