//! What a first and a later visit weigh, and how soon the first chart is there.

use crate::harness::Sandbox;
use crate::live_page::CHARTED;
use crate::webdriver::{Browser, LIGHT};

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
