//! The live stream: nothing twice, nothing missing, over breaks and trims.

use model::service::RunState;
use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Feed, OPEN, PATIENCE, Site, article, status};
use model::status::ServiceStatus;
use model::time::{self, MINUTE};
use reqwest::Response;
use serde_json::{Value as Json, json};

const BEGINNING: &str = "stock-prices/0:0,news-articles/0:0,volatility/0:0";

/// One event as a browser reads it.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: Json,
}

/// An open stream.
pub struct Events {
    answer: Response,
    text: String,
}

impl Events {
    pub async fn open(site: &Site, path: &str, last: Option<&str>) -> Events {
        let mut request = site.client.get(format!("{}{path}", site.url));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Events { answer, text: String::new() }
    }

    /// The next event; comments are passed over.
    pub async fn next(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("no event comes")
            .expect("the stream has ended")
    }

    pub async fn ended(&mut self) -> bool {
        while self.read().await.is_some() {}
        true
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(name));
                    lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
                };
                if !field("data:").is_empty() {
                    let data = serde_json::from_str(&field("data:")).unwrap();
                    return Some(Event { name: field("event:"), id: field("id:"), data });
                }
            }
            let chunk = self.answer.chunk().await.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// What a viewer has taken in, by time; how often in all.
#[derive(Default)]
struct Seen {
    bars: BTreeMap<i64, u32>,
    rows: BTreeMap<i64, u32>,
    last: String,
}

impl Seen {
    fn take(&mut self, event: &Event) {
        assert_eq!(event.name, "update", "{event:?}");
        for (list, time, seen) in
            [("bars", "start_timestamp", &mut self.bars), ("volatility", "window_end", &mut self.rows)]
        {
            for row in event.data[list].as_array().into_iter().flatten() {
                assert_eq!(row["symbol"], "AAPL");
                *seen.entry(row[time].as_i64().unwrap()).or_default() += 1;
            }
        }
        self.last.clone_from(&event.id);
    }

    fn is_each_minute_once(&self, minutes: i64) -> bool {
        let all = |seen: &BTreeMap<i64, u32>, first: i64| {
            seen.iter().map(|(time, count)| (*time, *count)).eq((0..minutes).map(|n| (first + n * MINUTE, 1)))
        };
        all(&self.bars, OPEN) && all(&self.rows, OPEN + MINUTE)
    }
}

#[tokio::test]
async fn a_stream_from_the_cursor_of_a_series_leaves_no_hole() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..10)).await;
    // The log is ahead of the store, as it always is.
    site.append(&Feed::of("AAPL", 10..20)).await;
    let series = site.json("/api/v1/series?symbol=AAPL").await;
    assert_eq!(series["bars"]["rows"].as_array().unwrap().len(), 10);
    let path = format!("/events?symbol=AAPL&cursor={}", series["cursor"].as_str().unwrap());
    let mut events = Events::open(&site, &path, None).await;
    let mut seen = Seen::default();
    (0..10).for_each(|n| {
        seen.bars.insert(OPEN + n * MINUTE, 1);
        seen.rows.insert(OPEN + (n + 1) * MINUTE, 1);
    });
    while seen.rows.len() < 20 || seen.bars.len() < 20 {
        seen.take(&events.next().await);
    }
    assert!(seen.is_each_minute_once(20));
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_was_without_a_hole_or_a_repeat() {
    let site = Site::start().await;
    let mut seen = Seen::default();
    let mut events = Events::open(&site, &format!("/events?symbol=AAPL&cursor={BEGINNING}"), None).await;
    for part in 0..6 {
        // Other symbols, heartbeats and status in between move the place as well.
        site.append(&Feed::of("AAPL", part * 50..part * 50 + 25)).await;
        site.append(&Feed::of("IBM", part * 50..part * 50 + 50)).await;
        site.say(&status("engine", OPEN + part)).await;
        site.append(&Feed::of("AAPL", part * 50 + 25..part * 50 + 50)).await;
        seen.take(&events.next().await);
        drop(events);
        events = Events::open(&site, "/events?symbol=AAPL", Some(&seen.last)).await;
    }
    while seen.rows.len() < 300 || seen.bars.len() < 300 {
        seen.take(&events.next().await);
    }
    assert!(seen.is_each_minute_once(300));
}

