//! Tests of compressed files, files of other formats, and folders of parts.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Folder, outline};

const HEADER: &str = "start_ms,symbol,open,high,low,close,volume\n";
const JSON: &str =
    r#"{"start_ms":1709649000000,"symbol":"J","open":2,"high":3,"low":1,"close":2,"volume":7}"#;

/// The given number of rows from the minute `from` on.
fn rows(symbol: &str, from: i64, count: i64) -> String {
    let row = |minute: i64| format!("{},{symbol},2,3,1,2,7\n", 1_709_649_000_000 + (from + minute) * 60_000);
    (0..count).map(row).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

/// The symbols of the bars of a file or folder, read row by row and in pieces.
fn symbols(path: &Path) -> Vec<String> {
    let bars: Vec<_> = files::bars(path).unwrap().flatten().map(|row| row.value.symbol).collect();
    let batches = files::candles(path).unwrap().flat_map(|piece| piece.candles);
    let figures: Vec<_> = batches
        .flat_map(|batch| {
            batch.rows().iter().map(|(at, _)| batch.symbols()[*at as usize].to_string()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(bars, figures);
    bars
}

#[test]
fn gzip_and_zstd_are_unpacked_by_their_first_bytes_whatever_the_name() {
    let folder = Folder::new();
    let text = format!("{HEADER}{}", rows("A", 0, 3_000));
    for name in ["a.csv.gz", "b.csv.zst", "c.csv", "d.CSV.GZ"] {
        for packed in [gzip(text.as_bytes()), zstd(text.as_bytes()), text.clone().into_bytes()] {
            assert_eq!(symbols(&folder.file(name, packed)).len(), 3_000, "{name}");
        }
    }
    for name in ["a.jsonl.gz", "a.json", "bars.gz", "bars"] {
        assert_eq!(symbols(&folder.file(name, gzip(JSON.as_bytes()))), ["J"], "{name}");
    }
    // Tools that append write one compressed stream after another.
    let (first, second) = (format!("{HEADER}{}", rows("A", 0, 2)), rows("A", 2, 2));
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    assert_eq!(symbols(&folder.file("members.csv.gz", members)).len(), 4);
    let frames = [zstd(first.as_bytes()), zstd(second.as_bytes())].concat();
    assert_eq!(symbols(&folder.file("frames.csv.zst", frames)).len(), 4);
    let said = folder.refused("no-name.gz", gzip(text.as_bytes()));
    assert!(said.contains("no extension that names its format"), "{said}");
}

#[test]
fn a_compressed_file_that_is_cut_off_keeps_the_rows_before_and_says_where() {
    let folder = Folder::new();
    let text = format!("{HEADER}{}", rows("A", 0, 30_000));
    for (name, packed) in [("a.csv.gz", gzip(text.as_bytes())), ("a.csv.zst", zstd(text.as_bytes()))] {
        let rows = folder.bars(name, &packed[..packed.len() * 3 / 4]);
        let (good, bad) = outline(&rows);
        assert!(good.len() > 1_000 && bad.len() == 1, "{name}: {} {bad:?}", good.len());
        assert_eq!(bad[0].0, *good.last().unwrap() + 1);
        assert!(bad[0].1.contains("cannot be read from here on"), "{}", bad[0].1);
        let last = rows.last().unwrap().as_ref().unwrap_err();
        let said = last.ends_file(name).unwrap().to_string();
        assert!(said.contains(&format!("{name}, line {}", last.line)), "{said}");
        // Cut off before the first row.
        let said = folder.refused(name, &packed[..16]);
        assert!(said.contains("cut off or damaged") && said.contains("write the file again"), "{said}");
    }
    let rows = folder.bars("crc.csv.gz", {
        let mut packed = gzip(text.as_bytes());
        let checksum = packed.len() - 8;
        packed[checksum] ^= 1;
        packed
    });
    assert_eq!((outline(&rows).0.len(), outline(&rows).1.len()), (30_000, 1));
}

#[test]
fn rows_behind_a_quote_that_is_never_closed_are_read_up_to_where_the_file_is_cut_off() {
    let header = "id,search_term,headline,url,published_ms\n";
    let rows: String =
        (0..40).map(|n| format!("{n},oil,H {n},https://e.org/{},1709649000000\n", n * n * 7_919)).collect();
    let packed = gzip(format!("{header}0,oil,\"open,https://e.org,1709649000000\n{rows}").as_bytes());
    let read = Folder::new().articles("a.csv.gz", &packed[..packed.len() * 3 / 4]);
    let (good, bad) = outline(&read);
    assert!(good.len() > 3 && good[0] == 3, "{good:?}");
    assert_eq!(bad.len(), 2, "{bad:?}");
    assert!(bad[0].1.contains("never closed") && bad[1].1.contains("from here on"), "{bad:?}");
}

#[test]
fn a_judge_refuses_bars_by_their_starts_with_their_lines_in_every_format() {
    let folder = Folder::new();
    fs::create_dir(folder.path("bars")).unwrap();
    let text = format!("{HEADER}{}x,y\n\n{}", rows("A", 0, 2), rows("B", 2, 2));
    let csv = folder.file("bars/part-0.csv", text);
    crate::parquet::three(&folder.path("bars/part-1.parquet"), vec![]);
    let refused = |path: &Path, at: usize| {
        let mut seen = 0;
        let judge = move |_| {
            seen += 1;
            if seen == at { Err("no".to_owned()) } else { Ok(()) }
        };
        let pieces: Vec<_> = files::candles(path).unwrap().judged(judge).collect();
        let bad: Vec<_> = pieces.iter().flat_map(|piece| &piece.refused).collect();
        let taken: usize = pieces.iter().flat_map(|piece| &piece.candles).map(model::Candles::len).sum();
        (bad.iter().map(|bad| (bad.file("f"), bad.line)).collect::<Vec<_>>(), taken)
    };
    let places = |places: &[(&str, u64)]| {
        places.iter().map(|(file, line)| ((*file).to_owned(), *line)).collect::<Vec<_>>()
    };
    assert_eq!(refused(&csv, 3), (places(&[("f", 4), ("f", 6)]), 3));
    let folder = folder.path("bars");
    let bad = places(&[("f/part-0.csv", 4), ("f/part-1.parquet", 2)]);
    assert_eq!(refused(&folder, 6), (bad, 6));
}

#[test]
fn what_is_packed_a_thousandfold_takes_the_memory_of_a_row() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(HEADER.as_bytes()).unwrap();
    let zeros = vec![b'0'; 1 << 20];
    (0..64).for_each(|_| packed.write_all(&zeros).unwrap());
    packed.write_all(format!("\n{}", rows("A", 0, 1)).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 1 << 20, "{}", packed.len());
    let rows = Folder::new().bars("bomb.csv.gz", packed);
    let bad = rows[0].as_ref().unwrap_err();
    assert!(bad.reason.contains("67108864 bytes") && bad.text.len() <= 1 << 20, "{}", bad.reason);
    assert_eq!(rows[1].as_ref().unwrap().line, 3);
}

#[test]
fn files_that_hold_no_rows_are_named_with_the_remedy() {
    let folder = Folder::new();
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let text = format!("{HEADER}{}", rows("A", 0, 1));
    let xlsx = b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml";
    for (bytes, what, remedy) in [
        (&b"PK\x03\x04\x14\0\0\0\x08\0bars.csv"[..], "ZIP", "unzip"),
        (xlsx, "Excel", "save it as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "Excel", "CSV UTF-8"),
        (b"BZh91AY&SY\0\0", "bzip2", "bunzip2"),
        (b"\xfd7zXZ\0\0", "xz", "unxz"),
        (b"\x04\x22\x4d\x18\x64", "lz4", "lz4 -d"),
        (b"7z\xbc\xaf\x27\x1c", "7z", "7z x"),
        (b"Obj\x01\x04", "Avro", "Parquet"),
        (b"ARROW1\0\0", "Arrow", "Parquet"),
        (b"PARE\0\0\0\0", "encrypted", "without encryption"),
        (b"\xff\xfes\0t\0a\0", "UTF-16", "iconv"),
        (b"SQLite format 3\0", "SQLite", "export"),
        (b"<!DOCTYPE html><html>", "web page", "look into the file"),
        (b"\n <HTML>", "web page", "look into the file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
        (&tar, "tar", "tar -xf"),
        (&gzip(&tar), "tar", "tar -xf"),
        (&gzip(&gzip(text.as_bytes())), "compressed twice", "unpack it once"),
        (&gzip(b"PAR1\0\0\0\0"), "Parquet file that was compressed", "unpack"),
    ] {
        for name in ["a.csv", "a.jsonl.gz"] {
            let said = folder.refused(name, bytes);
            assert!(said.contains(what) && said.contains(remedy), "{said}");
        }
    }
    let said = folder.refused("a.csv.br", "any bytes");
    assert!(said.contains("brotli") && said.contains("brotli -d"), "{said}");
    let said = folder.refused("a.csv", "start_ms;symbol;open\n");
    assert!(said.contains("not by semicolons"), "{said}");
    let wide =
        format!("{}\n", (0..5_000).map(|column| format!("column{column}")).collect::<Vec<_>>().join(","));
    let said = folder.refused("wide.csv", wide);
    assert!(said.contains("and 4960 more") && said.len() < 2_000, "{said}");
}

#[test]
fn parquet_in_a_compression_that_is_not_read_says_what_to_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/brotli.parquet");
    for said in [files::bars(&path).err(), files::candles(&path).err()] {
        let said = said.unwrap().to_string();
        assert!(
            said.contains("compressed with brotli inside") && said.contains("write it with zstd"),
            "{said}"
        );
    }
}

#[test]
fn a_row_among_thousands_of_columns_is_read() {
    let more = |text: &str| format!("{text}{}", format!(",{text}").repeat(5_000));
    let header = more("other").replacen("other", HEADER.trim_end(), 1);
    let row = more("9").replacen('9', "1709649000000,A,2,3,1,2,7", 1);
    assert_eq!(outline(&Folder::new().bars("a.csv", format!("{header}\n{row}\n"))), (vec![2], vec![]));
}

#[test]
fn a_row_with_quotes_is_no_longer_than_a_row_over_however_many_lines() {
    let header = "id,search_term,headline,url,published_ms\n";
    // Each line opens a quotation mark that is never closed; together they exceed a row.
    let open = format!("1,oil,\"{}\n", "x".repeat(20_000)).repeat(150);
    let good = "2,oil,H,https://e.org,1709649000000\n";
    let rows = Folder::new().articles("a.csv", format!("{header}{open}{good}"));
    let (read, bad) = outline(&rows);
    assert_eq!((read, bad.len()), (vec![152], 150));
    assert!(bad.iter().all(|(_, reason)| reason.contains("never closed")));
    let doubled = format!("1,oil,\"{}\",https://e.org,1709649000000\n", "\"\"\n\"\" ".repeat(40));
    let rows = Folder::new().articles("b.csv", format!("{header}{doubled}{good}"));
    assert_eq!(outline(&rows), (vec![2, 43], vec![]));
    assert!(rows[0].as_ref().unwrap().value.headline.starts_with("\"\n\" \"\n"));
}

#[test]
fn a_folder_is_read_part_after_part_in_the_order_of_names() {
    let folder = Folder::new();
    fs::create_dir(folder.path("bars.parquet")).unwrap();
    let part = |name: &str, bytes: Vec<u8>| folder.file(&format!("bars.parquet/{name}"), bytes);
    part("part.10.csv", format!("{HEADER}{}", rows("D", 0, 1)).into_bytes());
    part("part.2.csv.gz", gzip(format!("{HEADER}{}", rows("C", 0, 2)).as_bytes()));
    part("part.1.jsonl", JSON.into());
    crate::parquet::three(&folder.path("bars.parquet/part.0.parquet"), vec![]);
    part("part.3.csv", Vec::new());
    for hidden in ["_SUCCESS", "_metadata", ".part.0.parquet.crc", ".hidden.csv"] {
        part(hidden, b"nothing to read".into());
    }
    assert_eq!(symbols(&folder.path("bars.parquet")), ["A", "B", "C", "J", "C", "C", "D"]);
    let names: Vec<_> = files::parts(&folder.path("bars.parquet")).unwrap();
    assert_eq!(names.len(), 5);
}

#[test]
fn a_part_that_cannot_be_read_is_named_and_the_others_are_read() {
    let folder = Folder::new();
    fs::create_dir(folder.path("bars")).unwrap();
    folder.file("bars/part-0.csv", "no,such,columns\n");
    folder.file("bars/part-1.csv", format!("{HEADER}{}x,y\n", rows("A", 0, 1)));
    folder.file("bars/part-2.parquet", "cut off");
    folder.file("bars/part-3.csv", format!("{HEADER}{}", rows("B", 0, 1)));
    let read: Vec<_> = files::bars(&folder.path("bars")).unwrap().collect();
    let bad: Vec<_> = read.iter().filter_map(|row| row.as_ref().err()).collect();
    let places: Vec<_> = bad.iter().map(|bad| (bad.file("bars"), bad.line)).collect();
    let place = |name: &str, line| (format!("bars/{name}"), line);
    assert_eq!(places, [place("part-0.csv", 1), place("part-1.csv", 3), place("part-2.parquet", 1)]);
    // Only the incomplete part is reported as an error of the whole folder.
    assert_eq!(bad.iter().filter_map(|bad| bad.ends_file("bars")).count(), 1);
    assert_eq!(symbols(&folder.path("bars")), ["A", "B"]);
    let refused: Vec<_> =
        files::candles(&folder.path("bars")).unwrap().flat_map(|piece| piece.refused).collect();
    assert_eq!(refused, bad.into_iter().cloned().collect::<Vec<_>>());
    fs::remove_file(folder.path("bars/part-1.csv")).unwrap();
    fs::remove_file(folder.path("bars/part-3.csv")).unwrap();
    let said = files::bars(&folder.path("bars")).err().unwrap().to_string();
    assert!(said.contains("part-0.csv") && said.contains("no column"), "{said}");
}

#[test]
fn folders_that_name_a_value_give_it_to_their_rows() {
    let folder = Folder::new();
    for (name, symbol) in [("symbol=X%3ABTCUSD", "a"), ("symbol=AAPL", "b")] {
        fs::create_dir_all(folder.path(&format!("bars/date=2024-03-05/{name}"))).unwrap();
        let columns = "start_ms,open,high,low,close,volume\n1709649000000,2,3,1,2,7\n";
        folder.file(&format!("bars/date=2024-03-05/{name}/part-{symbol}.csv"), columns);
    }
    let json = JSON.replace(r#""symbol":"J","#, "");
    folder.file("bars/date=2024-03-05/symbol=AAPL/part-c.jsonl", json);
    assert_eq!(symbols(&folder.path("bars")), ["AAPL", "AAPL", "X:BTCUSD"]);
}

#[test]
fn a_table_that_keeps_old_rows_in_its_folder_is_refused() {
    let folder = Folder::new();
    for mark in ["delta/_delta_log", "hudi/.hoodie", "iceberg/metadata", "iceberg/data"] {
        fs::create_dir_all(folder.path(mark)).unwrap();
    }
    for name in ["delta", "hudi", "iceberg"] {
        crate::parquet::three(&folder.path(&format!("{name}/part-0.parquet")), vec![]);
        let said = files::bars(&folder.path(name)).err().unwrap().to_string();
        assert!(said.contains("rows that were replaced"), "{said}");
    }
}

#[test]
fn a_parquet_file_is_one_by_its_first_bytes() {
    let folder = Folder::new();
    for name in ["a.csv", "a", "a.parquet"] {
        crate::parquet::three(&folder.path(name), vec![]);
        assert_eq!(symbols(&folder.path(name)), ["A", "B", "C"]);
    }
}
