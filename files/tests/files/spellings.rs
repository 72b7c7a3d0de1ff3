//! The same rows in any notation and format yield the same bars, and an invalid value affects
//! only its own row or cell.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, NullArray, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use model::time::{self, Millis};
use model::{Bar, Candle};
use proptest::prelude::*;

use crate::parquet::write;
use crate::{Folder, outline};

/// One row, with a number for each of its cells that selects the notation.
#[derive(Clone, Debug)]
struct Row {
    start: Millis,
    end: Option<Millis>,
    received: Option<Millis>,
    symbol: String,
    prices: [f64; 5],
    vwap: Option<f64>,
    otc: Option<bool>,
    spelling: u32,
}

fn row() -> impl Strategy<Value = Row> {
    let time = (1_000_000_i64..4_000_000).prop_map(|minutes| 1_600_000_020_000 + minutes * 60_000);
    let symbol =
        prop::sample::select(vec!["AAPL", "BRK.B", "BACpA", "7203", "NA", "TRUE", "X:BTCUSD", "aapl"]);
    let price = (1_u32..10_000_000).prop_map(|ticks| f64::from(ticks) / 100.0);
    let prices = (price.clone(), price, 0_u32..1_000_000);
    let options =
        (any::<bool>(), any::<bool>(), prop::option::of(1_u32..1_000_000), prop::option::of(any::<bool>()));
    (time, symbol, prices, options, any::<u32>()).prop_map(|(start, symbol, prices, options, spelling)| {
        let (low, high) = (f64::min(prices.0, prices.1), f64::max(prices.0, prices.1));
        let (has_end, has_received, vwap, otc) = options;
        Row {
            start,
            end: has_end.then_some(start + 60_000),
            received: has_received.then_some(start + 63_000),
            symbol: symbol.into(),
            prices: [low, high, low, high, f64::from(prices.2)],
            vwap: vwap.map(|ticks| f64::from(ticks) / 100.0),
            otc,
            spelling,
        }
    })
}

impl Row {
    /// The cells in the order of [`NAMES`], as texts for CSV.
    fn cells(&self) -> Vec<String> {
        let pick = |cell: u32| self.spelling.rotate_left(cell * 3);
        let none = |cell: u32| {
            let nothing = ["", "NaN", "NA", "NULL", "None", "null", "\\N", "<NA>", "nan", "N/A", "."];
            nothing[pick(cell) as usize % nothing.len()].to_owned()
        };
        let time =
            |cell: u32, at: Option<Millis>| at.map_or_else(|| none(cell), |at| time_as(at, pick(cell)));
        let number = |cell: u32, value: Option<f64>| {
            value.map_or_else(|| none(cell), |value| number_as(value, pick(cell)))
        };
        let mut cells =
            vec![time(0, Some(self.start)), time(1, self.end), time(2, self.received), self.symbol.clone()];
        cells.extend(self.prices.iter().zip(4..).map(|(price, cell)| number(cell, Some(*price))));
        cells.push(number(9, self.vwap));
        let flags = [
            ["true", "T", "1", "Yes", "y", "TRUE", "1.0", "on"],
            ["false", "f", "0", "no", "N", "False", "0.0", "OFF"],
        ];
        let flag = |otc: bool| flags[usize::from(!otc)][pick(10) as usize % 8].to_owned();
        cells.push(self.otc.map_or_else(|| none(10), flag));
        cells
    }

    fn bar(&self) -> Bar {
        let end = self.end.unwrap_or(self.start + 60_000);
        let [open, high, low, close, volume] = self.prices;
        Bar {
            symbol: self.symbol.clone(),
            open,
            high,
            low,
            close,
            volume,
            vwap: self.vwap,
            otc: self.otc,
            start_timestamp: self.start,
            end_timestamp: end,
            received_timestamp: self.received.unwrap_or(end),
            source: model::Source::Replay,
            complete_until: 0,
            ..model::heartbeat::bar(0, 0)
        }
    }
}

const NAMES: [&str; 11] = [
    "start_timestamp",
    "end_timestamp",
    "received_timestamp",
    "symbol",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "otc",
];