#[tokio::test]
async fn a_viewer_far_behind_reads_everything_out_of_the_log() {
    let site = Site::start().await;
    // A first viewer makes the server follow; the second starts long before what it keeps in memory.
    let _first = Events::open(&site, "/events", None).await;
    for part in 0..20 {
        site.append(&Feed::of("AAPL", part * 300..(part + 1) * 300)).await;
    }
    let mut seen = Seen::default();
    let mut events = Events::open(&site, &format!("/events?symbol=AAPL&cursor={BEGINNING}"), None).await;
    while seen.rows.len() < 6_000 || seen.bars.len() < 6_000 {
        seen.take(&events.next().await);
    }
    assert!(seen.is_each_minute_once(6_000));
}

#[tokio::test]
async fn without_a_place_a_stream_starts_now() {
    let site = Site::start().await;
    site.append(&Feed::of("AAPL", 0..10)).await;
    let mut events = Events::open(&site, "/events?symbol=AAPL", None).await;
    let hello = events.next().await;
    assert_eq!((hello.name.as_str(), hello.data.get("bars")), ("update", None));
    site.append(&Feed::of("AAPL", 10..11)).await;
    let event = loop {
        let event = events.next().await;
        if event.data.get("bars").is_some() {
            break event;
        }
    };
    assert_eq!(event.data["bars"][0]["start_timestamp"], OPEN + 10 * MINUTE);
}

#[tokio::test]
async fn an_event_holds_the_selected_symbol_whole_and_of_the_others_the_newest() {
    let site = Site::start().await;
    let news = article("AAPL", OPEN, "Results are out");
    site.append(&Feed::of("AAPL", 0..5).with_article(news)).await;
    let others = Feed::of("IBM", 0..5).with_thin_rows("IBM", 5..8);
    site.append(&others.with_article(article("IBM", OPEN, "Elsewhere"))).await;
    site.say(&status("engine", OPEN)).await;
    let path = format!("/events?symbol=AAPL&cursor={BEGINNING}");
    let mut events = Events::open(&site, &path, None).await;
    let event = events.next().await;
    assert_eq!(event.data["bars"].as_array().unwrap().len(), 5);
    assert_eq!(event.data["volatility"].as_array().unwrap().len(), 5);
    assert_eq!(event.data["volatility"][4]["close_to_close"], 0.0005);
    assert_eq!(event.data["news"].as_array().unwrap().len(), 1);
    let latest = event.data["latest"].as_array().unwrap();
    assert_eq!(latest.len(), 2, "heartbeats are no symbols: {latest:?}");
    assert_eq!(latest[1]["symbol"], "IBM");
    assert_eq!(latest[1]["bar"]["start_timestamp"], OPEN + 4 * MINUTE);
    let end = &latest[1]["volatility"]["window_end"];
    assert_eq!(*end, OPEN + 5 * MINUTE, "the newest window with enough bars");
    assert!(!event.data.to_string().contains("~clock"));
    let status = match event.data.get("status") {
        Some(status) => status.clone(),
        None => events.next().await.data["status"].clone(),
    };
    assert_eq!(status["services"][0]["service"], "engine");
}

