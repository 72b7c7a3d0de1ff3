//! The live stream: server-sent events for one viewer, each with the place in
//! the log from which the next connection goes on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use control::shutdown::{Shutdown, ShutdownToken};
use futures::stream;
use log::LogError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::AppState;
use crate::access::ClientAddress;
use crate::cursor::{self, BadCursor, Cursor};
use crate::error::Failure;
use crate::hub::{Hub, Watching};
use crate::item::{Item, Kind};
use crate::load::StreamPlace;
use crate::request;
use crate::status::Report;

/// The shortest time between two events of a stream.
const PACE: Duration = Duration::from_millis(250);
/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// After which time a browser connects again.
const RETRY: Duration = Duration::from_secs(1);
/// How many items an event gathers at most, of all lanes: two hundred viewers whose
/// connections are slow hold an event each, and a viewer who comes back after hours
/// takes them event by event.
const GATHER: usize = 3_000;
/// How often a lane is read for an event at most. Of a large market nothing may come of
/// it that the viewer is sent; the next event goes on from there.
const READS: usize = 10;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What `/events` may be asked.
#[derive(Deserialize)]
pub(crate) struct EventsQuery {
    symbol: Option<String>,
    cursor: Option<String>,
}

/// `GET /events?symbol=S&cursor=C`: from the place of `Last-Event-ID`, else from
/// the cursor, else from now on.
pub(crate) async fn stream(
    State(site): State<Arc<AppState>>,
    Extension(ClientAddress(client)): Extension<ClientAddress>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Failure> {
    let Query(query) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let symbol = request::optional_symbol(query.symbol)?;
    let place_of_stream = site.load.stream(client)?;
    let resumed = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let hub = Arc::clone(&site.hub);
    // Before the place is found, so that nothing falls in between.
    let watching = hub.watch(symbol.as_deref());
    let extents = cursor::extents(site.log.as_ref(), hub.lanes()).await?;
    let place = match (resumed, query.cursor.as_deref()) {
        (Some(id), _) => Cursor::parse(id, hub.lanes()),
        (None, Some(cursor)) => match Cursor::parse(cursor, hub.lanes()) {
            Err(error @ BadCursor::Malformed) => return Err(request::parameter("cursor", error.to_string())),
            place => place,
        },
        (None, None) => Ok(Cursor::end(&extents)),
    };
    // An identity that means nothing here stands for a place that is gone.
    let mut lost = place.is_err();
    let mut cursor = place.unwrap_or_else(|_| Cursor::end(&extents));
    lost |= cursor.clamp(&extents);

    let viewer = Viewer {
        hub,
        watching,
        stop: site.stop.clone(),
        symbol,
        cursor,
        lost,
        greeted: false,
        behind: false,
        status: None,
        paced: Instant::now(),
        _place: place_of_stream,
    };
    let events = stream::unfold(viewer, Viewer::step);
    let kept = KeepAlive::new().interval(KEEP_ALIVE).text("still here");
    Ok(([(HeaderName::from_static("x-accel-buffering"), "no")], Sse::new(events).keep_alive(kept)))
}

/// One open stream. It is asked for the next event when the connection can take
/// one, so a slow viewer holds no more than its place.
struct Viewer {
    hub: Arc<Hub>,
    watching: Watching,
    stop: ShutdownToken,
    symbol: Option<String>,
    cursor: Cursor,
    /// Whether something between the cursor and what is sent next is missing.
    lost: bool,
    greeted: bool,
    /// Whether there is more than was gathered.
    behind: bool,
    status: Option<Arc<Report>>,
    /// Not before this the next event.
    paced: Instant,
    _place: StreamPlace,
}

/// The data of an `update`.
#[derive(Default, Serialize)]
struct Update {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bars: Vec<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volatility: Vec<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    news: Vec<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest: Vec<LatestOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Arc<Report>>,
}

/// The newest of one symbol since the last event; of windows, the newest with
/// enough bars if there is one.
#[derive(Serialize)]
struct LatestOf {
    symbol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bar: Option<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volatility: Option<Arc<RawValue>>,
}

impl Viewer {
    /// The next event; none when the program ends or the log fails, after which
    /// the browser connects again.
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Viewer)> {
        let stop = self.stop.clone();
        let event = tokio::select! {
            () = stop.at_least(Shutdown::Drain) => return None,
            event = self.next() => event,
        };
        match event {
            Ok(event) => Some((Ok(event), self)),
            Err(error) => {
                tracing::warn!(%error, "an event stream ends because the log failed");
                None
            }
        }
    }

    async fn next(&mut self) -> Result<Event, LogError> {
        loop {
            tokio::time::sleep_until(self.paced).await;
            self.watching.news.borrow_and_update();
            let items = self.gather().await?;
            if std::mem::take(&mut self.lost) {
                return Ok(self.event("reset", r#"{"reason":"records between are no longer kept"}"#));
            }
            let update = self.update(&items);
            if !update.is_empty() || !self.greeted {
                self.greeted = true;
                // Plain structs, finite numbers and text keys cannot fail to be written.
                let data = serde_json::to_string(&update).unwrap_or_default();
                return Ok(self.event("update", &data));
            }
            if self.behind {
                self.paced = Instant::now() + PACE;
                continue;
            }
            // The hub lives as long as the site; should it be gone, the pace still holds.
            if self.watching.news.changed().await.is_err() {
                self.paced = Instant::now() + PACE;
            }
        }
    }

    fn event(&mut self, name: &str, data: &str) -> Event {
        self.paced = Instant::now() + PACE;
        Event::default().event(name).id(self.cursor.text(self.hub.lanes())).retry(RETRY).data(data)
    }

    /// What is new in every lane, up to [`GATHER`] items of all.
    async fn gather(&mut self) -> Result<Vec<Arc<Item>>, LogError> {
        let mut items = Vec::new();
        let lanes = self.cursor.0.len();
        self.behind = false;
        for lane in 0..lanes {
            let mut left = (GATHER / lanes).max(1);
            let mut reads = READS;
            loop {
                let from = self.cursor.0[lane];
                let found = self.hub.read(lane, from, self.symbol.as_deref(), left).await?;
                self.lost |= found.lost;
                left = left.saturating_sub(found.items.len());
                reads -= 1;
                items.extend(found.items);
                self.cursor.0[lane] = found.next;
                if found.next <= from {
                    break;
                }
                if left == 0 || reads == 0 {
                    self.behind = true;
                    break;
                }
            }
        }
        Ok(items)
    }

    fn update(&mut self, items: &[Arc<Item>]) -> Update {
        let mut update = Update::default();
        let mut latest: BTreeMap<&str, [Option<&Arc<Item>>; 2]> = BTreeMap::new();
        for item in items {
            if self.symbol.as_deref() == Some(item.symbol.as_str()) {
                let rows = match item.kind {
                    Kind::Bar => &mut update.bars,
                    Kind::Volatility => &mut update.volatility,
                    Kind::Article => &mut update.news,
                };
                rows.push(Arc::clone(&item.json));
            }
            let place = match item.kind {
                Kind::Bar => 0,
                Kind::Volatility => 1,
                Kind::Article => continue,
            };
            let newest = &mut latest.entry(&item.symbol).or_default()[place];
            if newest.is_none_or(|newest| (newest.enough, newest.time) <= (item.enough, item.time)) {
                *newest = Some(item);
            }
        }
        let json = |item: Option<&Arc<Item>>| item.map(|item| Arc::clone(&item.json));
        update.latest = latest
            .into_iter()
            .map(|(symbol, [bar, volatility])| LatestOf {
                symbol: symbol.to_owned(),
                bar: json(bar),
                volatility: json(volatility),
            })
            .collect();
        update.status = self.new_status();
        update
    }

    fn new_status(&mut self) -> Option<Arc<Report>> {
        let said = self.hub.status()?;
        let known = self.status.as_ref().is_some_and(|known| Arc::ptr_eq(known, &said));
        (!known).then(|| {
            self.status = Some(Arc::clone(&said));
            said
        })
    }
}

impl Update {
    fn is_empty(&self) -> bool {
        self.bars.is_empty()
            && self.volatility.is_empty()
            && self.news.is_empty()
            && self.latest.is_empty()
            && self.status.is_none()
    }
}