/// A time in one of the notations of common tools.
fn time_as(at: Millis, way: u32) -> String {
    let (hours, minutes) = ([-10, -5, 0, 5, 9, 14][way as usize / 16 % 6], [0, 30, 45][way as usize / 8 % 3]);
    let sign = if hours < 0 { '-' } else { '+' };
    let offset = i64::from(hours) * 3_600_000 + if hours < 0 { -1 } else { 1 } * minutes * 60_000;
    let whole_hour = time::rfc3339(at + i64::from(hours) * 3_600_000).replace('Z', "");
    let (utc, there) = (time::rfc3339(at).replace('Z', ""), time::rfc3339(at + offset).replace('Z', ""));
    let hours = i32::abs(hours);
    match way % 16 {
        0 => at.to_string(),
        1 => format!("{at}.0"),
        2 => format!("{}e3", at / 1_000),
        3 => format!("{at}.000000"),
        4 => format!("{utc}Z"),
        5 => utc.replace('T', " "),
        6 => format!("{}+00", utc.replace('T', " ")),
        7 => format!("{utc}.000000+0000"),
        8 => format!("{} UTC", utc.replace('T', " ")),
        9 => format!("{there}{sign}{hours:02}:{minutes:02}"),
        10 => format!("{}{sign}{hours:02}{minutes:02}", there.replace('T', " ")),
        11 => format!("{} {sign}{hours:02}{minutes:02}", there.replace('T', " ")),
        12 => format!("{whole_hour}{sign}{hours:02}"),
        13 => format!("{} {sign}{hours:02}:{minutes:02}", there.replace('T', " ")),
        14 => format!("{} GMT", utc.replace('-', "/").replace('T', " ")),
        _ => format!("{utc}.000z"),
    }
}

/// A number in one of the notations of common tools.
fn number_as(value: f64, way: u32) -> String {
    match way % 4 {
        0 => value.to_string(),
        1 => format!("{value:e}"),
        2 => format!("{value:E}").replace('E', "E+").replace("+-", "-"),
        _ => format!("{value:.4}"),
    }
}

fn csv(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| {
        let quoted = |(at, cell): (usize, String)| {
            if row.spelling.rotate_left(at as u32) % 3 == 0 { format!("\"{cell}\"") } else { cell }
        };
        row.cells().into_iter().enumerate().map(quoted).collect::<Vec<_>>().join(",")
    });
    std::iter::once(NAMES.join(",")).chain(lines).collect::<Vec<_>>().join("\r\n")
}

fn json(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let fields = NAMES.iter().zip(row.cells()).enumerate().filter_map(|(at, (name, cell))| {
            let way = row.spelling.rotate_left(at as u32 * 5) % 3;
            let is_bare = matches!(cell.as_str(), "NaN" | "null" | "true" | "false")
                || cell.parse::<f64>().is_ok() && !cell.contains(['n', 'N', '+']) && !cell.ends_with('.');
            match way {
                0 if cell.is_empty() => None,
                1 if is_bare => Some(format!("\"{name}\": {cell}")),
                _ => Some(format!("\"{name}\": {}", serde_json::Value::from(cell))),
            }
        });
        writeln!(text, "{{{}}}", fields.collect::<Vec<_>>().join(", ")).unwrap();
    }
    text
}

fn texts(rows: &[Row], column: usize) -> StringArray {
    rows.iter().map(|row| Some(row.cells()[column].clone())).collect()
}

