//! Crypto and currencies through the whole pipeline, as stocks go through it.

use std::path::Path;

use testkit::{real_bars, real_crypto_bars, real_currency_bars};

use crate::harness::{Sandbox, replay_line};

/// Articles about a pair within a file of its bars, as a file of news.
fn news(sandbox: &Sandbox, symbol: &str, times: &[i64]) -> String {
    let rows = times.iter().map(|at| format!("{at},{symbol},n{at},Headline,https://example.org/{at}\n"));
    let text: String = rows.collect();
    let file = sandbox.file("news.csv", format!("published_ms,symbol,id,headline,url\n{text}"));
    file.display().to_string()
}

/// What a run over a file has of a job is what is computed over the file.
fn streamed_is_computed(sandbox: &Sandbox, bars: &Path, news: &str) {
    sandbox.out(&format!("{} --news replay:{news}", replay_line(bars)));
    for job in ["volatility", "signals", "news_impact", "movers", "news_reaction"] {
        let exported = sandbox.out(&format!("export {job}"));
        let bars = bars.display();
        let with_news = if job == "volatility" { String::new() } else { format!(" --news {news}") };
        let computed = sandbox.out(&format!("compute {job} --bars {bars}{with_news}"));
        assert!(computed.lines().count() > 50, "{job}: {computed}");
        let differ = exported.lines().zip(computed.lines()).find(|(one, other)| one != other);
        assert_eq!(differ, None, "the first line of {job} that differs");
        assert_eq!(exported, computed, "{job}: one is longer than the other");
    }
}

fn topics(sandbox: &Sandbox) -> Vec<String> {
    let name = |line: &str| {
        let topic: serde_json::Value = serde_json::from_str(line).unwrap();
        topic["topic"].as_str().unwrap().to_owned()
    };
    sandbox.out("topics").lines().map(name).collect()
}

#[test]
fn a_replay_of_crypto_streams_what_is_computed_on_topics_of_its_own() {
    let sandbox = Sandbox::new();
    // 2017-09-03 21:10:20 and an hour later, in UTC.
    let news = news(&sandbox, "X:BTC-USD", &[1_504_473_020_000, 1_504_476_620_000]);
    streamed_is_computed(&sandbox, &real_crypto_bars(), &news);
    let topics = topics(&sandbox);
    for topic in ["crypto-prices", "volatility-crypto", "movers-crypto", "news-reaction-crypto"] {
        assert!(topics.iter().any(|known| known == topic), "{topic} is not in {topics:?}");
    }
    for topic in ["stock-prices", "currency-prices", "volatility", "volatility-currencies"] {
        assert!(!topics.iter().any(|known| known == topic), "{topic} is in {topics:?}");
    }
    assert_eq!(sandbox.out("export crypto_prices").lines().count(), 1_441);
    // The day in UTC ends within the file, the next one does not.
    let daily = sandbox.out("export bars_daily");
    let rows: Vec<Vec<&str>> = daily.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let spans: Vec<_> = rows.iter().map(|row| (row[0], row[1], row[2], row[10])).collect();
    let [open, close, next] = ["1504396800000", "1504483200000", "1504569600000"];
    assert!(spans.contains(&("X:BTC-USD", open, close, "360")), "{spans:?}");
    assert!(spans.contains(&("X:ETH-USD", close, next, "360")), "{spans:?}");
    assert!(sandbox.out("export crypto_prices --sessions").contains("continuous"));
}

#[test]
fn a_replay_of_currencies_streams_what_is_computed_and_zero_volume_is_good() {
    let sandbox = Sandbox::new();
    // Friday noon and the first hours of the new week.
    let news = news(&sandbox, "C:EUR-USD", &[1_399_040_000_000, 1_399_246_200_000]);
    streamed_is_computed(&sandbox, &real_currency_bars(), &news);
    assert_eq!(sandbox.out("export currency_prices").lines().count(), 1_017);
    let daily = sandbox.out("export bars_daily");
    let ends: Vec<&str> = daily.lines().skip(1).filter_map(|line| line.split(',').nth(2)).collect();
    // Friday and Monday at 17:00 in New York.
    assert_eq!(ends, ["1399064400000", "1399323600000"], "{daily}");
    let refused = sandbox.out("dead-letters list");
    assert!(refused.trim().is_empty(), "{refused}");
}

#[test]
fn rows_of_another_class_than_the_file_are_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    let crypto = std::fs::read_to_string(real_crypto_bars()).unwrap();
    let mixed = crypto.lines().take(200).chain(["1504461600000,AAPL,1,2,1,2,3"]);
    let mixed: Vec<&str> = mixed.collect();
    let file = sandbox.file("mixed.csv", mixed.join("\n") + "\n");
    sandbox.replay(&file);
    assert_eq!(sandbox.out("export crypto_prices").lines().count(), 200);
    let letters = sandbox.out("dead-letters list");
    assert!(letters.contains("AAPL is of the class stocks"), "{letters}");
    let letter = sandbox.out("dead-letters show 0");
    assert!(letter.contains("put the bars of each class into a file of their own"), "{letter}");
}

#[test]
fn a_replay_of_stocks_has_the_topics_that_it_had() {
    let sandbox = Sandbox::new();
    let stocks = std::fs::read_to_string(real_bars()).unwrap();
    let file = sandbox.file("few.csv", stocks.lines().take(300).collect::<Vec<_>>().join("\n") + "\n");
    sandbox.replay(&file);
    let topics = topics(&sandbox);
    assert!(topics.contains(&"stock-prices".to_owned()) && topics.contains(&"volatility".to_owned()));
    let others: Vec<_> =
        topics.iter().filter(|name| name.contains("crypto") || name.contains("currenc")).collect();
    assert!(others.is_empty(), "{others:?}");
}
