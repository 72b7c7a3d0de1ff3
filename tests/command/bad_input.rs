//! What is wrong is named, with its place and the remedy, and loses nothing else.

use crate::harness::{Desk, replay_line, sample_bars, taken_port};

const HEADER: &str = "start_ms,symbol,open,high,low,close,volume\n";
const GOOD: &str = "1709562600000,AAPL,10,11,9,10.5,100\n";

/// Both ways of reading a file refuse it, and say all of `parts`.
fn refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let desk = Desk::new();
    let file = desk.file(name, bytes);
    for line in [format!("compute volatility --bars {}", file.display()), replay_line(&file)] {
        let said = desk.refused(&line);
        for part in parts.iter().chain([&name]) {
            assert!(said.contains(part), "`{part}` is not in what {line} said:\n{said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let desk = Desk::new();
    for line in [replay_line(&desk.path("gone.csv")), "compute volatility --bars gone.csv".to_owned()] {
        let said = desk.refused(&line);
        assert!(said.contains("gone.csv"), "{said}");
    }
}

#[test]
fn empty_and_wrongly_headed_files_are_refused_with_what_is_missing() {
    refused("empty.csv", b"", &["empty"]);
    refused("headed.csv", b"time,name,open\n1,A,2\n", &["start_ms", "symbol", "close"]);
    refused("headless.csv", GOOD.as_bytes(), &["symbol"]);
}

#[test]
fn a_truncated_parquet_file_is_refused() {
    let desk = Desk::new();
    desk.out(&format!("compute volatility --bars {} --out rows.parquet", sample_bars().display()));
    let bytes = std::fs::read(desk.path("rows.parquet")).unwrap();
    refused("cut.parquet", &bytes[..bytes.len() / 2], &["cut.parquet"]);
    refused("text.parquet", b"this is text", &["text.parquet"]);
}

#[test]
fn bad_rows_are_dead_letters_with_file_and_line_and_the_rest_goes_on() {
    let desk = Desk::new();
    let bad = [
        ("1709562660000,AAPL,abc,11,9,10.5,100", "open"),
        ("1709562660000,AAPL,-1,11,9,10.5,100", "open"),
        ("1709562660000,AAPL,NaN,11,9,10.5,100", "open"),
        ("1709562660000,AAPL,10,9,11,10.5,100", "below low"),
        ("1709562660000,AAPL,10,11,9,12,100", "close"),
        ("1709562660000,AAPL,10,11,9,10.5,-5", "volume"),
        ("1709562660000,~clock0,10,11,9,10.5,5", "~"),
        ("1709562660000,AAPL,10", "column"),
    ];
    let rows: String = bad.iter().map(|(row, _)| format!("{row}\n{GOOD}")).collect();
    let file = desk.file("bars.csv", format!("{HEADER}{GOOD}{rows}"));
    desk.replay(&file);
    assert_eq!(desk.out("export stock_prices").lines().count(), 2);
    let letters: Vec<serde_json::Value> =
        desk.out("tail dead-letters").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), bad.len());
    for (at, (letter, (row, reason))) in letters.iter().zip(bad).enumerate() {
        let value = &letter["value"];
        let place = value["source"].as_str().unwrap().to_owned() + value["reason"].as_str().unwrap();
        assert!(place.contains("bars.csv") && place.contains(&(3 + 2 * at).to_string()), "{value}");
        assert!(value["reason"].as_str().unwrap().contains(reason), "{value}");
        assert!(value["event"].as_str().unwrap().contains(row), "{value}");
    }
    let ended = desk.run(&format!("compute volatility --bars {}", file.display()));
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.errors.contains("bars.csv, line 3: ") && ended.errors.contains("8 row(s) refused"),
        "{}",
        ended.errors
    );
    assert_eq!(ended.out, desk.out("export volatility"));
}

#[test]
fn articles_that_are_refused_are_told_when_the_replay_is_over() {
    let desk = Desk::new();
    let file = desk.file("bars.csv", format!("{HEADER}{GOOD}"));
    let news = "id,symbol,headline,url,published_timestamp\n\
                a,AAPL,Good,https://example.org/a,1709562660000\n\
                b,AAPL,In seconds,https://example.org/b,1709562660\n";
    let news = desk.file("news.csv", news);
    let ended = desk.run(&format!("{} --news replay:{}", replay_line(&file), news.display()));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let told = ended.errors.lines().find(|line| line.contains("Rows were refused"));
    assert!(told.is_some_and(|line| line.contains("news-watcher")), "{}", ended.errors);
    let letters = desk.out("tail dead-letters");
    assert_eq!(letters.lines().count(), 1);
    assert!(letters.contains("is a time in seconds"), "{letters}");
}

