//! Bars in Kafka, as producers leave them.

use std::sync::Arc;

use log::{Append, KafkaConfig, KafkaLog, Log, SharedLog};
use model::topic::{NEWS_ARTICLES, SERVICE_STATUS, STOCK_PRICES};
use model::{Bar, Source};

use super::Place;
use crate::figures;

/// Minutes of a session: all bars are of one day, which does not end.
const MINUTES: usize = 390;
/// Records of an append.
const AT_ONCE: usize = 20_000;

/// How Kafka is reached; topics end with `suffix`.
pub fn config(place: &Place, suffix: &str) -> KafkaConfig {
    KafkaConfig { suffix: suffix.to_owned(), ..KafkaConfig::new(place.kafka.bootstrap_servers()) }
}

/// A log that holds so many bars, minute by minute.
pub fn fill(place: &Place, suffix: &str, bars: usize) -> anyhow::Result<SharedLog> {
    let log = Arc::new(KafkaLog::new(&config(place, suffix))?);
    place.outside.block_on(async {
        log.make(&[STOCK_PRICES, NEWS_ARTICLES, SERVICE_STATUS]).await?;
        let mut records = Vec::new();
        for bar in all(bars) {
            records.push(Append::json(STOCK_PRICES, &bar.symbol, &bar));
            if records.len() == AT_ONCE {
                log.append(std::mem::take(&mut records)).await?;
            }
        }
        log.append(records).await
    })?;
    Ok(log)
}

/// Bars of one day, minute by minute.
pub fn all(bars: usize) -> impl Iterator<Item = Bar> {
    let symbols = bars.div_ceil(MINUTES);
    (0..bars).map(move |number| bar(number % symbols, number / symbols))
}

/// With the figures that a feed has too.
fn bar(symbol: usize, minute: usize) -> Bar {
    let bar = figures::bar(symbol, minute);
    Bar {
        vwap: Some((bar.open + bar.close) / 2.0 + 0.001),
        volume: (100 + (minute * 7 + symbol) % 9_770) as f64,
        accumulated_volume: Some((100 + minute * 977) as f64),
        average_size: Some((20 + minute % 77) as f64),
        source: Source::Polygon,
        received_timestamp: bar.received_timestamp + 900,
        ..bar
    }
}
