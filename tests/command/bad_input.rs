//! What is wrong is named, with its place and the remedy, and loses nothing else.

use std::io::Write;

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars, taken_port};

const HEADER: &str = "start_ms,symbol,open,high,low,close,volume\n";
const GOOD: &str = "1709562600000,AAPL,10,11,9,10.5,100\n";

/// What both ways of reading a file print, which refuse it.
fn refused(name: &str, bytes: &[u8]) -> String {
    let sandbox = Sandbox::new();
    let file = sandbox.file(name, bytes);
    let lines = [format!("compute volatility --bars {}", file.display()), replay_line(&file)];
    let refused = lines.map(|line| {
        let ended = sandbox.run(&line);
        assert_eq!(ended.code, Some(1), "{}", ended.printed);
        ended.printed
    });
    refused.concat()
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    let replay = replay_line(&sandbox.path("gone.csv"));
    assert_words!(sandbox.printed(&[&replay, "compute volatility --bars gone.csv"]));
}

#[test]
fn empty_and_wrongly_headed_files_are_refused_with_what_is_missing() {
    let printed = [
        refused("empty.csv", b""),
        refused("headed.csv", b"time,name,open\n1,A,2\n"),
        refused("headless.csv", GOOD.as_bytes()),
    ];
    assert_words!(printed.concat());
}

#[test]
fn a_truncated_parquet_file_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.out(&format!("compute volatility --bars {} --out rows.parquet", sample_bars().display()));
    let bytes = std::fs::read(sandbox.path("rows.parquet")).unwrap();
    let cut = refused("cut.parquet", &bytes[..bytes.len() / 2]);
    assert_words!(cut + &refused("text.parquet", b"this is text"));
}

#[test]
fn bad_rows_are_dead_letters_with_file_and_line_and_the_rest_goes_on() {
    let sandbox = Sandbox::new();
    let bad = [
        "1709562660000,AAPL,abc,11,9,10.5,100",
        "1709562660000,AAPL,-1,11,9,10.5,100",
        "1709562660000,AAPL,NaN,11,9,10.5,100",
        "1709562660000,AAPL,10,9,11,10.5,100",
        "1709562660000,AAPL,10,11,9,12,100",
        "1709562660000,AAPL,10,11,9,10.5,-5",
        "1709562660000,~clock0,10,11,9,10.5,5",
        "1709562660000,AAPL,10",
    ];
    let rows: String = bad.iter().map(|row| format!("{row}\n{GOOD}")).collect();
    let file = sandbox.file("bars.csv", format!("{HEADER}{GOOD}{rows}"));
    sandbox.replay(&file);
    assert_eq!(sandbox.out("export stock_prices").lines().count(), 2);
    let letters: Vec<serde_json::Value> =
        sandbox.out("tail dead-letters").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), bad.len());
    let mut words = String::new();
    for (letter, row) in letters.iter().zip(bad) {
        let value = &letter["value"];
        assert!(value["event"].as_str().unwrap().contains(row), "{value}");
        words += &format!("{}\n  {}: {}\n", value["event"], value["source"], value["reason"]);
    }
    let ended = sandbox.run(&format!("compute volatility --bars {}", file.display()));
    assert_eq!(ended.code, Some(0));
    assert_words!(sandbox.without_folders(&format!("{words}\n{}", ended.errors)));
    assert_eq!(ended.out, sandbox.out("export volatility"));
}

#[test]
fn articles_that_are_refused_are_told_when_the_replay_is_over() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("bars.csv", format!("{HEADER}{GOOD}"));
    let news = "id,symbol,headline,url,published_timestamp\n\
                a,AAPL,Good,https://example.org/a,1709562660000\n\
                b,AAPL,In seconds,https://example.org/b,1709562660\n";
    let news = sandbox.file("news.csv", news);
    let ended = sandbox.run(&format!("{} --news replay:{}", replay_line(&file), news.display()));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let told = ended.errors.lines().find(|line| line.contains("rejected=")).unwrap();
    assert_words!(format!("{told}\n\n{}", sandbox.printed(&["dead-letters list"])));
    assert_eq!(sandbox.out("tail dead-letters").lines().count(), 1);
}

/// So many good bars, a minute apart.
fn bars(count: i64) -> String {
    let row = |n: i64| format!("{},AAPL,10,11,9,10.5,100\n", 1_709_562_600_000 + n * 60_000);
    (0..count).map(row).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_row_cut_off_at_the_end_of_a_file_loses_only_itself() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("cut.csv", format!("{HEADER}{GOOD}1709562660000,AAPL,10,11,9,1"));
    let ended = sandbox.run(&format!("compute volatility --bars {}", file.display()));
    assert_eq!(ended.code, Some(1));
    assert_words!(sandbox.without_folders(&ended.errors));
    assert_eq!(ended.out.lines().count(), 31);
}

