//! Days, weeks and months of each symbol, out of the minute bars of its sessions, of
//! stocks the regular ones: written once event time has passed the close, and again when
//! something of the day comes late.
//!
//! A day is made from stored bars, a week and a month from stored days, so they
//! stay right when old minute bars have been forgotten.

mod day;
mod days;
mod period;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use model::calendar::Calendar;
use model::time::Millis;
use model::{AssetClass, Instrument};
use store::{Batch, Measurement, SharedStore};

use crate::error::SinkError;
use crate::gathered::Points;
use crate::progress::Progress;
use crate::recompute::{newest_bars, oldest_bar};
use crate::versions::Judged;
use crate::work::Done;

pub(crate) use days::{Closed, Days};
pub(crate) use row::measurements;

use days::Touched;
use row::Row;

/// Writes the days of [`from`, `to`) again, for all symbols, with the weeks and
/// months that hold them; returns the number of rows that are as stored then. What
/// has not closed yet by event time, days of which retention has taken bars, and rows
/// that were made of more than is stored now, are left as they are.
///
/// # Errors
/// When the store fails; what was written until then stays.
pub async fn aggregate(store: &SharedStore, from: Millis, to: Millis) -> Result<u64, SinkError> {
    let raw = [Measurement::bars(), Measurement::articles()];
    for measurement in raw.iter().chain(measurements().iter().map(AsRef::as_ref)) {
        store.define(measurement).await?;
    }
    let progress = Progress::load(store).await?;
    let mut written = 0;
    let mut done: BTreeMap<String, Done> = BTreeMap::new();
    for (symbol, newest) in newest_bars(store).await? {
        let raw = AssetClass::of(&symbol).raw_topic();
        let closed = progress.as_ref().map_or(Some(to), |progress| progress.watermark(&raw));
        let Some(closed) = closed else { continue };
        let Some(oldest) = oldest_bar(store, &symbol).await? else { continue };
        let (from, to) = (from.max(oldest), to.min(newest + 1).min(closed));
        let touched = Touched::of(sessions(Instrument::of(&symbol).calendar(), from, to));
        let Aggregated { points, not_finite } = points(store, &symbol, &touched, closed).await?;
        if not_finite > 0 {
            say_not_finite(not_finite);
        }
        let mut kept = Points::new();
        for (measurement, points) in points {
            let judged = Judged::of(store, &measurement, points).await?;
            written += judged.rows - judged.poorer;
            done.entry(measurement.name.clone()).or_default().count(&judged);
            kept.push((measurement, judged.points));
        }
        store.write(Batch { points: kept, notes: Vec::new() }.into()).await?;
    }
    for (measurement, done) in done {
        done.say(&measurement);
    }
    Ok(written)
}

/// The dates of the sessions that are open at some time of [`from`, `to`).
fn sessions(calendar: Calendar, from: Millis, to: Millis) -> BTreeSet<NaiveDate> {
    let date = calendar.date_of(from);
    let first = calendar.session(date).filter(|session| from < session.close);
    let first = first.unwrap_or_else(|| calendar.next_session(date));
    std::iter::successors(Some(first), |session| Some(calendar.next_session(session.date)))
        .take_while(|session| session.open < to)
        .map(|session| session.date)
        .collect()
}

/// Days, weeks and months of a symbol.
pub(crate) struct Aggregated {
    pub(crate) points: Points,
    /// How many of their figures are null because they are not finite.
    pub(crate) not_finite: u64,
}

/// Says that figures are missing, and why.
pub(crate) fn say_not_finite(figures: u64) {
    tracing::warn!(
        figures,
        "Volumes of days, weeks or months are beyond the greatest number, and are stored as null: a bar has a volume that cannot be"
    );
}

/// The points of what is touched of a symbol, as far as it has closed.
async fn points(
    store: &SharedStore,
    symbol: &str,
    touched: &Touched,
    closed: Millis,
) -> Result<Aggregated, SinkError> {
    let trimmed = store.trimmed_before(&AssetClass::of(symbol).raw_table()).await?;
    let is_whole = |open: Millis| trimmed.is_none_or(|trimmed| trimmed <= open);
    let mut days: Vec<Row> = Vec::new();
    let calendar = Instrument::of(symbol).calendar();
    for session in touched.days.iter().filter_map(|&date| calendar.session(date)) {
        if session.close <= closed && is_whole(session.open) {
            days.extend(day::read(store, symbol, &session).await?);
        }
    }
    let mut rows: Vec<(&Arc<Measurement>, Row)> =
        days.iter().map(|day| (&measurements()[0], day.clone())).collect();
    for period in touched.periods.iter().filter(|period| period.closes(calendar) <= closed) {
        rows.extend(period.read(store, symbol, &days).await?.map(|row| (period.measurement(), row)));
    }
    let not_finite = rows.iter().map(|(_, row)| row.not_finite()).sum();
    let points = measurements().iter().map(|measurement| {
        let rows = rows.iter().filter(|(of, _)| Arc::ptr_eq(of, measurement));
        (measurement.clone(), rows.map(|(_, row)| row.point(symbol)).collect())
    });
    Ok(Aggregated { points: points.collect(), not_finite })
}
