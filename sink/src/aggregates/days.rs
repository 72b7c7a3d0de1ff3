//! Days whose aggregates must be written, until they have been: noted in the
//! store, so that a restart forgets none.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use store::SharedStore;
use wire::calendar::{self, SessionDay};
use wire::time::Millis;

use crate::error::SinkError;
use crate::gathered::Points;
use crate::progress::Note;

const PREFIX: &str = "sink/days/";

/// The sessions of which something has come in since they were aggregated last.
#[derive(Debug, Default)]
pub(crate) struct Days {
    touched: BTreeMap<String, BTreeSet<NaiveDate>>,
    changed: BTreeSet<String>,
    /// The earliest close that event time has yet to pass, of the days touched.
    next_close: Option<Millis>,
    /// The session looked at last: the next record is most likely of it too.
    session: Option<SessionDay>,
}

impl Days {
    pub(crate) async fn load(store: &SharedStore) -> Result<Days, SinkError> {
        let mut days = Days::default();
        for (key, value) in store.notes(PREFIX).await? {
            let dates: Vec<String> = serde_json::from_str(&value)
                .map_err(|source| SinkError::Note { key: key.clone(), source })?;
            let dates = dates.iter().filter_map(|date| date.parse().ok()).collect();
            days.touched.insert(key[PREFIX.len()..].to_owned(), dates);
            days.next_close = Some(Millis::MIN);
        }
        Ok(days)
    }

    /// A bar that starts at `at` came in; `watermark` is that of the prices.
    pub(crate) fn touch_by_bar(&mut self, symbol: &str, at: Millis, watermark: impl Fn() -> Option<Millis>) {
        let is_open = |session: &SessionDay| session.open <= at && at < session.close;
        if !self.session.as_ref().is_some_and(is_open) {
            self.session = calendar::session(calendar::date_of(at));
        }
        if let Some(session) = self.session.filter(is_open) {
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
        let date = calendar::date_of(at);
        let session = calendar::session(date).filter(|session| at <= session.close);
        self.touch(symbol, &session.unwrap_or_else(|| calendar::next_session(date)), watermark);
    }

    fn touch(&mut self, symbol: &str, session: &SessionDay, watermark: impl Fn() -> Option<Millis>) {
        if self.touched.get(symbol).is_some_and(|dates| dates.contains(&session.date)) {
            return;
        }
        self.touched.entry(symbol.to_owned()).or_default().insert(session.date);
        self.changed.insert(symbol.to_owned());
        // What comes after the close waits for the next recomputation.
        if watermark().is_none_or(|watermark| watermark < session.close) {
            self.next_close = Some(self.next_close.map_or(session.close, |next| next.min(session.close)));
        }
    }

    /// Whether event time, `closed`, has passed a close that was waited for.
    pub(crate) fn has_closed(&self, closed: Millis) -> bool {
        self.next_close.is_some_and(|next| next <= closed)
    }

    /// The points of the next symbol that has days closed by `closed`, and which
    /// count as written from then on; none once all have been given.
    pub(crate) async fn next_points(
        &mut self,
        store: &SharedStore,
        closed: Millis,
    ) -> Result<Option<Points>, SinkError> {
        let close = |date: NaiveDate| calendar::session(date).map_or(Millis::MIN, |session| session.close);
        let next = self.touched.iter().find_map(|(symbol, dates)| {
            let due: BTreeSet<_> = dates.iter().copied().filter(|&date| close(date) <= closed).collect();
            (!due.is_empty()).then(|| (symbol.clone(), due))
        });
        let Some((symbol, due)) = next else {
            let open = self.touched.values().flatten().map(|&date| close(date));
            self.next_close = open.min();
            return Ok(None);
        };
        let points = super::points(store, &symbol, &due, closed).await?;
        if let Some(dates) = self.touched.get_mut(&symbol) {
            dates.retain(|date| !due.contains(date));
        }
        self.touched.retain(|_, dates| !dates.is_empty());
        self.changed.insert(symbol);
        Ok(Some(points))
    }

    /// What has changed since the last call, as notes.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        let note = |symbol: String| {
            let dates = self.touched.get(&symbol);
            let text = dates.map(|dates| dates.iter().map(NaiveDate::to_string).collect::<Vec<_>>());
            (format!("{PREFIX}{symbol}"), text.and_then(|text| serde_json::to_string(&text).ok()))
        };
        std::mem::take(&mut self.changed).into_iter().map(note).collect()
    }
}