/// A column of times of the type selected by `way`.
fn times(rows: &[Row], column: usize, way: u32, of: impl Fn(&Row) -> Option<Millis>) -> ArrayRef {
    let millis =
        |factor: i64, by: i64| rows.iter().map(|row| Some(of(row)? * factor / by)).collect::<Int64Array>();
    let plain = millis(1, 1);
    match way % 10 {
        0 => Arc::new(plain),
        1 => Arc::new(TimestampSecondArray::new(
            millis(1, 1_000).values().clone(),
            millis(1, 1_000).nulls().cloned(),
        )),
        2 => Arc::new(
            TimestampMillisecondArray::new(plain.values().clone(), plain.nulls().cloned())
                .with_timezone("America/New_York"),
        ),
        3 => Arc::new(TimestampMicrosecondArray::new(
            millis(1_000, 1).values().clone(),
            millis(1_000, 1).nulls().cloned(),
        )),
        4 => Arc::new(
            TimestampNanosecondArray::new(
                millis(1_000_000, 1).values().clone(),
                millis(1_000_000, 1).nulls().cloned(),
            )
            .with_timezone("UTC"),
        ),
        5 => cast(&plain, &DataType::Float64).unwrap(),
        6 => cast(&plain, &DataType::UInt64).unwrap(),
        7 => cast(&plain, &DataType::Decimal128(20, 3)).unwrap(),
        8 => cast(&texts(rows, column), &DataType::LargeBinary).unwrap(),
        _ => Arc::new(texts(rows, column)),
    }
}

/// A column of numbers of the type selected by `way`.
fn numbers(rows: &[Row], column: usize, way: u32, of: impl Fn(&Row) -> Option<f64>) -> ArrayRef {
    let cents =
        || rows.iter().map(|row| Some((of(row)? * 100.0).round() as i128)).collect::<Decimal128Array>();
    match way % 5 {
        0 => Arc::new(rows.iter().map(&of).collect::<Float64Array>()),
        1 => Arc::new(rows.iter().map(|row| Some(of(row).unwrap_or(f64::NAN))).collect::<Float64Array>()),
        2 => Arc::new(cents().with_precision_and_scale(20, 2).unwrap()),
        3 => cast(&texts(rows, column), &DataType::Dictionary(DataType::Int16.into(), DataType::Utf8.into()))
            .unwrap(),
        _ => cast(&texts(rows, column), &DataType::Utf8View).unwrap(),
    }
}

fn symbols(rows: &[Row], way: u32) -> ArrayRef {
    let symbols: StringArray = rows.iter().map(|row| Some(row.symbol.as_str())).collect();
    let dictionary = |values: DataType| DataType::Dictionary(DataType::Int32.into(), values.into());
    match way % 8 {
        0 => Arc::new(symbols),
        1 => cast(&symbols, &DataType::LargeUtf8).unwrap(),
        2 => cast(&symbols, &DataType::Utf8View).unwrap(),
        3 => cast(&symbols, &DataType::Binary).unwrap(),
        4 => cast(&symbols, &DataType::BinaryView).unwrap(),
        5 => cast(&symbols, &dictionary(DataType::Utf8)).unwrap(),
        6 => cast(&symbols, &dictionary(DataType::Binary)).unwrap(),
        _ => {
            let padded = rows.iter().map(|row| {
                let mut bytes = row.symbol.clone().into_bytes();
                bytes.resize(12, 0);
                bytes
            });
            Arc::new(FixedSizeBinaryArray::try_from_iter(padded).unwrap())
        }
    }
}

fn flags(rows: &[Row], way: u32) -> ArrayRef {
    let flags: BooleanArray = rows.iter().map(|row| row.otc).collect();
    match way % 6 {
        0 => Arc::new(flags),
        1 => cast(&flags, &DataType::Int8).unwrap(),
        2 => cast(&flags, &DataType::Float32).unwrap(),
        3 => cast(&flags, &DataType::UInt16).unwrap(),
        // A categorical, as pandas writes it.
        4 => Arc::new(boolean_dictionary(&flags)),
        _ => Arc::new(texts(rows, 10)),
    }
}

fn boolean_dictionary(flags: &BooleanArray) -> arrow::array::DictionaryArray<arrow::datatypes::Int32Type> {
    let keys = flags.iter().map(|flag| flag.map(i32::from)).collect();
    arrow::array::DictionaryArray::new(keys, Arc::new(BooleanArray::from(vec![false, true])))
}

