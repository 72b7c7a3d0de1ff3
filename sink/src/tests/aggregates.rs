//! Days, weeks and months: against plain sums over real bars, and in the order
//! in which bars, clocks, late bars and kills come.

use std::collections::{BTreeMap, BTreeSet};

use model::topic::NEWS_ARTICLES;
use store::{Batch, Measurement, Point};

use super::*;
use crate::aggregates::aggregate;

/// 2024-03-05 09:30 in New York, a Tuesday.
const OPEN: Millis = 1_709_649_000_000;
const CLOSE: Millis = OPEN + 390 * MINUTE;

/// A bar so many minutes after the open, said when so many were complete.
fn traded(minute: i64, close: f64, complete: i64) -> Bar {
    let start_timestamp = OPEN + minute * MINUTE;
    Bar {
        open: close,
        high: close + 1.0,
        low: close - 1.0,
        close,
        start_timestamp,
        end_timestamp: start_timestamp + MINUTE,
        received_timestamp: start_timestamp + MINUTE,
        complete_until: OPEN + complete * MINUTE,
        ..bar("A", 0, 10.0, 0)
    }
}

fn clock(minute: i64) -> Append {
    bar_record(&model::heartbeat::bar(0, OPEN + minute * MINUTE))
}

fn published(id: &str, at: Millis) -> Append {
    let article = Article {
        id: id.into(),
        symbol: Some("A".into()),
        search_term: "A".into(),
        headline: "Headline".into(),
        url: "https://example.org/".into(),
        source: Source::Replay,
        published_timestamp: at,
        received_timestamp: at,
        ..model::heartbeat::article(0, 0)
    };
    Append::json(NEWS_ARTICLES, "A", &article)
}

/// Window's end, open, high, low, close, volume, articles and bars of each row.
type Shown = Vec<(Millis, [f64; 5], i64, i64)>;

