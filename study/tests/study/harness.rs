//! Bars and articles at clock times in New York, and a study of them in one line.

use model::calendar::Calendar;
use model::time::{HOUR, MINUTE, Millis};
use model::{Article, AssetClass, Bar, Source};
use study::{LeftOut, Options, Reaction, Study};

/// The calendar of [`SYMBOL`].
pub const STOCKS: Calendar = AssetClass::Stocks.calendar();
pub const SYMBOL: &str = "AAPL";

/// A clock time in New York on a day with a session.
pub fn at(date: &str, clock: &str) -> Millis {
    let (hours, minutes) = clock.split_once(':').unwrap();
    let (minutes, seconds) = minutes.split_once(':').unwrap_or((minutes, "0"));
    let number = |text: &str| text.parse::<i64>().unwrap();
    let session = STOCKS.session(date.parse().unwrap()).expect("a day with a session");
    session.pre_open + (number(hours) - 4) * HOUR + number(minutes) * MINUTE + number(seconds) * 1_000
}

pub fn bar(start_timestamp: Millis, close: f64, volume: f64) -> Bar {
    let end_timestamp = start_timestamp + MINUTE;
    Bar {
        symbol: SYMBOL.into(),
        open: close,
        high: close,
        low: close,
        close,
        volume,
        start_timestamp,
        end_timestamp,
        received_timestamp: end_timestamp,
        source: Source::Replay,
        ..model::heartbeat::bar(0, 0)
    }
}

pub fn article(id: &str, published: Millis) -> Article {
    Article {
        id: id.into(),
        symbol: Some(SYMBOL.into()),
        search_term: "Apple".into(),
        headline: format!("Headline {id}"),
        url: "https://example.org/".into(),
        source: Source::Replay,
        published_timestamp: published,
        received_timestamp: published,
        ..model::heartbeat::article(0, 0)
    }
}

/// Every minute of the regular sessions from `from`, so many of them: a price
/// that goes up and down a little, differently on each day.
pub fn calm(from: &str, sessions: usize) -> Vec<Bar> {
    let mut date = from.parse().unwrap();
    let mut bars = Vec::new();
    for day in 0..sessions {
        let session = STOCKS.session(date).expect("a day with a session");
        for (minute, start) in (session.open..session.close).step_by(MINUTE as usize).enumerate() {
            let wave = ((minute * (day + 3)) as f64 / 7.0).sin();
            bars.push(bar(start, 100.0 * (0.001 * wave).exp(), 1_000.0 + 100.0 * wave));
        }
        date = STOCKS.next_session(date).date;
    }
    bars
}

pub fn study(bars: &[Bar], articles: &[Article]) -> Study {
    study::study(bars, articles, &Options::default())
}

/// The reaction to an article of [`SYMBOL`].
pub fn reaction<'a>(study: &'a Study, id: &str) -> &'a Reaction {
    let symbol = study.symbol(SYMBOL).expect("the symbol");
    symbol.reactions.iter().find(|reaction| reaction.id == id).expect("the article")
}

/// Why an article was left out, and whether a path is shown all the same.
pub fn fate(study: &Study, id: &str) -> (Option<LeftOut>, bool) {
    let reaction = reaction(study, id);
    (reaction.left_out, reaction.path.is_some())
}