fn parquet(path: &std::path::Path, rows: &[Row], way: u32) {
    let pick = |column: u32| way.rotate_left(column * 3);
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (NAMES[0], times(rows, 0, pick(0), |row| Some(row.start))),
        (NAMES[1], times(rows, 1, pick(1), |row| row.end)),
        (NAMES[2], times(rows, 2, pick(2), |row| row.received)),
        (NAMES[3], symbols(rows, pick(3))),
    ];
    for (price, column) in (0..5).zip(4..) {
        columns.push((
            NAMES[column],
            numbers(rows, column, pick(column as u32), move |row| Some(row.prices[price])),
        ));
    }
    columns.push((NAMES[9], numbers(rows, 9, pick(9), |row| row.vwap)));
    columns.push((NAMES[10], flags(rows, pick(10))));
    if rows.iter().all(|row| row.otc.is_none()) {
        columns[10].1 = Arc::new(NullArray::new(rows.len()));
    }
    write(path, columns);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_same_rows_are_the_same_bars_in_every_spelling_and_format(
        rows in prop::collection::vec(row(), 1..8), way in any::<u32>(),
    ) {
        let folder = Folder::new();
        let wanted: Vec<Bar> = rows.iter().map(Row::bar).collect();
        folder.file("a.csv", csv(&rows));
        folder.file("a.jsonl", json(&rows));
        parquet(&folder.path("a.parquet"), &rows, way);
        for name in ["a.csv", "a.jsonl", "a.parquet"] {
            let read: Vec<_> = files::bars(&folder.path(name)).unwrap().collect();
            let text = || std::fs::read(folder.path(name)).map(|text| String::from_utf8_lossy(&text).into_owned());
            let bars: Vec<_> = read.iter().map(|row| row.as_ref().map(|placed| placed.value.clone())).collect();
            prop_assert!(bars.iter().all(Result::is_ok), "{name}: {bars:?}\n{}", text().unwrap());
            prop_assert_eq!(bars.into_iter().flatten().collect::<Vec<_>>(), wanted.clone(), "{}", name);
            prop_assert!(read.iter().flatten().all(|placed| placed.left_out.is_none()), "{name}: {read:?}");
            let figures: Vec<Candle> = files::candles(&folder.path(name)).unwrap().flat_map(|piece| piece.candles)
                .flat_map(|candles| candles.rows().iter().map(|(_, candle)| *candle).collect::<Vec<_>>()).collect();
            prop_assert_eq!(figures, wanted.iter().map(Candle::from).collect::<Vec<_>>(), "{}", name);
        }
    }
}

/// Why a row is rejected in CSV, in JSON as text and as a number, and in Parquet.
fn reasons(column: &str, value: &str) -> Vec<String> {
    let mut good = vec![
        ("start_ms", "1709649000000"),
        ("symbol", "A"),
        ("open", "2"),
        ("high", "3"),
        ("low", "1"),
        ("close", "2"),
        ("volume", "7"),
    ];
    good.retain(|(name, _)| *name != column);
    good.push((column, value));
    let folder = Folder::new();
    let (names, cells): (Vec<_>, Vec<_>) = good.iter().copied().unzip();
    let fields = |bare: bool| {
        let field = |(name, cell): &(&str, &str)| match bare && *name == column {
            true => format!("\"{name}\":{cell}"),
            false => format!("\"{name}\":\"{cell}\""),
        };
        format!("{{{}}}", good.iter().map(field).collect::<Vec<_>>().join(","))
    };
    let path = folder.path("a.parquet");
    let columns =
        good.iter().map(|(name, cell)| (*name, Arc::new(StringArray::from(vec![*cell])) as ArrayRef));
    write(&path, columns.collect());
    let mut read = folder.bars("a.csv", format!("{}\n{}", names.join(","), cells.join(",")));
    read.extend(folder.bars("a.jsonl", fields(false)));
    if value.parse::<f64>().is_ok_and(f64::is_finite) {
        read.extend(folder.bars("a.jsonl", fields(true)));
    }
    read.extend(files::bars(&path).unwrap());
    if let Ok(value) = value.parse::<i64>() {
        let mut columns: Vec<(&str, ArrayRef)> = good
            .iter()
            .map(|(name, cell)| (*name, Arc::new(StringArray::from(vec![*cell])) as ArrayRef))
            .collect();
        for typed in [
            cast(&Int64Array::from(vec![value]), &DataType::Int64),
            cast(&Int64Array::from(vec![value]), &DataType::Float64),
        ] {
            columns.retain(|(name, _)| *name != column);
            columns.push((column, typed.unwrap()));
            write(&path, columns.clone());
            read.extend(files::bars(&path).unwrap());
        }
    }
    read.iter()
        .map(|row| row.as_ref().err().map_or_else(|| format!("{value} is taken"), |bad| bad.reason.clone()))
        .collect()
}