async fn shown(folder: &Folder, measurement: &str) -> Shown {
    let query = Query { measurement: measurement.into(), ..Query::default() };
    let rows = folder.store.read(&query).await.unwrap().rows;
    let row = |row: &Vec<Value>| {
        let prices = [3, 4, 5, 6, 7].map(|column: usize| row[column].as_f64().unwrap());
        (row[2].as_i64().unwrap(), prices, row[9].as_i64().unwrap(), row[10].as_i64().unwrap())
    };
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn a_day_is_written_when_event_time_passes_its_close_and_not_before() {
    let folder = Folder::new();
    let mut sink = folder.sink().await;
    let records = [(-5, 9.0), (0, 10.0), (1, 12.0), (389, 11.0), (390, 50.0)]
        .map(|(minute, close)| bar_record(&traded(minute, close, minute.min(389))));
    folder.append(records.into()).await;
    // At night before, at the close, and just after it.
    let articles = [published("a", OPEN - 3_600_000), published("b", CLOSE), published("c", CLOSE + 1)];
    folder.append(articles.into()).await;
    folder.append(vec![clock(389)]).await;
    catch_up(&mut sink).await;
    aggregate_closed(&mut sink).await;
    assert_eq!(shown(&folder, "bars_daily").await, [], "before the close");

    folder.append(vec![clock(390)]).await;
    catch_up(&mut sink).await;
    aggregate_closed(&mut sink).await;
    assert_eq!(shown(&folder, "bars_daily").await, [(CLOSE, [10.0, 13.0, 9.0, 11.0, 30.0], 2, 3)]);
    assert_eq!(shown(&folder, "bars_weekly").await, [], "the week has not closed");
}

#[tokio::test]
async fn a_late_bar_changes_its_day_at_the_next_recomputation_even_after_a_kill() {
    let folder = Folder::new();
    folder.append(vec![bar_record(&traded(0, 10.0, 0)), clock(400)]).await;
    let mut sink = folder.sink_caught_up().await;
    aggregate_closed(&mut sink).await;
    folder.append(vec![bar_record(&traded(1, 20.0, 400))]).await;
    catch_up(&mut sink).await;
    aggregate_closed(&mut sink).await;
    let before = [(CLOSE, [10.0, 11.0, 9.0, 10.0, 10.0], 0, 1)];
    assert_eq!(shown(&folder, "bars_daily").await, before, "one late bar is waited with");
    drop(sink);

    let mut again = folder.sink_caught_up().await;
    recompute(&mut again, Due::Emitted).await;
    assert_eq!(shown(&folder, "bars_daily").await, [(CLOSE, [10.0, 21.0, 9.0, 20.0, 20.0], 0, 2)]);
}

#[tokio::test]
async fn weeks_and_months_follow_from_their_days_once_they_have_closed() {
    let folder = Folder::new();
    let day = 24 * 60;
    folder.append(vec![bar_record(&traded(0, 10.0, 0)), bar_record(&traded(day, 30.0, day))]).await;
    folder.append(vec![clock(40 * day)]).await;
    folder.drain().await;
    assert_eq!(shown(&folder, "bars_daily").await.len(), 2);
    let friday = CLOSE + 3 * day * MINUTE;
    assert_eq!(shown(&folder, "bars_weekly").await, [(friday, [10.0, 31.0, 9.0, 30.0, 20.0], 0, 2)]);
    // The last session of March 2024 was Thursday the 28th, in summer time.
    let month = 1_711_656_000_000;
    assert_eq!(shown(&folder, "bars_monthly").await, [(month, [10.0, 31.0, 9.0, 30.0, 20.0], 0, 2)]);
}

#[tokio::test]
async fn a_symbol_that_does_not_trade_on_the_last_day_gets_its_week_and_month() {
    let folder = Folder::new();
    let mut sink = folder.sink().await;
    let day = 24 * 60;
    // THIN trades on Tuesday alone, FULL on Friday too; nothing comes afterwards but the clock.
    let thin = Bar { symbol: "THIN".into(), ..traded(5, 10.0, 0) };
    folder.append(vec![bar_record(&thin), bar_record(&traded(3 * day, 30.0, 3 * day))]).await;
    folder.append(vec![clock(3 * day + 389)]).await;
    catch_up(&mut sink).await;
    aggregate_closed(&mut sink).await;
    assert_eq!(shown(&folder, "bars_weekly").await, [], "before the close of Friday");
    folder.append(vec![clock(3 * day + 390)]).await;
    catch_up(&mut sink).await;
    aggregate_closed(&mut sink).await;
    let friday = CLOSE + 3 * day * MINUTE;
    let row = |close: f64| (friday, [close, close + 1.0, close - 1.0, close, 10.0], 0, 1);
    assert_eq!(shown(&folder, "bars_weekly").await, [row(30.0), row(10.0)]);
    folder.append(vec![clock(40 * day)]).await;
    catch_up(&mut sink).await;
    aggregate_closed(&mut sink).await;
    assert_eq!(shown(&folder, "bars_monthly").await.len(), 2);
    assert_equals_on_demand(&folder).await;
}

#[tokio::test]
async fn weeks_and_months_are_written_after_a_restart_in_between() {
    let folder = Folder::new();
    let day = 24 * 60;
    folder.append(vec![bar_record(&traded(5, 10.0, 0)), clock(day)]).await;
    folder.drain().await;
    assert_eq!(shown(&folder, "bars_daily").await.len(), 1);
    folder.append(vec![clock(4 * day)]).await;
    folder.drain().await;
    assert_eq!(shown(&folder, "bars_weekly").await.len(), 1);
    // A bar that comes late for a week that was written has it written again.
    folder.append(vec![bar_record(&traded(6, 20.0, 4 * day))]).await;
    folder.drain().await;
    let friday = CLOSE + 3 * day * MINUTE;
    assert_eq!(shown(&folder, "bars_weekly").await, [(friday, [10.0, 21.0, 9.0, 20.0, 20.0], 0, 2)]);
    folder.append(vec![clock(40 * day)]).await;
    folder.drain().await;
    assert_eq!(shown(&folder, "bars_monthly").await.len(), 1);
    assert_equals_on_demand(&folder).await;
}

#[tokio::test]
async fn weeks_that_an_earlier_version_did_not_note_are_written() {
    let folder = Folder::new();
    let day = 24 * 60;
    folder.append(vec![bar_record(&traded(5, 10.0, 0)), clock(day)]).await;
    folder.drain().await;
    let notes = vec![("sink/days/A".to_owned(), None), ("sink/periods".to_owned(), None)];
    folder.store.write(Batch { points: vec![], notes }.into()).await.unwrap();
    folder.append(vec![clock(4 * day)]).await;
    folder.drain().await;
    assert_eq!(shown(&folder, "bars_weekly").await.len(), 1);
}

/// What is stored is what it is when written on demand.
async fn assert_equals_on_demand(folder: &Folder) {
    let all = async || {
        let mut all = Vec::new();
        for measurement in ["bars_daily", "bars_weekly", "bars_monthly"] {
            let query = Query { measurement: measurement.into(), ..Query::default() };
            all.push(folder.store.read(&query).await.unwrap().rows);
        }
        all
    };
    let before = all().await;
    assert!(aggregate(&folder.store, 0, i64::MAX / 4).await.unwrap() >= 3);
    assert_eq!(all().await, before);
}

#[tokio::test]
async fn a_volume_beyond_the_greatest_number_is_null_and_the_sink_goes_on() {
    let folder = Folder::new();
    let day = 24 * 60;
    // Such bars are refused now; an earlier version stored them, and noted their day.
    let huge = |minute: i64| Bar { volume: 1.7e308, ..traded(minute, 10.0, minute) };
    let measurement = Arc::new(Measurement::bars());
    folder.store.define(&measurement).await.unwrap();
    let points = [huge(0), huge(1)].iter().map(Point::bar).collect();
    let notes = vec![("sink/days/A".to_owned(), Some("[\"2024-03-05\"]".to_owned()))];
    folder.store.write(Batch { points: vec![(measurement, points)], notes }.into()).await.unwrap();
    let other = Bar { symbol: "B".into(), ..traded(1, 20.0, 1) };
    folder.append(vec![bar_record(&other), clock(391)]).await;
    folder.drain().await;
    folder.drain().await;
    folder.append(vec![clock(40 * day)]).await;
    folder.drain().await;
    for measurement in ["bars_daily", "bars_weekly", "bars_monthly"] {
        let query = Query { measurement: measurement.into(), ..Query::default() };
        let rows = folder.store.read(&query).await.unwrap().rows;
        assert_eq!((rows[0][7].clone(), rows[0][10].clone()), (Value::Null, Value::Int(2)), "{measurement}");
        assert_eq!(rows[1][7], Value::Float(10.0), "{measurement}");
    }
    let sink = folder.sink().await;
    assert_eq!(sink.progress.counts.not_finite, 3);
}

async fn aggregate_closed(sink: &mut Sink) {
    let (_stopper, stop) = shutdown::channel();
    sink.aggregate_closed(&stop).await.unwrap();
}

/// The regular sessions of the file's days, as UTC hours: all of them in summer time.
fn is_regular(start: Millis) -> bool {
    let minute = start / MINUTE % (24 * 60);
    (13 * 60 + 30..20 * 60).contains(&minute)
}

fn real_bars() -> Vec<Bar> {
    let text = std::fs::read_to_string(testkit::real_bars()).unwrap();
    let read = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [open, high, low, close, volume] = [2, 3, 4, 5, 6].map(|cell| cells[cell].parse().unwrap());
        let start_timestamp: Millis = cells[0].parse().unwrap();
        let end_timestamp = start_timestamp + MINUTE;
        Bar { open, high, low, close, start_timestamp, end_timestamp, ..bar(cells[1], 0, volume, 0) }
    };
    text.lines().skip(1).map(read).collect()
}

