//! Articles in files.

use crate::{Folder, outline};

const HEADER: &str = "id,symbol,search_term,headline,url,published_ms\n";
const AT: &str = "1380873960000";

#[test]
fn a_headline_may_hold_commas_quotes_and_line_breaks() {
    let text = format!(
        "{HEADER}1,IBM,,\"One, \"\"two\"\"\nand\n\nthree\",https://e.org/1,1380873960005\n2,,oil,Plain,https://e.org/2,1380873960006\n"
    );
    let rows = Folder::new().articles("a.csv", text);
    assert_eq!(outline(&rows), (vec![2, 6], vec![]));
    let first = &rows[0].as_ref().unwrap().value;
    assert_eq!(first.headline, "One, \"two\"\nand\n\nthree");
    assert_eq!((first.published_timestamp, first.received_timestamp), (1_380_873_960_005, 1_380_873_960_005));
    assert_eq!(rows[1].as_ref().unwrap().value.key(), "oil");
}

#[test]
fn a_quote_that_is_never_closed_spoils_its_own_line_only() {
    for (second, third) in [("5\" disk", "C"), ("B", "\"C, D\""), ("B", "\"C\nD\""), ("B", "C")] {
        let text = format!(
            "{HEADER}1,IBM,,\"Open,https://e.org/1,{AT}\n2,IBM,,{second},https://e.org/2,{AT}\n3,IBM,,{third},https://e.org/3,{AT}\n"
        );
        let rows = Folder::new().articles("a.csv", text);
        let (good, bad) = outline(&rows);
        assert_eq!((good, bad.len()), (vec![3, 4], 1), "{second} {third}");
        assert!(bad[0].0 == 2 && bad[0].1.contains("never closed"), "{}", bad[0].1);
    }
}

#[test]
fn bad_articles_are_named_and_the_rest_is_read() {
    for (row, said) in [
        ("1,IBM,,H,javascript:x,AT", "does not start with http"),
        ("1,IBM,,H,https://e.org,soon", "`soon` is not a time"),
        ("1,,,H,https://e.org,AT", "symbol and the search term is empty"),
        ("1,IBM,,,https://e.org,AT", "column `headline` is empty"),
        (",IBM,,H,https://e.org,AT", "column `id` is empty"),
    ] {
        let row = row.replace("AT", AT);
        let rows = Folder::new().articles("a.csv", format!("{HEADER}{row}\n2,IBM,,H,https://e.org,{AT}\n"));
        let (good, bad) = outline(&rows);
        assert_eq!(good, [3]);
        assert!(bad[0].1.contains(said), "{row}: {}", bad[0].1);
    }
}

#[test]
fn a_symbol_or_a_search_term_must_be_among_the_columns() {
    let folder = Folder::new();
    let path = folder.file("a.csv", "id,headline,link,published_timestamp\n");
    let said = files::articles(&path).err().unwrap().to_string();
    assert!(said.contains("no column url, symbol or search_term; it has id, headline, link"), "{said}");
}

#[test]
fn json_lines_carry_articles_too() {
    let line = r#"{"id":"1","search_term":"oil","headline":"H","url":"https://e.org","published_timestamp":"2013-10-04T08:06:00Z","updated_timestamp":null}"#;
    let rows = Folder::new().articles("a.json", line);
    assert_eq!(rows[0].as_ref().unwrap().value.published_timestamp, 1_380_873_960_000);
}
