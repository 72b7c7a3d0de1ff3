//! `tickwire backtest`: the event study as a report, over files and over the store.

use testkit::real_bars;

use crate::harness::{Sandbox, assert_words, sample_bars};

#[test]
fn news_planted_into_real_bars_is_studied_and_reported_in_every_form() {
    let bars = real_bars();
    let sandbox = Sandbox::new();
    // Friday the 11th, 11:17:20 in New York; then one at night, one that follows, one of nobody's.
    let news = "id,symbol,search_term,headline,url,published_ms\n\
        one,IBM,IBM,<b>Results</b> & more,https://example.org/1,1381504640000\n\
        one,IBM,IBM,<b>Results</b> & more,https://example.org/1,1381504640000\n\
        two,IBM,IBM,Again,https://example.org/2,1381505640000\n\
        night,BAC,BAC,At night,https://example.org/3,1381370400000\n\
        nobody,ZZZZ,ZZZZ,Unknown,https://example.org/4,1381504640000\n";
    let news = sandbox.file("news.csv", news);
    let line = format!("backtest --bars {} --news {} --out-dir out", bars.display(), news.display());
    let text = sandbox.out(&line);
    assert_words!(sandbox.without_folders(&text));
    assert_eq!(std::fs::read_to_string(sandbox.path("out/report.txt")).unwrap(), text);

    let page = std::fs::read_to_string(sandbox.path("out/report.html")).unwrap();
    assert!(page.contains("&#60;b&#62;Results") && !page.contains("<b>Results"), "headlines are text");
    assert_eq!(page.matches("<svg ").count(), 2, "all symbols, and IBM");
    assert!(!page.contains("<script") && !page.contains("src="));

    let paths = std::fs::read_to_string(sandbox.path("out/mean-paths.csv")).unwrap();
    assert!(paths.starts_with("symbol,minute,events,cumulative,standard_error,low,high,"), "{paths}");
    let line = paths.lines().find(|line| line.starts_with("IBM,60,1,")).unwrap();
    let articles = std::fs::read_to_string(sandbox.path("out/articles.csv")).unwrap();
    let of_one = articles.lines().find(|line| line.starts_with("IBM,one,1381504640000,,5,")).unwrap();
    // The mean over a single article is that article's.
    assert!(of_one.split(',').any(|cell| cell == line.split(',').nth(3).unwrap()), "{line}\n{of_one}");
    assert_eq!(articles.lines().count(), 1 + 4);
    let windows = std::fs::read_to_string(sandbox.path("out/windows.csv")).unwrap();
    assert!(windows.contains("\nIBM,with,") && windows.contains("\nIBM,without,"), "{windows}");
}

#[test]
fn the_store_yields_the_report_that_its_files_do() {
    let sandbox = Sandbox::new();
    let (bars, news) = (sample_bars(), sample_bars().with_file_name("articles.csv"));
    let files = format!("--bars {} --news {}", bars.display(), news.display());
    sandbox.out(&format!(
        "up --listen 127.0.0.1:0 --prices replay:{} --news replay:{} --speed max --exit-when-done",
        bars.display(),
        news.display()
    ));
    assert_eq!(sandbox.out("backtest"), sandbox.out(&format!("backtest {files}")));
    let alone = sandbox.out("backtest --symbol AAPL --as-of-arrival --csv paths.csv --html page.html");
    assert!(alone.contains("AAPL: ") && !alone.contains("TSLA") && alone.contains("by arrival"), "{alone}");
    assert!(sandbox.path("paths.csv").exists() && sandbox.path("page.html").exists());
    assert_words!(sandbox.printed(&["backtest --symbol ZZZZ"]));
}

#[test]
fn the_backtest_that_ships_uses_at_least_ten_articles() {
    let sandbox = Sandbox::new();
    let folder = sample_bars().with_file_name("backtest");
    let (bars, news) = (folder.join("bars.csv.gz"), folder.join("articles.csv"));
    let said = sandbox.out(&format!("backtest --bars {} --news {}", bars.display(), news.display()));
    let used = said.split(" used").next().and_then(|before| before.split_whitespace().last());
    let used: usize = used.and_then(|used| used.parse().ok()).unwrap_or(0);
    assert!(used >= 10, "{said}");
}