#[tokio::test]
async fn on_demand_every_day_week_and_month_of_real_bars_is_as_plain_sums_say() {
    let bars = real_bars();
    let folder = Folder::new();
    let measurement = Arc::new(Measurement::bars());
    folder.store.define(&measurement).await.unwrap();
    let points: Vec<Point> = bars.iter().map(Point::bar).collect();
    let batch = Batch { points: vec![(measurement, points)], notes: vec![] };
    folder.store.write(batch.into()).await.unwrap();
    let written = aggregate(&folder.store, 0, i64::MAX / 4).await.unwrap();

    // Key: symbol, then the day, the Monday of its week, or its month's number.
    let mut expected: [BTreeMap<(String, i64), Vec<&Bar>>; 3] = Default::default();
    for bar in bars.iter().filter(|bar| is_regular(bar.start_timestamp)) {
        let day = bar.start_timestamp / (24 * 60 * MINUTE);
        // 1970-01-05 was a Monday; the file is of October 2013 and June 2014.
        for (map, key) in expected.iter_mut().zip([day, (day - 4) / 7, i64::from(day > 16_200)]) {
            map.entry((bar.symbol.clone(), key)).or_default().push(bar);
        }
    }
    for (name, groups) in ["bars_daily", "bars_weekly", "bars_monthly"].iter().zip(&expected) {
        let query = Query { measurement: (*name).into(), ..Query::default() };
        let rows = folder.store.read(&query).await.unwrap().rows;
        assert_eq!(rows.len(), groups.len(), "{name}");
        for (row, ((symbol, _), bars)) in rows.iter().zip(groups) {
            let (mut high, mut low, mut volume, mut squares) = (0.0_f64, f64::MAX, 0.0, 0.0);
            for (index, bar) in bars.iter().enumerate() {
                (high, low, volume) = (high.max(bar.high), low.min(bar.low), volume + bar.volume);
                let day = |bar: &Bar| bar.start_timestamp / (24 * 60 * MINUTE);
                if index > 0 && day(bars[index - 1]) == day(bar) {
                    squares += (bar.close / bars[index - 1].close).ln().powi(2);
                }
            }
            let plain = [bars[0].open, high, low, bars[bars.len() - 1].close, volume, squares.sqrt()];
            assert_eq!(row[0].as_str(), Some(symbol.as_str()));
            for (column, plain) in (3..9).zip(plain) {
                let found = row[column].as_f64().unwrap();
                assert!((found / plain - 1.0).abs() < 1e-12, "{name} {symbol} {column}: {found} {plain}");
            }
            assert_eq!(row[10].as_i64(), Some(bars.len() as i64));
        }
    }
    assert_eq!(written as usize, expected.iter().map(BTreeMap::len).sum::<usize>());
    let days: BTreeSet<_> = expected[0].keys().map(|(_, day)| day).collect();
    assert_eq!(days.len(), 9, "six sessions of 2013 and three of 2014");
}

