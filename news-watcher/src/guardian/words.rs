//! How things stand, in words a person reads.

use std::collections::BTreeMap;

use model::service::{Activity, RunState};
use model::status::EntryState;
use model::time::{Millis, rfc3339};

use super::api::Query;
use super::search::Search;

/// The state while the watchlist has no search term.
pub(super) const NOTHING_TO_ASK: &str = "running; the watchlist has no search term yet";

/// Searches named in one sentence.
const NAMED: usize = 3;

/// What is said of an entry with this query.
pub(super) fn entry(query: &Query, search: &Search) -> EntryState {
    let page = search.walk.as_ref().map_or(1, |walk| walk.request().page);
    let state = match (&search.trouble, search.progress.answered) {
        (Some(trouble), _) => format!("failing: {trouble}"),
        (None, _) if page > 1 => format!("reading page {page}"),
        (None, Some(_)) => "answered".into(),
        (None, None) => "not answered yet".into(),
    };
    EntryState {
        search_term: Some(query.term.clone()),
        sections: query.sections.clone(),
        state,
        failing: search.trouble.is_some(),
        since: Some(search.since),
        last_success: search.progress.answered,
        last_data: search.last_data,
        ..EntryState::default()
    }
}

/// The query that a state was said of.
pub(super) fn query_of(state: &EntryState) -> Option<Query> {
    Some(Query { term: state.search_term.clone()?, sections: state.sections.clone() })
}

/// What there is to do about a key that is refused.
pub(super) fn key_refused(said: &str) -> String {
    format!(
        "the Guardian does not accept the key ({said}): check GUARDIAN_API_KEY (guardian.api_key) and start again, get a key at https://open-platform.theguardian.com/access, or go on without news with --news none"
    )
}

/// The state while nobody is asked.
pub(super) fn paused(until: Millis, why: &str) -> Activity {
    Activity::new(RunState::Waiting, format!("waiting until {}: {why}", rfc3339(until)))
}

/// The state otherwise.
pub(super) fn running(left_behind: &[Query], searches: &BTreeMap<Query, Search>) -> Activity {
    if left_behind.is_empty() {
        return RunState::Running.into();
    }
    let named = left_behind.iter().take(NAMED).map(|query| {
        let trouble = searches.get(query).and_then(|search| search.trouble.as_deref());
        format!("{query} ({})", trouble.unwrap_or("its turn has not come"))
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if left_behind.len() > NAMED { " …" } else { "" };
    let text = format!(
        "running without {} of {} searches, which have not been answered for too long: {named}{more}",
        left_behind.len(),
        searches.len(),
    );
    Activity::new(RunState::Running, text)
}