#[test]
fn a_time_of_another_unit_is_refused_in_every_column_and_format() {
    for column in ["start_ms", "end_timestamp", "received_timestamp"] {
        for (value, said) in [
            ("1709649000", "a time in seconds"),
            ("1709649000.25", "a time in seconds"),
            ("1709649e3", "a time in seconds"),
            ("1709649000000000", "a time in microseconds"),
            ("1709649000000000000", "a time in nanoseconds"),
            ("1.709649e18", "a time in nanoseconds"),
            ("1.70965E+12", "rounded to so few digits"),
            ("2E+12", "rounded to so few digits"),
            ("1709649000000.5", "not a whole number of milliseconds"),
            ("1709649000000001e-3", "not a whole number of milliseconds"),
            ("20240305", "first weeks of 1970"),
            ("202403051430", "without separators"),
            ("45356", "first weeks of 1970"),
            ("0", "first weeks of 1970"),
            ("-2000000000000000", "between the years 1900 and 2200"),
            ("9223372036854775807", "between the years 1900 and 2200"),
            ("-9223372036854775808", "between the years 1900 and 2200"),
            ("1e308", "between the years 1900 and 2200"),
            ("99999999999999999999999999999999999999999999", "between the years 1900 and 2200"),
            ("1970-01-01T00:28:29.649Z", "first weeks of 1970"),
            ("03/05/2024 09:30", "day and month cannot be told apart"),
            ("2024-03-05 09:30 EST", "is not a time"),
        ] {
            for reason in reasons(column, value) {
                assert!(reason.contains(said), "{column} {value}: {reason}");
            }
        }
    }
}

#[test]
fn times_at_both_ends_of_all_integers_overflow_nothing() {
    let folder = Folder::new();
    let header = "start_ms,end_timestamp,symbol,open,high,low,close,volume";
    let rows = folder.bars(
        "a.csv",
        format!("{header}\n-2000000000000,9223372036854775807,A,1,1,1,1,1\n9223372036854775807,-9223372036854775808,A,1,1,1,1,1\n"),
    );
    assert_eq!((outline(&rows).0.len(), rows.len()), (0, 2));
    let path = folder.path("a.parquet");
    for at in [i64::MIN, i64::MAX, i64::MAX / 1_000 + 1] {
        crate::parquet::three(
            &path,
            vec![("end_timestamp", Arc::new(TimestampSecondArray::from(vec![at; 3])))],
        );
        let rows: Vec<_> = files::bars(&path).unwrap().collect();
        assert!(
            rows.iter().all(|row| row.as_ref().is_err_and(|bad| bad.reason.contains("1900 and 2200"))),
            "{rows:?}"
        );
        assert_eq!(files::candles(&path).unwrap().map(|piece| piece.refused.len()).sum::<usize>(), 3);
    }
    crate::parquet::three(
        &path,
        vec![("received_timestamp", Arc::new(arrow::array::UInt64Array::from(vec![u64::MAX; 3])))],
    );
    assert_eq!(files::bars(&path).unwrap().filter(Result::is_err).count(), 3);
}