/// A bar of every minute in which a market trades from one time to another, as `is_open`
/// says in words of its own; each closes one higher than the one before.
fn market(symbol: &str, from: Millis, to: Millis, is_open: impl Fn(Millis) -> bool) -> Vec<Bar> {
    let minutes = (from..to).step_by(MINUTE as usize).filter(|minute| is_open(*minute));
    let bar = |(n, start_timestamp): (usize, Millis)| {
        let (close, end_timestamp) = (100.0 + n as f64, start_timestamp + MINUTE);
        Bar {
            open: close,
            high: close,
            low: close,
            close,
            start_timestamp,
            end_timestamp,
            received_timestamp: end_timestamp,
            ..bar(symbol, 0, 1.0, 0)
        }
    };
    minutes.enumerate().map(bar).collect()
}

/// Days, weeks and months of a symbol, each as `end bars` with its end in UTC.
async fn spans(folder: &Folder, measurement: &str) -> Vec<String> {
    let query = Query { measurement: measurement.into(), ..Query::default() };
    let rows = folder.store.read(&query).await.unwrap().rows;
    let shown = |row: &Vec<Value>| {
        let [start, end] = [1, 2].map(|column: usize| model::time::rfc3339(row[column].as_i64().unwrap()));
        format!("{} {} {}", &start[5..16], &end[5..16], row[10].as_i64().unwrap())
    };
    rows.iter().map(shown).collect()
}

async fn stored(bars: &[Bar]) -> Folder {
    let folder = Folder::new();
    let measurement = Arc::new(Measurement::bars_of(model::AssetClass::of(&bars[0].symbol)));
    folder.store.define(&measurement).await.unwrap();
    let points: Vec<Point> = bars.iter().map(Point::bar).collect();
    let batch = Batch { points: vec![(measurement, points)], notes: vec![] };
    folder.store.write(batch.into()).await.unwrap();
    aggregate(&folder.store, 0, i64::MAX / 4).await.unwrap();
    folder
}

