//! The sample that ships with the repository.

use simulation::sample;

const BARS: &str = include_str!("../../../sample/bars.csv");
const ARTICLES: &str = include_str!("../../../sample/articles.csv");
const STUDIED: &[u8] = include_bytes!("../../../sample/backtest/bars.csv.gz");
const NEWS: &str = include_str!("../../../sample/backtest/articles.csv");

/// The bars of the backtest, unpacked.
fn unpacked(packed: &[u8]) -> String {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut text).expect("a gzip file");
    text
}

#[test]
fn the_sample_that_ships_is_what_the_example_writes() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path()).unwrap();
    let packed = std::fs::read(folder.path().join("backtest/bars.csv.gz")).unwrap();
    assert!(unpacked(STUDIED) == unpacked(&packed), "backtest/bars.csv.gz");
    let files = [("bars.csv", BARS), ("articles.csv", ARTICLES), ("backtest/articles.csv", NEWS)];
    for (name, shipped) in files {
        let written = std::fs::read_to_string(folder.path().join(name)).unwrap();
        for (line, (shipped, written)) in (1..).zip(shipped.lines().zip(written.lines())) {
            assert_eq!(shipped, written, "{name}, line {line}");
        }
        assert_eq!(shipped.lines().count(), written.lines().count(), "{name}");
    }
}

#[test]
fn the_sample_is_small_and_holds_every_symbol_and_some_news() {
    assert!(BARS.len() + ARTICLES.len() < 150_000);
    assert!(STUDIED.len() + NEWS.len() < 120_000);
    for symbol in sample::SYMBOLS {
        let rows = BARS.lines().filter(|line| line.split(',').nth(1) == Some(symbol)).count();
        assert!((370..=390).contains(&rows), "{symbol}: {rows} rows");
    }
    assert!(ARTICLES.lines().count() > 3);
}
