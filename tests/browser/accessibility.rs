//! Every page of the navigation under axe-core, and by the keyboard alone.
//!
//! axe-core is looked for at `AXE_CORE`, where `.ci/axe` brings it; without it
//! the test says that it was skipped.

use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use testkit::guardian::{Guardian, Story};
use testkit::massive::{Auth, Feed, History, MinuteBar, Script};

use crate::harness::Sandbox;
use crate::live_page::CHARTED;
use crate::webdriver::{Browser, DARK, LIGHT, PHONE};

const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';

/// What axe-core finds of some weight, a line each.
const SERIOUS: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => done(
        violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) =>
            nodes.map(({ target, failureSummary }) => `${id} at ${target.join(' ')}: ${failureSummary}`))));";

#[test]
fn axe_finds_nothing_serious_on_any_page_in_any_look() {
    let Some(axe) = axe() else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: the accessibility check, AXE_CORE names no file");
        return;
    };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    sandbox.out("watch add --symbol AAPL --term Apple");
    let mut found = Vec::new();
    for look in [LIGHT, DARK, PHONE] {
        let Some(browser) = Browser::open(look) else { return };
        browser.go(&format!("http://{address}/"));
        browser.until("filled charts", CHARTED);
        let pages = browser.script(
            "return [...document.querySelectorAll('.pages a')].map((link) => link.getAttribute('href'))",
        );
        let pages = pages.as_array().unwrap().iter().map(|page| page.as_str().unwrap().to_owned());
        for page in pages.chain(["/watchlist?edit=1".into(), "/nothing".into()]) {
            browser.go(&format!("http://{address}{page}"));
            browser.until("the page", "document.readyState === 'complete'");
            browser.script(&axe);
            let said = browser.script_later(SERIOUS);
            found.extend(said.as_array().unwrap().iter().map(|one| format!("{page}, {look:?}: {one}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_keyboard_alone_reaches_the_content_first_and_then_the_pages() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    browser.go(&format!("http://{address}/watchlist"));
    let focused = || browser.script("return document.activeElement.textContent").as_str().unwrap().to_owned();
    browser.press(TAB);
    assert_eq!(focused(), "Skip to the content");
    let visible = "document.activeElement.getBoundingClientRect().left >= 0";
    browser.until("the skip link to be seen", visible);
    browser.press(ENTER);
    browser.until("the focus in the content", "document.activeElement.id === 'content'");

    browser.go(&format!("http://{address}/news"));
    for name in ["Skip to the content", "Tickwire", "Live", "News"] {
        browser.press(TAB);
        assert_eq!(focused(), name);
    }
}

fn axe() -> Option<String> {
    std::fs::read_to_string(PathBuf::from(std::env::var_os("AXE_CORE")?)).ok()
}

// What a first and a later visit weigh, and how soon the first chart is there.

/// Bytes over the wire, the page included; the stream of events, which has no end, is not.
const BYTES: &str = "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(({ name }) => !name.includes('/events')).reduce((sum, { transferSize }) => sum + transferSize, 0)";

#[test]
fn a_first_visit_is_light_and_a_later_one_lighter() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = format!("http://{}/?symbol=AAPL", running.address());
    let visit = || {
        browser.go(&address);
        browser.until("filled charts", CHARTED);
        browser.until("everything", "document.querySelectorAll('td.spark polyline').length > 0");
        let bytes = browser.script(BYTES).as_u64().unwrap();
        let painted = browser.script("return performance.getEntriesByType('paint').at(-1).startTime");
        let charted = browser.script("return performance.getEntriesByName('first chart')[0].startTime");
        println!("{} KB, first paint {painted} ms, first chart {charted} ms", bytes / 1_000);
        bytes
    };
    let (first, later) = (visit(), visit());
    assert!(first < 1_600_000, "a first visit takes {first} bytes");
    assert!(later < 100_000, "a later visit takes {later} bytes");
}

// The main story: from an empty list to bars, headlines, an alert and a file,
// against servers that play the live sources.

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
