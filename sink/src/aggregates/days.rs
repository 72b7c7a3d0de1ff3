//! Days whose aggregates must be written, until they have been: noted in the
//! store, so that a restart forgets none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::NaiveDate;
use model::calendar::{Calendar, SessionDay};
use model::time::{DAY, Millis};
use model::{AssetClass, Instrument};
use store::{Query, SharedStore};

use super::Aggregated;
use super::period::Period;
use super::row::measurements;
use crate::error::SinkError;
use crate::progress::{Note, read_note};

const PREFIX: &str = "sink/days/";

/// Stands where weeks and months are noted beside days.
const PERIODS: &str = "sink/periods";

/// Where they are not, those of so much time are taken over: a month and a week.
const TAKEN_OVER: Millis = 38 * DAY;

/// So many stored days are read at once.
const PAGE: usize = 10_000;

/// The event time until which the bars of each class are complete; none of a class that
/// has yet to say it.
pub(crate) type Closed = BTreeMap<AssetClass, Millis>;

/// What has to be written of the symbols of which something has come in: days since
/// they were written last, and the weeks and months that hold them.
#[derive(Debug, Default)]
pub(crate) struct Days {
    touched: BTreeMap<String, Touched>,
    changed: BTreeSet<String>,
    /// Symbols of which something had closed when it was looked for last.
    due: VecDeque<String>,
    /// The earliest close that event time has yet to pass, of all that is touched of a class.
    next_close: BTreeMap<AssetClass, Millis>,
    /// That weeks and months are noted is yet to be noted itself.
    has_periods: bool,
    /// The session looked at last, and of which calendar: the next record is most likely
    /// of it too.
    session: Option<(Calendar, SessionDay)>,
}

/// What has to be written of one symbol.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Touched {
    pub(super) days: BTreeSet<NaiveDate>,
    /// Weeks and months. They close later than most of their days, and have to be
    /// written also when the symbol has no bars any more by then.
    pub(super) periods: BTreeSet<Period>,
}

impl Touched {
    /// These days, and the weeks and months that hold them.
    pub(super) fn of(days: BTreeSet<NaiveDate>) -> Touched {
        let periods = days.iter().flat_map(|&date| Period::of(date)).collect();
        Touched { days, periods }
    }

    fn closes(&self, calendar: Calendar) -> impl Iterator<Item = Millis> {
        let days = self.days.iter().map(move |&date| close_of(calendar, date));
        days.chain(self.periods.iter().map(move |period| period.closes(calendar)))
    }

    /// What of it has closed.
    fn due(&self, calendar: Calendar, closed: Millis) -> Touched {
        let periods = self.periods.iter().copied();
        Touched {
            days: self.days.iter().copied().filter(|&date| close_of(calendar, date) <= closed).collect(),
            periods: periods.filter(|period| period.closes(calendar) <= closed).collect(),
        }
    }

    fn remove(&mut self, done: &Touched) {
        self.days.retain(|date| !done.days.contains(date));
        self.periods.retain(|period| !done.periods.contains(period));
    }

    fn is_empty(&self) -> bool {
        self.days.is_empty() && self.periods.is_empty()
    }

    /// As a note holds it: dates of days, and weeks and months with their first date.
    fn words(&self) -> Vec<String> {
        let days = self.days.iter().map(NaiveDate::to_string);
        days.chain(self.periods.iter().map(Period::to_string)).collect()
    }

    /// What a note tells of. One of an earlier version has days alone.
    fn from_words(words: &[String]) -> Touched {
        let mut touched = Touched::of(words.iter().filter_map(|word| word.parse().ok()).collect());
        touched.periods.extend(words.iter().filter_map(|word| Period::from_words(word)));
        touched
    }
}

fn calendar_of(symbol: &str) -> Calendar {
    Instrument::of(symbol).calendar()
}

fn close_of(calendar: Calendar, date: NaiveDate) -> Millis {
    calendar.session(date).map_or(Millis::MIN, |session| session.close)
}

impl Days {
    /// What was noted; `watermark` is that of the prices of stocks.
    pub(crate) async fn load(store: &SharedStore, watermark: Option<Millis>) -> Result<Days, SinkError> {
        let mut days = Days::default();
        if let (Some(watermark), true) = (watermark, store.notes(PERIODS).await?.is_empty()) {
            days.take_over(store, watermark).await?;
        }
        days.has_periods = true;
        for (key, value) in store.notes(PREFIX).await? {
            let Some(words) = read_note::<Vec<String>>(&key, &value) else { continue };
            let noted = Touched::from_words(&words);
            let symbol = &key[PREFIX.len()..];
            days.next_close.insert(AssetClass::of(symbol), Millis::MIN);
            let touched = days.touched.entry(symbol.to_owned()).or_default();
            touched.days.extend(noted.days);
            touched.periods.extend(noted.periods);
        }
        Ok(days)
    }