#[test]
fn a_file_that_ends_in_its_middle_fails_with_its_place_and_keeps_the_rows_before() {
    let whole = gzip(&format!("{HEADER}{}", bars(2_000)));
    let files = [
        ("cut.csv.gz", whole[..whole.len() / 2].to_vec()),
        ("cut.csv", format!("{HEADER}{}1709562660000,\"AAP", bars(3)).into_bytes()),
        (
            "cut.jsonl",
            br#"{"start_ms":1709562600000,"symbol":"A","open":2,"high":3,"low":1,"close":2,"volume":7}
{"start_ms":17095626"#
                .to_vec(),
        ),
    ];
    for (name, bytes) in files {
        let sandbox = Sandbox::new();
        let file = sandbox.file(name, bytes);
        let computed = sandbox.run(&format!("compute volatility --bars {}", file.display()));
        assert_eq!(computed.code, Some(1), "{name}: {}", computed.errors);
        let replayed = sandbox.run(&replay_line(&file));
        assert_eq!(replayed.code, Some(1), "{name}: {}", replayed.errors);
        for errors in [&computed.errors, &replayed.errors] {
            for said in [&format!("{name}, line "), "cut off or damaged", "fetch or write the file again"] {
                assert!(errors.contains(said), "{name}: {errors}");
            }
        }
        assert!(computed.out.lines().count() > 30, "{name}");
        assert_eq!(computed.out, sandbox.out("export volatility"), "{name}");
        let status = sandbox.out("tail service-status");
        assert!(status.contains("failed"), "{name}: {status}");
    }
}

#[test]
fn news_cut_off_within_quotes_fail_and_the_articles_before_are_kept() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("bars.csv", format!("{HEADER}{}", bars(3)));
    let news = "id,symbol,headline,url,published_timestamp\n\
                a,AAPL,Good,https://example.org/a,1709562660000\n\
                b,AAPL,\"Cut, off";
    let news = sandbox.file("news.csv", news);
    let ended = sandbox.run(&format!("{} --news replay:{}", replay_line(&file), news.display()));
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    assert!(ended.errors.contains("news.csv, line 3"), "{}", ended.errors);
    assert_eq!(sandbox.out("export news_articles").lines().count(), 2);
    assert!(sandbox.out("export volatility").lines().count() > 30);
}

#[test]
fn rows_years_ahead_are_refused_by_compute_as_by_a_replay() {
    let ahead = |minute: i64| format!("{},AAPL,10,11,9,10.5,100\n", 4_102_444_800_000 + minute * 60_000);
    let text = format!("{HEADER}{}{}\n{}{}", ahead(0), bars(40), ahead(1), GOOD.replace("AAPL", "MSFT"));
    let sandbox = Sandbox::new();
    let file = sandbox.file("bars.csv", text);
    sandbox.replay(&file);
    for job in ["volatility", "movers"] {
        let computed = sandbox.run(&format!("compute {job} --bars {}", file.display()));
        assert_eq!(computed.code, Some(0), "{}", computed.errors);
        for line in [2, 44] {
            let said = format!("bars.csv, line {line}: its time 2100-01-01");
            assert!(computed.errors.contains(&said), "{job}: {}", computed.errors);
        }
        assert!(computed.errors.contains("2 row(s) refused, 41 taken"), "{}", computed.errors);
        assert!(computed.out.contains("MSFT"), "{job}");
        assert_eq!(computed.out, sandbox.out(&format!("export {job}")), "{job}");
    }
    let letters = sandbox.out("dead-letters list");
    assert!(letters.contains("bars.csv:2") && letters.contains("bars.csv:44"), "{letters}");
}

#[test]
fn an_article_years_ahead_is_refused_by_a_backtest_as_by_a_replay() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("bars.csv", format!("{HEADER}{}", bars(40)));
    let news = "id,symbol,headline,url,published_timestamp\n\
                b,AAPL,Ahead,https://example.org/b,4102444800000\n\
                a,AAPL,Good,https://example.org/a,1709562660000\n";
    let news = sandbox.file("news.csv", news);
    let files = format!("--bars {} --news {}", file.display(), news.display());
    let ended = sandbox.run(&format!("backtest {files}"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.errors.contains("news.csv, line 2: its time 2100-01-01"), "{}", ended.errors);
    assert!(ended.errors.contains("1 row(s) refused, 1 taken"), "{}", ended.errors);
}

