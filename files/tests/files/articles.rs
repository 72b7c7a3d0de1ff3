//! Tests of reading articles and of writing result tables.

use std::fs;

use files::{FileError, Format, TableWriter};
use model::schema::{Column, ColumnType, Value};

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

// Tests of writing result tables.

fn columns() -> Vec<Column> {
    vec![
        Column::new("symbol", ColumnType::Text),
        Column::new("window_end", ColumnType::Time),
        Column::new("bars", ColumnType::Int),
        Column::new("realized", ColumnType::Float),
        Column::new("otc", ColumnType::Bool),
    ]
}

fn rows() -> Vec<Vec<Value>> {
    vec![
        vec![
            Value::Text("A,\"B\"".into()),
            Value::Int(60_000),
            Value::Int(3),
            Value::Float(0.1 + 0.2),
            Value::Bool(true),
        ],
        vec![Value::Text("C".into()), Value::Int(0), Value::Int(-1), Value::Float(-0.0), Value::Null],
        vec![Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
        vec![
            Value::Text("D".into()),
            Value::Int(1),
            Value::Int(1),
            Value::Float(f64::NAN),
            Value::Bool(false),
        ],
    ]
}

fn written(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.path(name);
    let mut table = TableWriter::create(None, &columns(), Some(&path)).unwrap();
    for row in rows() {
        table.write_row(&row).unwrap();
    }
    table.finish().unwrap();
    path
}

#[test]
fn csv_has_a_header_shortest_doubles_zero_for_minus_zero_and_nothing_for_null() {
    let text = fs::read_to_string(written(&Folder::new(), "t.csv")).unwrap();
    assert_eq!(
        text,
        "symbol,window_end,bars,realized,otc\n\"A,\"\"B\"\"\",60000,3,0.30000000000000004,true\nC,0,-1,0,\n,,,,\nD,1,1,,false\n"
    );
}

#[test]
fn json_has_one_object_a_line_in_the_order_of_the_columns() {
    let text = fs::read_to_string(written(&Folder::new(), "t.json")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"symbol":"A,\"B\"","window_end":60000,"bars":3,"realized":0.30000000000000004,"otc":true}"#
    );
    assert_eq!(lines[2], r#"{"symbol":null,"window_end":null,"bars":null,"realized":null,"otc":null}"#);
    assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn parquet_keeps_types_and_values() {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, TimestampMillisecondType};
    let file = fs::File::open(written(&Folder::new(), "t.parquet")).unwrap();
    let mut batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 4);
    let realized = batch.column_by_name("realized").unwrap().as_primitive::<Float64Type>();
    assert_eq!((realized.value(0), realized.value(1).to_bits()), (0.1 + 0.2, 0));
    assert_eq!(arrow::array::Array::null_count(realized), 2);
    let ends = batch.column_by_name("window_end").unwrap().as_primitive::<TimestampMillisecondType>();
    assert_eq!(ends.value(0), 60_000);
}

#[test]
fn a_table_that_is_not_finished_leaves_what_was_there_and_nothing_else() {
    let folder = Folder::new();
    for name in ["t.csv", "t.parquet"] {
        let path = folder.file(name, "before");
        let mut table = TableWriter::create(None, &columns(), Some(&path)).unwrap();
        table.write_row(&rows()[0]).unwrap();
        drop(table);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 2);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    let path = folder.path("none/t.csv");
    let error = TableWriter::create(Some(Format::Csv), &columns(), Some(&path)).err().unwrap();
    let said = error.to_string();
    assert!(said.contains("none/t.csv") && said.contains("cannot be written"), "{said}");
    assert!(matches!(error, FileError::Write { .. }) && !error.is_broken_pipe());
}

/// Collects what was written to a stream.
#[derive(Clone, Default)]
struct Given(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Given {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_is_given_the_bytes_of_the_file() {
    let folder = Folder::new();
    for name in ["t.csv", "t.jsonl", "t.parquet"] {
        let file = written(&folder, name);
        let given = Given::default();
        let format = Format::from_path(&file).unwrap();
        let mut table = TableWriter::stream(format, &columns(), "a stream", given.clone()).unwrap();
        rows().iter().for_each(|row| table.write_row(row).unwrap());
        table.finish().unwrap();
        assert!(*given.0.lock().unwrap() == fs::read(&file).unwrap(), "{name}");
        assert_eq!(format.extension(), name.split('.').nth(1).unwrap());
    }
}
