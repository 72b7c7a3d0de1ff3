//! Studies of markets that never close at night.

use model::time::{DAY, HOUR, MINUTE, Millis, parse};
use model::{Article, Bar};
use study::{LeftOut, Options, Path, Study};

use crate::harness::{article, bar};

/// Every minute of so many days from `from`, but for those that `is_open` leaves out: a
/// price that waves a little, differently on each day, and doubles its pace from `news` on.
fn market(
    symbol: &str,
    from: &str,
    days: i64,
    news: Millis,
    volume: f64,
    is_open: impl Fn(Millis) -> bool,
) -> Vec<Bar> {
    let from = parse(from).unwrap();
    let minutes = (0..days * 24 * 60).map(|minute| (minute, from + minute * MINUTE));
    minutes
        .filter(|(_, start)| is_open(*start))
        .map(|(minute, start)| {
            let wave = (minute as f64 * (minute / 1_440 + 3) as f64 / 9.0).sin();
            let jump = if start >= news { 0.02 } else { 0.0 };
            let bar = bar(start, 100.0 * (0.001 * wave + jump).exp(), volume);
            Bar { symbol: symbol.into(), ..bar }
        })
        .collect()
}

fn of(symbol: &str, published: Millis) -> Article {
    Article { symbol: Some(symbol.into()), ..article(&published.to_string(), published) }
}

fn study(bars: &[Bar], articles: &[Article]) -> Study {
    study::study(bars, articles, &Options::default())
}

fn path<'a>(study: &'a Study, symbol: &str) -> (Option<LeftOut>, Option<&'a Path>) {
    let reaction = &study.symbol(symbol).unwrap().reactions[0];
    (reaction.left_out, reaction.path.as_ref())
}

#[test]
fn news_on_crypto_counts_at_night_at_weekends_and_over_midnight() {
    // A Sunday, ten minutes before midnight in UTC, over the end of summer time.
    let news = parse("2024-11-03T23:50:00Z").unwrap();
    let bars = market("X:BTC-USD", "2024-10-20T00:00:00Z", 16, news, 5.0, |_| true);
    let study = study(&bars, &[of("X:BTC-USD", news)]);
    let (left_out, path) = path(&study, "X:BTC-USD");
    assert_eq!(left_out, None);
    let path = path.unwrap();
    let last = path.minute(60).unwrap();
    assert!(path.sessions >= 5, "{} quiet days", path.sessions);
    assert!((last.cumulative.unwrap() - 0.02).abs() < 0.005, "{last:?}");
    assert_eq!((last.volume, last.abnormal_volume.map(f64::round)), (Some(5.0), Some(0.0)));
}

#[test]
fn a_halved_price_of_crypto_is_no_split() {
    let news = parse("2024-11-10T00:00:00Z").unwrap();
    let mut bars = market("X:BTC-USD", "2024-11-01T00:00:00Z", 12, news, 5.0, |_| true);
    for bar in bars.iter_mut().filter(|bar| bar.start_timestamp >= news) {
        bar.close /= 2.0;
    }
    let halved = study(&bars, &[of("X:BTC-USD", news + HOUR)]);
    assert!(halved.symbol("X:BTC-USD").unwrap().splits.is_empty());
    for bar in &mut bars {
        bar.symbol = "AAPL".into();
        // From midnight in UTC to midnight in New York.
        bar.start_timestamp += 5 * HOUR;
        bar.end_timestamp += 5 * HOUR;
    }
    assert_eq!(study(&bars, &[]).symbol("AAPL").unwrap().splits.len(), 1, "of a stock it would be one");
}

#[test]
fn news_on_currencies_counts_from_sunday_to_friday_and_volume_is_left_out() {
    let weekend = parse("2024-11-01T21:00:00Z").unwrap()..parse("2024-11-03T22:00:00Z").unwrap();
    let is_open = |start: Millis| !(0..3).any(|week| weekend.contains(&(start + week * 7 * DAY)));
    // 40 minutes after the week begins, by winter time, and on the Saturday before.
    let news = weekend.end + 40 * MINUTE;
    let bars = market("C:EUR-USD", "2024-10-20T21:00:00Z", 15, news, 0.0, is_open);
    let used = study(&bars, &[of("C:EUR-USD", news)]);
    let (left_out, path_of_news) = path(&used, "C:EUR-USD");
    assert_eq!(left_out, None);
    let minute = path_of_news.unwrap().minute(60).unwrap();
    assert_eq!((minute.volume, minute.abnormal_volume), (None, None));
    assert!((minute.cumulative.unwrap() - 0.02).abs() < 0.005, "{minute:?}");
    let closed = study(&bars, &[of("C:EUR-USD", weekend.start + 20 * HOUR)]);
    assert_eq!(path(&closed, "C:EUR-USD").0, Some(LeftOut::MarketClosed));
    // What was paid on Friday is no reference for what happens on Sunday.
    let opening = study(&bars, &[of("C:EUR-USD", weekend.end)]);
    assert_eq!(path(&opening, "C:EUR-USD").0, Some(LeftOut::NoPriceBefore));
}