fn utc(text: &str) -> Millis {
    model::time::parse(text).unwrap()
}

#[tokio::test]
async fn weeks_over_the_end_of_summer_time_are_whole_in_every_class() {
    // Summer time ended in New York on Sunday, 2024-11-03.
    let (from, to) = (utc("2024-10-28T00:00:00Z"), utc("2024-11-11T00:00:00Z"));
    let winter = utc("2024-11-03T06:00:00Z");
    let new_york = |at: Millis| at - if at < winter { 4 } else { 5 } * 60 * MINUTE;
    let hours = |at: Millis| (at / (24 * 60 * MINUTE) + 3) % 7 * 24 * 60 + at / MINUTE % (24 * 60);

    let crypto = stored(&market("X:BTC-USD", from, to, |_| true)).await;
    let days = spans(&crypto, "bars_daily").await;
    assert_eq!(days.len(), 14);
    assert_eq!(days[6..8], ["11-03T00:00 11-04T00:00 1440", "11-04T00:00 11-05T00:00 1440"]);
    let weeks = ["10-28T00:00 11-04T00:00 10080", "11-04T00:00 11-11T00:00 10080"];
    assert_eq!(spans(&crypto, "bars_weekly").await, weeks);

    // Minutes since Monday 00:00 in New York: not from Friday 17:00 to Sunday 17:00.
    let closed = (4 * 24 + 17) * 60..(6 * 24 + 17) * 60;
    let is_open = |at: Millis| !closed.contains(&hours(new_york(at)));
    let currencies = stored(&market("C:EUR-USD", from - 180 * MINUTE, to - 180 * MINUTE, is_open)).await;
    let days = spans(&currencies, "bars_daily").await;
    assert_eq!(days.len(), 10);
    assert_eq!(days[4..6], ["10-31T21:00 11-01T21:00 1440", "11-03T22:00 11-04T22:00 1440"]);
    let weeks = ["10-27T21:00 11-01T21:00 7200", "11-03T22:00 11-08T22:00 7200"];
    assert_eq!(spans(&currencies, "bars_weekly").await, weeks);

    let is_open = |at: Millis| {
        let minute = hours(new_york(at));
        minute < 5 * 24 * 60 && (570..960).contains(&(minute % (24 * 60)))
    };
    let stocks = stored(&market("A", from, to, is_open)).await;
    let weeks = ["10-28T13:30 11-01T20:00 1950", "11-04T14:30 11-08T21:00 1950"];
    assert_eq!(spans(&stocks, "bars_weekly").await, weeks);
}

#[tokio::test]
async fn a_leap_day_counts_to_its_week_and_month_in_every_class() {
    let (from, to) = (utc("2024-01-31T22:00:00Z"), utc("2024-03-04T00:00:00Z"));
    let crypto = stored(&market("X:BTC-USD", utc("2024-02-01"), to, |_| true)).await;
    let days = spans(&crypto, "bars_daily").await;
    assert_eq!(days[28], "02-29T00:00 03-01T00:00 1440");
    assert_eq!(spans(&crypto, "bars_monthly").await[0], "02-01T00:00 03-01T00:00 41760");
    let weeks = spans(&crypto, "bars_weekly").await;
    assert_eq!(weeks.last().unwrap(), "02-26T00:00 03-04T00:00 10080");

    let currencies = stored(&market("C:EUR-USD", from, to - 180 * MINUTE, |_| true)).await;
    let days = spans(&currencies, "bars_daily").await;
    assert!(days.contains(&"02-28T22:00 02-29T22:00 1440".to_owned()), "{days:?}");
    assert_eq!(spans(&currencies, "bars_monthly").await[0], "01-31T22:00 02-29T22:00 30240");
    let weeks = spans(&currencies, "bars_weekly").await;
    assert_eq!(weeks.last().unwrap(), "02-25T22:00 03-01T22:00 7200");

    let stocks = stored(&market("A", from, to, |_| true)).await;
    let days = spans(&stocks, "bars_daily").await;
    assert!(days.contains(&"02-29T14:30 02-29T21:00 390".to_owned()), "{days:?}");
    assert_eq!(spans(&stocks, "bars_monthly").await[0], "02-01T14:30 02-29T21:00 7800");
}
