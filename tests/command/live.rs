//! Live sources, played by local servers: keys, the doctor, history, and a run that goes live by itself.

use std::time::{SystemTime, UNIX_EPOCH};

use testkit::guardian::{Fault, Guardian, Story};
use testkit::massive::{Answer, Auth, Feed, History, MinuteBar, Script};

use crate::harness::{Sandbox, assert_no_key, assert_words, wait_for};

const POLYGON_KEY: &str = "polygon-key-4711";
const GUARDIAN_KEY: &str = "guardian-key-4711";
const MINUTE: i64 = 60_000;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The servers of both sources, and a desk that knows them.
struct Outside {
    feed: Feed,
    history: History,
    guardian: Guardian,
}

impl Outside {
    async fn start() -> Outside {
        let script = Script { auth: Auth::Key(POLYGON_KEY.into()), ..Script::default() };
        Outside {
            feed: Feed::start(script).await,
            history: History::start(POLYGON_KEY).await,
            guardian: Guardian::start(GUARDIAN_KEY, now).await,
        }
    }

    /// A desk that finds the servers and has no keys.
    fn sandbox(&self) -> Sandbox {
        Sandbox::new()
            .with("TICKWIRE_POLYGON__WEBSOCKET_URL", self.feed.url())
            .with("TICKWIRE_POLYGON__REST_URL", self.history.url())
            .with("TICKWIRE_POLYGON__FEED_DELAY", "0")
            .with("TICKWIRE_POLYGON__CALLS_PER_MINUTE", "1000")
            .with("TICKWIRE_GUARDIAN__URL", self.guardian.url())
            // The finest log lines that there are, which must not hold a key either.
            .with("RUST_LOG", "trace,tungstenite::protocol=trace")
    }

