//! The main story: from an empty list to bars and headlines, against servers
//! that play the live sources.

use std::time::{SystemTime, UNIX_EPOCH};

use test_servers::guardian::{Guardian, Story};
use test_servers::massive::{Auth, Feed, History, MinuteBar, Script};

use crate::harness::Desk;
use crate::webdriver::{Browser, LIGHT};

const POLYGON_KEY: &str = "polygon-k-4711";
const GUARDIAN_KEY: &str = "guardian-k-0815";
const MINUTE: i64 = 60_000;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[test]
fn a_symbol_and_a_term_added_on_the_page_bring_their_bars_and_headlines() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (feed, history, guardian) = runtime.block_on(async {
        let script = Script { auth: Auth::Key(POLYGON_KEY.into()), ..Script::default() };
        let guardian = Guardian::start(GUARDIAN_KEY, now).await;
        (Feed::start(script).await, History::start(POLYGON_KEY).await, guardian)
    });
    guardian.newsroom().publish(Story::new("business/1", "Apple rises", now() - MINUTE));
    let desk = Desk::new()
        .with("TICKWIRE_POLYGON__WEBSOCKET_URL", feed.url())
        .with("TICKWIRE_POLYGON__REST_URL", history.url())
        .with("TICKWIRE_POLYGON__FEED_DELAY", "0")
        .with("TICKWIRE_POLYGON__CALLS_PER_MINUTE", "1000")
        .with("TICKWIRE_GUARDIAN__URL", guardian.url())
        .with("POLYGON_API_KEY", POLYGON_KEY)
        .with("GUARDIAN_API_KEY", GUARDIAN_KEY);
    let running = desk.start("up --listen 127.0.0.1:0");
    let address = running.address();

    browser.go(&format!("http://{address}/watchlist"));
    browser.write("#symbol", "AAPL");
    browser.write("#term", "apple");
    browser.click("#preview-button");
    browser.until("the preview", "document.querySelector('#preview').textContent.includes('Apple rises')");
    assert!(browser.text("#preview").contains("as the Guardian said"));
    browser.click("#entry-form button.main");
    assert!(browser.text(".notice.good").contains("added AAPL with `apple`"));

    runtime.block_on(feed.until_pairs(&["AM.AAPL"]));
    let start = now().div_euclid(MINUTE) * MINUTE - MINUTE;
    feed.bars(&[MinuteBar::new("AAPL", start, 200.0, 10.0)]);
    browser.go(&format!("http://{address}/?symbol=AAPL"));
    browser.until("the bar", "document.querySelector('#quote').textContent.includes('200.00')");
    browser.until("the headline", "document.querySelector('#news').textContent.includes('Apple rises')");
    assert_eq!(browser.script("return document.querySelector('#simulation').hidden"), true);

    browser.go(&format!("http://{address}/news?q=rises"));
    assert!(browser.text(".articles").contains("Apple rises"));
    browser.go(&format!("http://{address}/watchlist"));
    let said = browser.text("#entries");
    assert!(said.contains("subscribed") && said.contains("next poll") && said.contains("last bar"), "{said}");
}
