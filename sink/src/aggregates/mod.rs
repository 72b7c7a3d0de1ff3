//! Days, weeks and months of each symbol, out of the minute bars of its regular
//! sessions: written once event time has passed the close, and again when
//! something of the day comes late.
//!
//! A day is made from stored bars, a week and a month from stored days, so they
//! stay right when old minute bars have been forgotten.

mod day;
mod days;
mod period;
mod row;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use store::{Batch, Measurement, SharedStore};
use wire::calendar;
use wire::time::Millis;

use crate::error::SinkError;
use crate::gathered::Points;
use crate::progress::Progress;
use crate::recompute::bars_query;

pub(crate) use days::Days;
pub(crate) use row::measurements;

use period::Period;
use row::Row;

/// Writes the days of [`from`, `to`) again, for all symbols, with the weeks and
/// months that hold them; returns the number of points written. What has not
/// closed yet by event time, and days of which retention has taken bars, are
/// left as they are.
///
/// # Errors
/// When the store fails; what was written until then stays.
pub async fn aggregate(store: &SharedStore, from: Millis, to: Millis) -> Result<u64, SinkError> {
    let raw = [Measurement::bars(), Measurement::articles()];
    for measurement in raw.iter().chain(measurements().iter().map(AsRef::as_ref)) {
        store.define(measurement).await?;
    }
    let progress = Progress::load(store).await?;
    let closed = progress.map_or(Some(to), |progress| progress.watermark(&wire::topic::STOCK_PRICES));
    let Some(closed) = closed else { return Ok(0) };
    let mut written = 0;
    for newest in store.latest(&Measurement::bars().name).await?.to_bars()? {
        let of_symbol = bars_query(&newest.symbol, None, None);
        let oldest = store.read(&store::Query { limit: Some(1), ..of_symbol }).await?.to_bars()?;
        let Some(oldest) = oldest.first() else { continue };
        let (from, to) = (from.max(oldest.start_timestamp), to.min(newest.end_timestamp).min(closed));
        let dates = sessions(from, to);
        let points = points(store, &newest.symbol, &dates, closed).await?;
        written += points.iter().map(|(_, points)| points.len() as u64).sum::<u64>();
        store.write(Batch { points, notes: Vec::new() }.into()).await?;
    }
    Ok(written)
}

/// The dates of the sessions that are open at some time of [`from`, `to`).
fn sessions(from: Millis, to: Millis) -> BTreeSet<NaiveDate> {
    let first = calendar::session(calendar::date_of(from))
        .filter(|session| from < session.close)
        .unwrap_or_else(|| calendar::next_session(calendar::date_of(from)));
    std::iter::successors(Some(first), |session| Some(calendar::next_session(session.date)))
        .take_while(|session| session.open < to)
        .map(|session| session.date)
        .collect()
}

/// The points of these days of a symbol, and of the weeks and months that they
/// lie in, as far as they have closed.
async fn points(
    store: &SharedStore,
    symbol: &str,
    dates: &BTreeSet<NaiveDate>,
    closed: Millis,
) -> Result<Points, SinkError> {
    let trimmed = store.trimmed_before(&Measurement::bars().name).await?;
    let is_whole = |open: Millis| trimmed.is_none_or(|trimmed| trimmed <= open);
    let mut days: Vec<Row> = Vec::new();
    for session in dates.iter().filter_map(|&date| calendar::session(date)) {
        if session.close <= closed && is_whole(session.open) {
            days.extend(day::read(store, symbol, &session).await?);
        }
    }
    let [daily, weekly, monthly] = measurements();
    let mut points = vec![(daily.clone(), days.iter().map(|day| day.point(symbol)).collect())];
    for (measurement, period_of) in
        [(weekly, Period::week as fn(NaiveDate) -> Period), (monthly, Period::month)]
    {
        let periods: BTreeSet<Period> = dates.iter().map(|&date| period_of(date)).collect();
        let mut rows = Vec::new();
        for period in periods.into_iter().filter(|period| period.closes() <= closed) {
            rows.extend(period.read(store, symbol, &days).await?);
        }
        points.push((measurement.clone(), rows.iter().map(|row| row.point(symbol)).collect()));
    }
    Ok(points)
}