    /// An earlier version noted no weeks and months: those that hold the last days that
    /// it wrote are to be written.
    async fn take_over(&mut self, store: &SharedStore, watermark: Millis) -> Result<(), SinkError> {
        let mut query = Query {
            measurement: measurements()[0].name.clone(),
            from: Some(watermark - TAKEN_OVER),
            limit: Some(PAGE),
            ..Query::default()
        };
        loop {
            let page = store.read(&query).await?;
            let place = |name: &str| page.columns.iter().position(|column| column.name == name);
            let (Some(symbol), Some(end)) = (place("symbol"), place("window_end")) else { return Ok(()) };
            for row in &page.rows {
                let (Some(symbol), Some(end)) = (row[symbol].as_str(), row[end].as_i64()) else { continue };
                // A close belongs to the day that it ends.
                let periods = Period::of(calendar_of(symbol).date_of(end - 1));
                self.touched.entry(symbol.to_owned()).or_default().periods.extend(periods);
                self.changed.insert(symbol.to_owned());
                self.next_close.insert(AssetClass::of(symbol), Millis::MIN);
            }
            query.after = page.last_key;
            if page.rows.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// A bar that starts at `at` came in; `watermark` is that of the prices.
    pub(crate) fn touch_by_bar(&mut self, symbol: &str, at: Millis, watermark: impl Fn() -> Option<Millis>) {
        let calendar = calendar_of(symbol);
        let is_open = |(of, session): &(Calendar, SessionDay)| {
            *of == calendar && session.open <= at && at < session.close
        };
        if !self.session.as_ref().is_some_and(is_open) {
            self.session = calendar.session(calendar.date_of(at)).map(|session| (calendar, session));
        }
        if let Some((_, session)) = self.session.filter(is_open) {
            self.touch(symbol, &session, watermark);
        }
    }

    /// An article published at `at` came in: it falls to the first session that
    /// closes no earlier.
    pub(crate) fn touch_by_article(
        &mut self,
        symbol: &str,
        at: Millis,
        watermark: impl Fn() -> Option<Millis>,
    ) {
        self.touch(symbol, &calendar_of(symbol).session_closing_after(at), watermark);
    }

    fn touch(&mut self, symbol: &str, session: &SessionDay, watermark: impl Fn() -> Option<Millis>) {
        if self.touched.get(symbol).is_some_and(|touched| touched.days.contains(&session.date)) {
            return;
        }
        let touched = self.touched.entry(symbol.to_owned()).or_default();
        let more = Touched::of([session.date].into());
        // What comes after a close waits for the next recomputation.
        let watermark = watermark();
        let closes = more.closes(calendar_of(symbol));
        let open = closes.filter(|close| watermark.is_none_or(|watermark| watermark < *close)).min();
        touched.days.extend(more.days);
        touched.periods.extend(more.periods);
        self.changed.insert(symbol.to_owned());
        if let Some(open) = open {
            let next = self.next_close.entry(AssetClass::of(symbol)).or_insert(open);
            *next = open.min(*next);
        }
    }

    /// Whether event time, by class `closed`, has passed a close that was waited for.
    pub(crate) fn has_closed(&self, closed: &Closed) -> bool {
        self.next_close.iter().any(|(class, next)| closed.get(class).is_some_and(|closed| next <= closed))
    }

    /// The points of the next symbol that has something closed by `closed`, and which
    /// count as written from then on; none once all have been given.
    pub(crate) async fn next_points(
        &mut self,
        store: &SharedStore,
        closed: &Closed,
    ) -> Result<Option<Aggregated>, SinkError> {
        let closed = |symbol: &str| closed.get(&AssetClass::of(symbol)).copied().unwrap_or(Millis::MIN);
        let (symbol, due) = loop {
            if self.due.is_empty() {
                let is_due = |(symbol, touched): &(&String, &Touched)| {
                    touched.closes(calendar_of(symbol)).any(|close| close <= closed(symbol))
                };
                let due = self.touched.iter().filter(is_due);
                self.due = due.map(|(symbol, _)| symbol.clone()).collect();
            }
            let Some(symbol) = self.due.pop_front() else {
                self.next_close.clear();
                for (symbol, touched) in &self.touched {
                    if let Some(close) = touched.closes(calendar_of(symbol)).min() {
                        let next = self.next_close.entry(AssetClass::of(symbol)).or_insert(close);
                        *next = close.min(*next);
                    }
                }
                return Ok(None);
            };
            let due = self
                .touched
                .get(&symbol)
                .map(|touched| touched.due(calendar_of(&symbol), closed(&symbol)))
                .unwrap_or_default();
            if !due.is_empty() {
                break (symbol, due);
            }
        };
        let points = super::points(store, &symbol, &due, closed(&symbol)).await?;
        if let Some(touched) = self.touched.get_mut(&symbol) {
            touched.remove(&due);
        }
        if self.touched.get(&symbol).is_some_and(Touched::is_empty) {
            self.touched.remove(&symbol);
        }
        self.changed.insert(symbol);
        Ok(Some(points))
    }

    /// What has changed since the last call, as notes.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        let note = |symbol: String| {
            let words = self.touched.get(&symbol).map(Touched::words);
            (format!("{PREFIX}{symbol}"), words.and_then(|words| serde_json::to_string(&words).ok()))
        };
        let notes = std::mem::take(&mut self.changed).into_iter().map(note);
        let periods = std::mem::take(&mut self.has_periods);
        notes.chain(periods.then(|| (PERIODS.to_owned(), Some("noted".to_owned())))).collect()
    }
}