    fn desk_with_keys(&self) -> Sandbox {
        self.sandbox().with("POLYGON_API_KEY", POLYGON_KEY).with("GUARDIAN_API_KEY", GUARDIAN_KEY)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keys_up_goes_live_and_a_change_of_the_watchlist_reaches_both_sources() {
    let outside = Outside::start().await;
    outside.guardian.newsroom().publish(Story::new("business/1", "Apple rises", now() - MINUTE));
    let sandbox = outside.desk_with_keys();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let said = running.said("live prices");
    let address = said.split("http://").nth(1).unwrap().split_whitespace().next().unwrap();
    running.said("Nothing is watched yet: `tickwire watch add");
    sandbox.out("watch add --symbol AAPL --term apple");
    outside.feed.until_pairs(&["AM.AAPL"]).await;
    sandbox.out("watch add MSFT");
    outside.feed.until_pairs(&["AM.AAPL", "AM.MSFT"]).await;
    assert_eq!(outside.feed.opened(), 1, "a change of the list takes no reconnect");
    let start = now().div_euclid(MINUTE) * MINUTE - MINUTE;
    outside
        .feed
        .bars(&[MinuteBar::new("AAPL", start, 200.0, 10.0), MinuteBar::new("IBM", start, 100.0, 1.0)]);
    wait_for("the bar in the log", || {
        sandbox.out("tail stock-prices --key AAPL").contains("\"polygon\"").then_some(())
    });
    wait_for("the headline in the log", || {
        let ended = sandbox.run("tail news-articles --key AAPL");
        ended.out.contains("Apple rises").then_some(())
    });
    sandbox.out("watch remove MSFT");
    outside.feed.until_pairs(&["AM.AAPL"]).await;
    assert_eq!(std::fs::read_to_string(sandbox.path("data/last-run")).unwrap().trim(), "live");
    // Whatever is said and kept is searched for keys by the harness; the pages are searched here.
    for path in ["", "status", "symbols", "metrics", "api/v1/status", "api/v1/watchlist", "api/v1/symbols"] {
        let page = net::http().unwrap().get(format!("http://{address}/{path}")).send().await.unwrap();
        assert_no_key(&format!("/{path}"), page.text().await.unwrap().as_bytes());
    }
}

#[test]
fn without_a_key_up_says_in_one_line_that_it_simulates_and_how_to_go_live() {
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    assert_words!(running.said("GUARDIAN_API_KEY"));
}

#[test]
fn a_key_file_that_is_missing_or_empty_is_an_error_that_names_it() {
    let sandbox = Sandbox::new().with("POLYGON_API_KEY_FILE", "polygon.key");
    let missing = sandbox.printed(&["up --listen 127.0.0.1:0"]);
    sandbox.file("polygon.key", "\n");
    assert_words!(missing + &sandbox.printed(&["up --listen 127.0.0.1:0"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_polygon_refuses_leaves_the_pages_up_with_the_way_on() {
    let outside = Outside::start().await;
    let sandbox = outside.sandbox().with("POLYGON_API_KEY", "wrong-key-4711");
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    assert_words!(running.said("POLYGON_API_KEY"));
    // The page says it as soon as the producer's next status has come.
    let client = net::http().unwrap();
    let status = async || {
        let answer = client.get(format!("http://{address}/api/v1/status")).send().await.unwrap();
        answer.text().await.unwrap()
    };
    let asked = std::time::Instant::now();
    while !status().await.contains("check POLYGON_API_KEY") {
        assert!(asked.elapsed().as_secs() < 60, "{}", status().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(outside.feed.opened(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_guardian_refuses_leaves_the_prices_going() {
    let outside = Outside::start().await;
    let sandbox = outside.desk_with_keys().with("GUARDIAN_API_KEY", "wrong-key-4711");
    let running = sandbox.start("up --listen 127.0.0.1:0");
    running.said("live prices");
    sandbox.out("watch add --symbol AAPL --term apple");
    assert_words!(running.said("GUARDIAN_API_KEY"));
    let start = now().div_euclid(MINUTE) * MINUTE - MINUTE;
    outside.feed.until_pairs(&["AM.AAPL"]).await;
    outside.feed.bars(&[MinuteBar::new("AAPL", start, 200.0, 10.0)]);
    wait_for("the bar in the log", || {
        sandbox.out("tail stock-prices --key AAPL").contains("\"polygon\"").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_everything_in_order() {
    let outside = Outside::start().await;
    let sandbox = outside.desk_with_keys();
    sandbox.out("watch add AAPL");
    let well = sandbox.run("doctor");
    assert_eq!(outside.feed.opened(), 0, "a second connection would close the one of a running `up`");
    assert_words!(well.printed + &outside.sandbox().printed(&["doctor"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_wrong_with_what_to_do() {
    let outside = Outside::start().await;
    outside.guardian.newsroom().fail_next(Fault::Unauthorized);
    outside.history.always(Some(Answer::unknown_key()));
    let sandbox = outside.desk_with_keys();
    let refused = sandbox.run("doctor");
    assert_eq!(refused.code, Some(1));

    outside.history.always(Some(Answer::not_entitled()));
    let not_entitled = sandbox.run("doctor");
    assert_eq!(not_entitled.code, Some(0));
    assert_words!(refused.printed + &not_entitled.printed);

    let (polygon, guardian) = (outside.history.url(), outside.guardian.url().to_owned());
    drop(outside);
    let sandbox = Sandbox::new()
        .with("POLYGON_API_KEY", POLYGON_KEY)
        .with("GUARDIAN_API_KEY", GUARDIAN_KEY)
        .with("TICKWIRE_POLYGON__REST_URL", polygon)
        .with("TICKWIRE_GUARDIAN__URL", guardian);
    std::fs::create_dir(sandbox.path("data")).unwrap();
    sandbox.file("data/format", "99\n");
    std::fs::create_dir(sandbox.path("data/live")).unwrap();
    sandbox.file("data/live/log.db", "this is no log");
    let ended = sandbox.run("doctor");
    assert_eq!(ended.code, Some(1));
    assert_words!(ended.printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_brings_history_once_and_goes_on_after_an_interruption() {
    let outside = Outside::start().await;
    let from = 1_709_562_600_000;
    let bars: Vec<_> = (0..120).map(|i| MinuteBar::new("AAPL", from + i * MINUTE, 200.0, 10.0)).collect();
    outside.history.add(&bars);
    let sandbox = outside.desk_with_keys();
    let line = format!("backfill --from {from} --to {}", from + 100 * MINUTE);
    let without_symbols = sandbox.refused(&line);
    sandbox.out("watch add AAPL");
    outside.history.always(Some(Answer::not_entitled()));
    let not_entitled = sandbox.refused(&line);
    outside.history.always(None);
    let brought = [sandbox.out(&line), sandbox.out(&line)];
    assert_eq!(sandbox.out("tail stock-prices --data live").matches("polygon-history").count(), 100);
    let bad_times = sandbox
        .printed(&["backfill --from 2024-03-05 --to 2024-03-05", "backfill --from soon --to 2024-03-05"]);
    let without_key = outside.sandbox().refused(&line);
    let refused = format!("{without_symbols}\n{not_entitled}\n{without_key}\n{bad_times}");
    assert_words!(sandbox.without_folders(&refused));
    assert_words!(brought.concat());
}
