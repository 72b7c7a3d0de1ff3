//! The Event study page: the mean path is drawn, and stands in a table for those without scripts.

use std::fmt::Write;

use crate::harness::{Running, Sandbox, wait_for};
use crate::webdriver::{Browser, LIGHT};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
/// Monday, the 5th of January 2026, half past nine in New York.
const OPEN: i64 = 1_767_623_400_000;
/// Friday of that week, two hours and ten seconds into the session.
const PUBLISHED: i64 = OPEN + 4 * DAY + 120 * MINUTE + 10_000;

/// Five sessions that go up and down by a cent, and by two hundredths up at once
/// in the minute after the news.
fn week() -> String {
    let mut bars = "start_ms,symbol,open,high,low,close,volume\n".to_owned();
    for minute in (0..5).flat_map(|day| (0..390).map(move |minute| OPEN + day * DAY + minute * MINUTE)) {
        let level = if minute > PUBLISHED { 102.0 } else { 100.0 };
        let close = level + if minute / MINUTE % 2 == 0 { 0.0 } else { 0.01 };
        let (high, low) = (close + 0.01, close - 0.01);
        writeln!(bars, "{minute},AAPL,{close},{high},{low},{close},1000").unwrap();
    }
    bars
}

fn start(sandbox: &Sandbox) -> Running {
    sandbox.file("bars.csv", week());
    sandbox.file(
        "news.csv",
        format!("id,symbol,search_term,headline,url,published_ms\none,AAPL,Apple,Apple soars,https://example.org/1,{PUBLISHED}\n"),
    );
    sandbox.start("up --listen 127.0.0.1:0 --prices replay:bars.csv --news replay:news.csv --speed max")
}

/// Opens the page once the study has its article.
fn go(browser: &Browser, running: &Running) {
    let page = format!("http://{}/study?symbol=AAPL", running.address());
    wait_for("the study", || {
        browser.go(&page);
        browser.text("main").contains("1 used").then_some(())
    });
}

#[test]
fn the_mean_path_is_drawn_with_its_band_and_saved_as_a_picture() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = start(&sandbox);
    go(&browser, &running);
    browser.until("the chart", "document.querySelector('#study-chart').dataset.drawn === 'true'");
    let drawn = browser.script(
        "const path = document.querySelector('#study-chart').data.find(({ name }) => name === 'Mean');
         return [path.y[path.x.indexOf(-5)], path.y[path.x.indexOf(30)]];",
    );
    let (before, after) = (drawn[0].as_f64().unwrap(), drawn[1].as_f64().unwrap());
    assert!(before.abs() < 0.05 && (after - 1.98).abs() < 0.05, "{before} % before and {after} % after");
    browser.script(
        "globalThis.saved = []; HTMLAnchorElement.prototype.click = function () { saved.push(this.download); };",
    );
    browser.click("#picture");
    browser.until("the picture", "saved.some((name) => name.startsWith('event-study-AAPL'))");
}

#[test]
fn without_scripts_the_table_has_the_whole_of_it() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = start(&sandbox);
    go(&browser, &running);
    browser.says("main", "The chart needs JavaScript");
    browser.says("table tbody", "1.98");
    browser.says("[aria-labelledby=articles-title] table", "Apple soars");
    browser.click("form.chooser button");
    browser.says("h1", "Event study of AAPL");
}