#[test]
fn a_row_cut_off_at_the_end_of_a_file_loses_only_itself() {
    let desk = Desk::new();
    let file = desk.file("cut.csv", format!("{HEADER}{GOOD}1709562660000,AAPL,10,11,9,1"));
    let ended = desk.run(&format!("compute volatility --bars {}", file.display()));
    assert_eq!(ended.code, Some(0));
    assert!(ended.errors.contains("line 3"), "{}", ended.errors);
    assert_eq!(ended.out.lines().count(), 31);
}

#[test]
fn a_port_in_use_is_named_before_anything_is_written() {
    let desk = Desk::new();
    let (_held, port) = taken_port();
    let said = desk.refused(&format!("up --listen 127.0.0.1:{port}"));
    assert!(said.contains(&port.to_string()) && said.contains("--listen"), "{said}");
    assert!(!desk.path("data").exists());
}

#[test]
fn an_address_that_is_none_is_answered_with_one() {
    for typed in ["localhost:8080", ":8080", "127.0.0.1"] {
        let ended = Desk::new().run(&format!("up --listen {typed}"));
        assert_ne!(ended.code, Some(0));
        assert!(ended.errors.contains(typed) && ended.errors.contains("127.0.0.1:8080"), "{}", ended.errors);
    }
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let desk = Desk::new();
    let file = desk.file("a-file", "");
    let said = desk.refused(&format!("up --listen 127.0.0.1:0 --data-dir {}", file.display()));
    assert!(said.contains("a-file") && said.contains("--data-dir"), "{said}");
}

#[test]
fn a_data_folder_of_a_newer_version_is_left_alone() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("data")).unwrap();
    desk.file("data/format", "99\n");
    for line in ["up --listen 127.0.0.1:0", "export volatility"] {
        let said = desk.refused(line);
        assert!(said.contains("format 99") && said.contains("newer"), "{said}");
    }
    assert_eq!(std::fs::read_to_string(desk.path("data/format")).unwrap(), "99\n");
}

#[test]
fn a_second_up_on_the_same_folder_is_refused_with_the_first_ones_number() {
    let desk = Desk::new();
    let first = desk.start("up --listen 127.0.0.1:0");
    first.address();
    let said = desk.refused("up --listen 127.0.0.1:0");
    assert!(said.contains(&first.id().to_string()) && said.contains("--data-dir"), "{said}");
}

#[test]
fn unknown_names_are_answered_with_those_that_there_are() {
    let desk = Desk::new();
    let said = desk.refused(&format!("compute volatilty --bars {}", sample_bars().display()));
    assert!(said.contains("`volatilty`") && said.contains("volatility"), "{said}");
    let said = desk.refused("export volatility");
    assert!(said.contains("tickwire up"), "{said}");
    desk.replay(&sample_bars());
    let said = desk.refused("export volatilty");
    assert!(said.contains("`volatilty`") && said.contains("stock_prices"), "{said}");
    let said = desk.refused("tail prices");
    assert!(said.contains("`prices`") && said.contains("stock-prices"), "{said}");
    let said = desk.refused("export volatility --from yesterday");
    assert!(said.contains("--from") && said.contains("yesterday"), "{said}");
}

#[test]
fn settings_that_make_no_sense_are_named_with_their_key() {
    let desk = Desk::new();
    desk.file("tickwire.toml", "[web]\nlissen = \"127.0.0.1:0\"\n");
    let said = desk.refused("up");
    assert!(said.contains("lissen"), "{said}");
    desk.file("tickwire.toml", "prices = \"yahoo\"\n");
    let said = desk.refused("up --listen 127.0.0.1:0");
    assert!(said.contains("yahoo") && said.contains("replay:FILE"), "{said}");
    let said = desk.refused("up --listen 127.0.0.1:0 --exit-when-done --prices simulate");
    assert!(said.contains("never ends"), "{said}");
}

#[test]
fn seconds_in_the_place_of_milliseconds_are_refused() {
    let desk = Desk::new();
    let file = desk.file("seconds.csv", format!("{HEADER}1709562600,AAPL,10,11,9,10.5,100\n"));
    let said = desk.refused(&format!("compute volatility --bars {}", file.display()));
    assert!(said.contains("in seconds") && said.contains("no row"), "{said}");
}

#[test]
fn an_error_says_its_cause_once_and_obeys_no_control_character() {
    let desk = Desk::new();
    let said = desk.refused("compute volatility --bars gone.csv");
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
    let file = desk.file("bytes.csv", b"a\x1b[31mb,c\x07\n1,2\n");
    let said = desk.refused(&format!("compute volatility --bars {}", file.display()));
    assert!(!said.contains('\x1b') && !said.contains('\x07'), "{said:?}");
}

#[test]
fn a_line_without_a_command_is_ups() {
    let desk = Desk::new();
    let said = desk.refused("--listen 127.0.0.1:0 --prices yahoo");
    assert!(said.contains("`yahoo`"), "{said}");
    assert!(desk.out("--help").contains("Commands:"));
    assert!(desk.out("--log-format json up --help").contains("--exit-when-done"));
}
