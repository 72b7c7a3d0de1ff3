//! The main story: from an empty list to bars, headlines, an alert and a file,
//! against servers that play the live sources.

use std::time::{SystemTime, UNIX_EPOCH};

use testkit::guardian::{Guardian, Story};
use testkit::massive::{Auth, Feed, History, MinuteBar, Script};

use crate::harness::Sandbox;
use crate::webdriver::{Browser, LIGHT};

const POLYGON_KEY: &str = "polygon-k-4711";
const GUARDIAN_KEY: &str = "guardian-k-0815";
const MINUTE: i64 = 60_000;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[test]
fn a_symbol_and_a_term_added_on_the_page_bring_bars_headlines_an_alert_and_a_file() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (feed, history, guardian) = runtime.block_on(async {
        let script = Script { auth: Auth::Key(POLYGON_KEY.into()), ..Script::default() };
        let guardian = Guardian::start(GUARDIAN_KEY, now).await;
        (Feed::start(script).await, History::start(POLYGON_KEY).await, guardian)
    });
    guardian.newsroom().publish(Story::new("business/1", "Apple rises", now() - MINUTE));
    let sandbox = Sandbox::new()
        .with("TICKWIRE_POLYGON__WEBSOCKET_URL", feed.url())
        .with("TICKWIRE_POLYGON__REST_URL", history.url())
        .with("TICKWIRE_POLYGON__FEED_DELAY", "0")
        .with("TICKWIRE_POLYGON__CALLS_PER_MINUTE", "1000")
        .with("TICKWIRE_GUARDIAN__URL", guardian.url())
        // Results with news are as late as the slowest term.
        .with("TICKWIRE_GUARDIAN__CALLS_PER_DAY", "86400")
        .with("POLYGON_API_KEY", POLYGON_KEY)
        .with("GUARDIAN_API_KEY", GUARDIAN_KEY);
    let running = sandbox.start("up --listen 127.0.0.1:0");
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
    // A bar closes a quarter above its open.
    browser.until("the bar", "document.querySelector('#quote').textContent.includes('200.25')");
    browser.until("the headline", "document.querySelector('#news').textContent.includes('Apple rises')");
    assert_eq!(browser.script("return document.querySelector('#simulation').hidden"), true);

    // A bar of the minute that is not over yet closes a window once it is.
    sandbox.out("rules add above-hundred --signal close --above 100");
    feed.bars(&[MinuteBar::new("AAPL", now().div_euclid(MINUTE) * MINUTE, 210.0, 10.0)]);
    browser.until("the alert", "document.querySelector('#recent').textContent.includes('above-hundred')");
    browser.go(&format!("http://{address}/alerts"));
    assert!(browser.text("#episodes").contains("above-hundred"));

    browser.go(&format!("http://{address}/?symbol=AAPL"));
    let file = browser.script_later(
        "const done = arguments[arguments.length - 1];
         const link = document.querySelector('#files a[data-measurement=stock_prices][data-format=csv]');
         fetch(link.href).then((answer) => answer.text()).then(done);",
    );
    let file = file.as_str().unwrap();
    assert!(file.starts_with("symbol,") && file.contains("AAPL,") && file.contains("200.25"), "{file}");

    browser.go(&format!("http://{address}/news?q=rises"));
    assert!(browser.text(".articles").contains("Apple rises"));
    browser.go(&format!("http://{address}/watchlist"));
    let said = browser.text("#entries");
    assert!(said.contains("subscribed") && said.contains("next poll") && said.contains("last bar"), "{said}");
}