#[tokio::test]
async fn of_a_large_market_a_viewer_gets_its_own_symbol_and_the_first_thousand() {
    let site = Site::start().await;
    // A first viewer makes the server follow; nobody watches the last symbols yet.
    let mut first = Events::open(&site, "/events", None).await;
    first.next().await;
    for n in 0..1_200 {
        site.append(&Feed::of(&format!("S{n:04}"), 0..1)).await;
    }
    let path = format!("/events?symbol=S1150&cursor={BEGINNING}");
    let mut events = Events::open(&site, &path, None).await;
    let (mut bars, mut rows, mut named) = (Vec::new(), 0, BTreeSet::new());
    let mut take = |event: &Event| {
        let list = |name: &str| event.data[name].as_array().cloned().unwrap_or_default();
        bars.extend(list("bars").iter().map(|bar| bar["start_timestamp"].as_i64().unwrap()));
        rows += list("volatility").len();
        named.extend(list("latest").iter().map(|latest| latest["symbol"].as_str().unwrap().to_owned()));
        (bars.len(), rows, named.len())
    };
    // What came before anybody watched is read from the log.
    while take(&events.next().await) < (1, 1, 1_001) {}
    site.append(&Feed::of("S1199", 1..2)).await;
    site.append(&Feed::of("S1150", 1..2)).await;
    while take(&events.next().await).1 < 2 {}
    assert_eq!(bars, [OPEN, OPEN + MINUTE]);
    let listed = (0..1_000).chain([1_150]).map(|n| format!("S{n:04}"));
    assert_eq!(named, listed.collect());
}

#[tokio::test]
async fn a_place_that_is_no_longer_kept_gets_a_reset_and_then_what_follows() {
    let site = Site::start().await;
    site.append(&Feed::of("AAPL", 0..50)).await;
    site.log.trim(time::now() + time::DAY).await.unwrap();
    let mut events = Events::open(&site, "/events?symbol=AAPL", Some(BEGINNING)).await;
    let event = events.next().await;
    assert_eq!(event.name, "reset");
    site.append(&Feed::of("AAPL", 50..51)).await;
    let event = loop {
        let event = events.next().await;
        if event.data.get("bars").is_some() {
            break event;
        }
    };
    assert_eq!(event.data["bars"][0]["start_timestamp"], OPEN + 50 * MINUTE);
    // The series answers with a place that is kept.
    let cursor = site.json("/api/v1/series?symbol=AAPL").await["cursor"].as_str().unwrap().to_owned();
    let mut events = Events::open(&site, &format!("/events?symbol=AAPL&cursor={cursor}"), None).await;
    assert_eq!(events.next().await.name, "update");
}

#[tokio::test]
async fn a_place_in_another_log_gets_a_reset() {
    let site = Site::start().await;
    site.append(&Feed::of("AAPL", 0..5)).await;
    for last in ["stock-prices/0:900,news-articles/0:0,volatility/0:0", "stock-prices/0:1", "not a place"] {
        let mut events = Events::open(&site, "/events?symbol=AAPL", Some(last)).await;
        assert_eq!(events.next().await.name, "reset", "{last}");
    }
}

#[tokio::test]
async fn a_service_that_stands_still_is_told_without_a_word_of_its_own() {
    let site = Site::start().await;
    let now = time::now();
    let prices = ServiceStatus { state: RunState::Finished.into(), ..status("producer", OPEN + 9 * MINUTE) };
    site.say(&prices).await;
    // Nine seconds ago: one more and it is silent.
    site.say(&ServiceStatus { at: now - 9_000, ..status("engine", OPEN) }).await;
    let mut events = Events::open(&site, "/events", None).await;
    loop {
        let status = events.next().await.data["status"].clone();
        if status["stalled"][0]["service"] == "engine" {
            break;
        }
    }
}

#[tokio::test]
async fn a_status_that_changes_is_sent_by_itself() {
    let site = Site::start().await;
    let mut events = Events::open(&site, "/events", None).await;
    events.next().await;
    site.say(&status("sink", OPEN + 7)).await;
    let status = loop {
        let event = events.next().await;
        if event.data["status"]["services"] != json!([]) && event.data.get("status").is_some() {
            break event.data["status"].clone();
        }
    };
    assert_eq!(status["services"][0]["watermark"], OPEN + 7);
}