#[test]
fn a_port_in_use_is_named_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let (_held, port) = taken_port();
    let said = sandbox.refused(&format!("up --listen 127.0.0.1:{port}"));
    assert!(said.contains(&port.to_string()), "{said}");
    assert_words!(said);
    assert!(!sandbox.path("data").exists());
}

#[test]
fn an_address_that_is_none_is_answered_with_one() {
    let lines = ["up --listen localhost:8080", "up --listen :8080", "up --listen 127.0.0.1"];
    assert_words!(Sandbox::new().printed(&lines));
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("a-file", "");
    let line = format!("up --listen 127.0.0.1:0 --data-dir {}", file.display());
    assert_words!(sandbox.printed(&[&line]));
}

#[test]
fn a_data_folder_of_a_newer_version_is_left_alone() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("data")).unwrap();
    sandbox.file("data/format", "99\n");
    assert_words!(sandbox.printed(&["up --listen 127.0.0.1:0", "export volatility"]));
    assert_eq!(std::fs::read_to_string(sandbox.path("data/format")).unwrap(), "99\n");
}

#[test]
fn a_second_up_on_the_same_folder_is_refused_with_the_first_ones_number() {
    let sandbox = Sandbox::new();
    let first = sandbox.start("up --listen 127.0.0.1:0");
    first.address();
    let said = sandbox.refused("up --listen 127.0.0.1:0");
    assert!(said.contains(&first.id().to_string()), "{said}");
    assert_words!(sandbox.without_folders(&said));
}

#[test]
fn unknown_names_are_answered_with_those_that_there_are() {
    let sandbox = Sandbox::new();
    let compute = format!("compute volatilty --bars {}", sample_bars().display());
    let before = sandbox.printed(&[&compute, "export volatility"]);
    sandbox.replay(&sample_bars());
    let lines = ["export volatilty", "tail prices", "export volatility --from yesterday"];
    assert_words!(before + &sandbox.printed(&lines));
}

#[test]
fn settings_that_make_no_sense_are_named_with_their_key() {
    let sandbox = Sandbox::new();
    sandbox.file("tickwire.toml", "[web]\nlissen = \"127.0.0.1:0\"\n");
    let key = sandbox.printed(&["up"]);
    sandbox.file("tickwire.toml", "prices = \"yahoo\"\n");
    let lines = ["up --listen 127.0.0.1:0", "up --listen 127.0.0.1:0 --exit-when-done --prices simulate"];
    assert_words!(key + &sandbox.printed(&lines));
}

#[test]
fn seconds_in_the_place_of_milliseconds_are_refused() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("seconds.csv", format!("{HEADER}1709562600,AAPL,10,11,9,10.5,100\n"));
    assert_words!(sandbox.printed(&[&format!("compute volatility --bars {}", file.display())]));
}

#[test]
fn an_error_says_its_cause_once_and_obeys_no_control_character() {
    let sandbox = Sandbox::new();
    let said = sandbox.refused("compute volatility --bars gone.csv");
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
    let file = sandbox.file("bytes.csv", b"a\x1b[31mb,c\x07\n1,2\n");
    let said = sandbox.refused(&format!("compute volatility --bars {}", file.display()));
    assert!(!said.contains('\x1b') && !said.contains('\x07'), "{said:?}");
}

#[test]
fn what_a_row_holds_reaches_no_terminal_as_a_command_to_it() {
    let sandbox = Sandbox::new();
    sandbox.file("bars.csv", format!("{HEADER}{GOOD}1709562660000,AAPL,1\u{1b}[31mX,2,1,1,1\n"));
    let ended = sandbox.run("compute volatility --bars bars.csv");
    assert!(ended.errors.contains("line 3") && !ended.errors.contains('\u{1b}'), "{:?}", ended.errors);
}

#[test]
fn a_mistyped_command_is_answered_with_a_similar_one() {
    assert_words!(Sandbox::new().printed(&["sinc", "--log-format json compte volatility"]));
}

#[test]
fn a_line_without_a_command_is_ups() {
    let sandbox = Sandbox::new();
    assert_words!(sandbox.printed(&["--listen 127.0.0.1:0 --prices yahoo"]));
    assert_eq!(sandbox.out("--log-format json up --help"), sandbox.out("up --help"));
}

// What `--help` of every command prints.

/// Compares the help of a command, and of each that it lists, with its snapshot.
fn helps(sandbox: &Sandbox, command: &str) {
    let help = sandbox.out(format!("{command} --help").trim());
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        helps(sandbox, format!("{command} {name}").trim());
    }
    let name = if command.is_empty() { "tickwire".to_owned() } else { command.replace(' ', "_") };
    assert_words!(name, help);
}

#[test]
fn every_command_explains_itself() {
    helps(&Sandbox::new(), "");
}