#[test]
fn an_optional_value_that_cannot_be_read_costs_itself_and_is_told() {
    for (column, value) in [
        ("vwap", "x"),
        ("vwap", "-1"),
        ("vwap", "inf"),
        ("vwap", "2e15"),
        ("vwap", "1,5"),
        ("otc", "maybe"),
        ("otc", "2"),
    ] {
        let text = format!(
            "start_ms,symbol,open,high,low,close,volume,{column}\n1709649000000,A,2,3,1,2,7,\"{value}\"\n"
        );
        let rows = Folder::new().bars("a.csv", text);
        let placed = rows[0].as_ref().unwrap();
        assert_eq!((placed.value.vwap, placed.value.otc), (None, None));
        let said = placed.left_out.as_ref().unwrap();
        assert!(said.contains(column) && said.contains(value), "{said}");
    }
    let list = r#"{"start_ms":1709649000000,"symbol":"A","open":2,"high":3,"low":1,"close":2,"volume":7,"vwap":[1]}"#;
    assert!(Folder::new().bars("a.jsonl", list)[0].as_ref().unwrap().left_out.is_some());
    let folder = Folder::new();
    let article = r#"{"id":7,"search_term":"oil","headline":"H","url":"https://e.org","published_ms":1709649000000,"kind":{"a":1},"pillar":null,"section_id":"NaN"}"#;
    let rows = folder.articles("a.jsonl", article);
    let placed = rows[0].as_ref().unwrap();
    assert_eq!((placed.value.id.as_str(), &placed.value.kind, &placed.value.section_id), ("7", &None, &None));
    assert!(placed.left_out.as_ref().unwrap().contains("`kind`"));
}

#[test]
fn what_must_be_there_stays_strict() {
    for column in ["open", "high", "low", "close", "volume"] {
        for value in ["NaN", "NA", "null", "None", "inf", "-inf", "1e999", "", "x", "1,5", "$2", "0x10"] {
            let cells = ["open", "high", "low", "close", "volume"]
                .map(|name| if name == column { value } else { "2" });
            let text = format!(
                "start_ms,symbol,open,high,low,close,volume\n1709649000000,A,\"{}\"\n",
                cells.join("\",\"")
            );
            let rows = Folder::new().bars("a.csv", text);
            let reason = &rows[0].as_ref().unwrap_err().reason;
            assert!(reason.contains(column), "{column} {value}: {reason}");
        }
    }
    for symbol in ["NaN", "None", "NULL", "null", "<NA>", "\\N", ""] {
        let rows = Folder::new().bars(
            "a.csv",
            format!("start_ms,symbol,open,high,low,close,volume\n1709649000000,{symbol},2,2,2,2,2\n"),
        );
        assert!(rows[0].as_ref().unwrap_err().reason.contains("`symbol`"), "{symbol}");
    }
}

#[test]
fn columns_of_nothing_but_nulls_are_as_good_as_none() {
    let folder = Folder::new();
    let path = folder.path("a.parquet");
    let nulls = || Arc::new(NullArray::new(3)) as ArrayRef;
    let of_nulls =
        ["vwap", "otc", "received_timestamp", "end_timestamp", "average_size"].map(|name| (name, nulls()));
    crate::parquet::three(&path, of_nulls.to_vec());
    let with: Vec<_> = files::bars(&path).unwrap().collect();
    crate::parquet::three(&path, vec![]);
    assert_eq!(with, files::bars(&path).unwrap().collect::<Vec<_>>());
    crate::parquet::three(&path, vec![("close", nulls())]);
    assert!(files::bars(&path).err().unwrap().to_string().contains("no column close"));
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    write(
        &path,
        vec![
            ("id", text("1")),
            ("symbol", Arc::new(NullArray::new(1))),
            ("search_term", text("oil")),
            ("headline", text("H")),
            ("url", text("https://e.org")),
            ("published_timestamp", text("2024-03-05 14:30:00+00")),
        ],
    );
    let articles: Vec<_> = files::articles(&path).unwrap().collect();
    assert_eq!(articles[0].as_ref().unwrap().value.key(), "oil");
}

