//! Files of arbitrary bytes: reading never panics, and valid rows among them are read.

use std::path::Path;

use proptest::prelude::*;

use crate::Folder;

const HEADER: &str = "start_ms,symbol,open,high,low,close,volume";

/// An arbitrary line without line breaks.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    let texts = "[-+.,:;\"'{}\\[\\]\\\\0-9a-zA-Z \t\u{0}é]{0,60}".prop_map(String::into_bytes);
    prop_oneof![bytes, texts]
        .prop_map(|line| line.into_iter().filter(|byte| !b"\n\r".contains(byte)).collect())
}

/// A file with a valid row, made from its index, before each line of garbage.
fn among(garbage: &[Vec<u8>], header: Option<&str>, good: impl Fn(usize) -> String) -> Vec<u8> {
    let mut file: Vec<u8> = header.map(|header| format!("{header}\n").into_bytes()).unwrap_or_default();
    for (number, line) in garbage.iter().enumerate() {
        file.extend(good(number).into_bytes());
        file.push(b'\n');
        file.extend(line);
        file.push(b'\n');
    }
    file
}

fn all_good_are_read(name: &str, file: Vec<u8>, count: usize) {
    let rows = Folder::new().bars(name, file);
    let read: Vec<usize> = rows.iter().flatten().map(|row| row.value.volume as usize).collect();
    assert!((0..count).all(|number| read.contains(&number)), "{read:?} of {count}");
}

/// Reads the bars of a file row by row and in pieces.
fn read(path: &Path) {
    let _ = files::bars(path).map(Iterator::count);
    let _ = files::candles(path).map(Iterator::count);
}

#[test]
fn a_parquet_file_with_any_one_byte_overwritten_is_read_or_refused() {
    let folder = Folder::new();
    let path = folder.path("a.parquet");
    crate::parquet::three(&path, vec![]);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        for byte in [0, 1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            std::fs::write(&path, bytes).unwrap();
            read(&path);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_stands_between_them_good_rows_of_csv_are_read(garbage in prop::collection::vec(line(), 1..12)) {
        let good = |number| format!("1380873960000,A,2,3,1,2,{number}");
        all_good_are_read("a.csv", among(&garbage, Some(HEADER), good), garbage.len());
    }

    #[test]
    fn whatever_stands_between_them_good_lines_of_json_are_read(garbage in prop::collection::vec(line(), 1..12)) {
        let good = |number| format!(
            r#"{{"start_ms":1380873960000,"symbol":"A","open":2,"high":3,"low":1,"close":2,"volume":{number}}}"#
        );
        all_good_are_read("a.jsonl", among(&garbage, None, good), garbage.len());
    }

    #[test]
    fn whatever_a_file_holds_it_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        name in prop::sample::select(vec!["a.csv", "a.jsonl", "a.parquet"]),
    ) {
        let folder = Folder::new();
        let path = folder.file(name, bytes);
        let _ = files::bars(&path).map(Iterator::count);
        let _ = files::articles(&path).map(Iterator::count);
    }

    #[test]
    fn a_parquet_file_with_bytes_overwritten_is_read_or_refused(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let folder = Folder::new();
        let path = folder.path("a.parquet");
        crate::parquet::three(&path, vec![]);
        let mut bytes = std::fs::read(&path).unwrap();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        read(&path);
    }
}
