//! Small seeded markets, as a producer would write them into a log.

use log::{Append, partition_of};
use model::time::{DAY, MINUTE, Millis};
use model::{Article, Bar, Source, heartbeat, topic};

/// A portable generator of random numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Two short sessions with a night between them, three symbols, gaps, and a few bars that are
/// sent twice, in the order of their starts.
pub fn seeded(seed: u64) -> Vec<Bar> {
    let mut numbers = Numbers(seed);
    let mut bars = Vec::new();
    for day in [0, 1] {
        for minute in 0..90 {
            for symbol in ["AAPL", "IBM", "SPY"] {
                if numbers.unit() < 0.2 {
                    continue;
                }
                let start = 1_380_873_600_000 + day * DAY + minute * MINUTE;
                let bar = bar(symbol, start, &mut numbers);
                bars.push(bar.clone());
                if numbers.unit() < 0.05 {
                    let close = (bar.high + bar.low) / 2.0;
                    bars.push(Bar { close, received_timestamp: bar.received_timestamp + 1, ..bar });
                }
            }
        }
    }
    bars
}

fn bar(symbol: &str, start: Millis, numbers: &mut Numbers) -> Bar {
    let low = 100.0 + numbers.unit();
    let high = low + numbers.unit();
    Bar {
        symbol: symbol.into(),
        open: low + (high - low) * numbers.unit(),
        high,
        low,
        close: low + (high - low) * numbers.unit(),
        volume: (numbers.unit() * 10_000.0).round(),
        start_timestamp: start,
        end_timestamp: start + MINUTE,
        received_timestamp: start + MINUTE,
        source: Source::Replay,
        ..heartbeat::bar(0, start)
    }
}

/// The bars as records.
pub fn in_order(bars: &[Bar]) -> Vec<Append> {
    bars.iter().map(|bar| Append::json(topic::STOCK_PRICES, &bar.symbol, bar)).collect()
}

/// The bars with one heartbeat per minute and partition, until a day after the last bar.
pub fn feed(bars: &[Bar], partitions: u32) -> Vec<Append> {
    let mut records = Vec::new();
    let mut done = bars[0].start_timestamp - MINUTE;
    let mut clocks = |records: &mut Vec<Append>, until: Millis| {
        for at in heartbeat::minutes(done, until) {
            for partition in 0..partitions {
                let clock = heartbeat::bar(partition, at);
                records
                    .push(Append::json(topic::STOCK_PRICES, &clock.symbol, &clock).into_partition(partition));
            }
        }
        done = done.max(until);
    };
    for bar in bars {
        clocks(&mut records, bar.start_timestamp);
        let record = Append::json(topic::STOCK_PRICES, &bar.symbol, bar);
        records.push(record.into_partition(partition_of(&bar.symbol, partitions)));
    }
    let end = bars[bars.len() - 1].start_timestamp + DAY;
    clocks(&mut records, end);
    records
}

/// News about some symbols of [`seeded`], during its sessions and its night, in the order of
/// publication: some found by two search terms, some about symbols without bars, and some about
/// no symbol.
pub fn headlines(seed: u64) -> Vec<Article> {
    let mut numbers = Numbers(seed ^ 0xa11);
    let mut articles = Vec::new();
    for number in 0..60 {
        let symbol = ["AAPL", "IBM", "GONE", ""][(numbers.next() % 4) as usize];
        let day = (numbers.next() % 2) as i64 * DAY;
        let at = 1_380_873_600_000 + day + (numbers.next() % (200 * 60)) as i64 * 1_000 - 40 * MINUTE;
        let article =
            article(&format!("news/{number}"), Some(symbol).filter(|symbol| !symbol.is_empty()), at);
        articles.push(article.clone());
        if numbers.unit() < 0.2 {
            articles.push(Article { search_term: "another term".into(), ..article });
        }
    }
    articles.sort_by_key(|article| article.published_timestamp);
    articles
}

/// An article about a symbol, or about none.
pub fn article(id: &str, symbol: Option<&str>, at: Millis) -> Article {
    Article {
        id: id.into(),
        symbol: symbol.map(str::to_owned),
        search_term: "a term".into(),
        headline: "Something happened".into(),
        url: "https://example.org/".into(),
        source: Source::Replay,
        received_timestamp: at,
        ..heartbeat::article(0, at)
    }
}

/// The articles with one heartbeat per minute and partition, from a day before the first bar of
/// [`seeded`] to the end of [`feed`].
pub fn news_feed(articles: &[Article], partitions: u32) -> Vec<Append> {
    let mut records = Vec::new();
    let mut articles = articles.iter().peekable();
    let first = 1_380_873_600_000 - DAY;
    for minute in 0..=(3 * DAY + 3 * 60 * MINUTE) / MINUTE {
        let at = first + minute * MINUTE;
        while let Some(article) = articles.next_if(|article| article.published_timestamp < at) {
            records.push(news(&Article { complete_until: at - MINUTE, ..article.clone() }, partitions));
        }
        for partition in 0..partitions {
            let clock = heartbeat::article(partition, at);
            let record = Append::json(topic::NEWS_ARTICLES, clock.key(), &clock);
            records.push(record.into_partition(partition));
        }
    }
    records
}

/// An article as a record.
pub fn news(article: &Article, partitions: u32) -> Append {
    let record = Append::json(topic::NEWS_ARTICLES, article.key(), article);
    record.into_partition(partition_of(article.key(), partitions))
}

/// As [`feed`], but each tenth bar arrives `minutes` after its time. Returns the records, the
/// bars in time, and the number of late bars.
pub fn late_by(bars: &[Bar], minutes: i64) -> (Vec<Append>, Vec<Bar>, u64) {
    let (late, in_time): (Vec<_>, Vec<_>) =
        bars.iter().cloned().enumerate().partition(|(at, _)| at % 10 == 5);
    let in_time: Vec<Bar> = in_time.into_iter().map(|(_, bar)| bar).collect();
    let mut records = Vec::new();
    let mut waiting = late.iter().map(|(_, bar)| bar).peekable();
    for record in feed(&in_time, 1) {
        let written: Bar = serde_json::from_slice(&record.value).unwrap();
        while let Some(bar) =
            waiting.next_if(|bar| bar.start_timestamp + minutes * MINUTE < written.complete_until)
        {
            let bar = Bar { complete_until: written.complete_until - MINUTE, ..bar.clone() };
            records.extend(in_order(&[bar]));
        }
        records.push(record);
    }
    (records, in_time, late.len() as u64)
}