#[test]
fn every_time_of_an_article_is_checked_alike() {
    let row = |published: &str, updated: &str, received: &str| {
        let header = "id,search_term,headline,url,published_ms,updated_timestamp,received_timestamp";
        let rows = Folder::new()
            .articles("a.csv", format!("{header}\n1,oil,H,https://e.org,{published},{updated},{received}\n"));
        rows[0].as_ref().err().map(|bad| bad.reason.clone())
    };
    let good = "1709649000000";
    assert_eq!(row(good, "", "NA"), None);
    for (bad, unit) in
        [("1709649000", " seconds"), ("1709649000000000", "micro"), ("1709649000000000000", "nano")]
    {
        for reason in [row(bad, "", ""), row(good, bad, ""), row(good, "", bad)] {
            assert!(reason.as_ref().is_some_and(|reason| reason.contains(unit)), "{reason:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_refuse_their_row_alone() {
    let folder = Folder::new();
    let path = folder.path("a.parquet");
    crate::parquet::three(
        &path,
        vec![("symbol", Arc::new(BinaryArray::from(vec![&b"A"[..], b"\xff\xfe", b"C"])))],
    );
    let rows: Vec<_> = files::bars(&path).unwrap().collect();
    let (good, bad) = outline(&rows);
    assert_eq!((good, bad.len()), (vec![1, 3], 1));
    assert!(bad[0].1.contains("not UTF-8"), "{}", bad[0].1);
}

#[test]
fn a_flat_file_of_massive_is_read_as_it_is() {
    let header = "ticker,volume,open,close,high,low,window_start,transactions";
    let rows =
        Folder::new().bars("a.csv", format!("{header}\nAAPL,100,170,170.5,171,169,1709649000000000000,12\n"));
    let bar = &rows[0].as_ref().unwrap().value;
    assert_eq!(
        (bar.symbol.as_str(), bar.start_timestamp, bar.end_timestamp),
        ("AAPL", 1_709_649_000_000, 1_709_649_060_000)
    );
    for (ticker, window_start, said) in [
        // Files of daily bars have the same header.
        ("AAPL", "1709614800000000000", "bar of a day"),
        ("AAPL", "1709649000000", "no time in nanoseconds"),
        ("AAPL", "1709649000", "no time in nanoseconds"),
        ("AAPL", "", "`start_timestamp` is empty"),
    ] {
        let rows = Folder::new()
            .bars("a.csv", format!("{header}\n{ticker},100,170,170.5,171,169,{window_start},12\n"));
        let reason = &rows[0].as_ref().unwrap_err().reason;
        assert!(reason.contains(said), "{window_start}: {reason}");
    }
    let night = Folder::new()
        .bars("a.csv", format!("{header}\nX:BTCUSD,100,170,170.5,171,169,1709614800000000000,12\n"));
    assert!(night[0].is_ok());
    let lines = r#"{"ticker":"AAPL","volume":100,"open":170,"close":170.5,"high":171,"low":169,"window_start":1709649000000000000}"#;
    assert_eq!(
        Folder::new().bars("a.jsonl", lines)[0].as_ref().unwrap().value.start_timestamp,
        1_709_649_000_000
    );
    // Rows of windows are not minute bars.
    let said = Folder::new().refused("w.csv", "symbol,window_start,window_end,open,high,low,close,volume\n");
    assert!(said.contains("no column start_timestamp"), "{said}");
}

#[test]
fn a_symbol_of_digits_is_one_in_every_type() {
    let fields = r#""start_ms":1709649000000,"open":2,"high":3,"low":1,"close":2,"volume":7"#;
    for symbol in ["7203", "7203.0", "\"7203\""] {
        let rows = Folder::new().bars("a.jsonl", format!("{{\"symbol\":{symbol},{fields}}}"));
        assert_eq!(rows[0].as_ref().unwrap().value.symbol, "7203");
    }
    let folder = Folder::new();
    let path = folder.path("a.parquet");
    for kind in [DataType::Int32, DataType::UInt64, DataType::Float64, DataType::Utf8] {
        let symbols = cast(&Int64Array::from(vec![7203; 3]), &kind).unwrap();
        crate::parquet::three(&path, vec![("symbol", symbols)]);
        let rows: Vec<_> = files::bars(&path).unwrap().collect();
        assert!(rows.iter().all(|row| row.as_ref().unwrap().value.symbol == "7203"), "{kind}: {rows:?}");
    }
}
