//! What a newcomer sees after `tickwire up`.

use std::time::Instant;

use crate::harness::{Sandbox, wait_for};
use crate::webdriver::{Browser, LIGHT};

/// True once the candles and the measures under them have points.
pub const CHARTED: &str = "(() => {
    const traces = document.querySelector('.js-plotly-plot').data;
    const filled = (trace) => trace.x && trace.x.length > 100;
    return traces.some((trace) => trace.type === 'candlestick' && filled(trace))
        && traces.some((trace) => trace.type !== 'candlestick' && filled(trace));
})()";

#[test]
fn a_first_start_fills_the_charts_and_keeps_them_moving() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let started = Instant::now();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    browser.go(&format!("http://{address}/?symbol=AAPL"));
    browser.until("filled charts", CHARTED);
    println!("charts filled {:.1} s after the start of the process", started.elapsed().as_secs_f64());
    let text = browser.script("return document.body.innerText.toUpperCase()");
    assert!(text.as_str().unwrap().contains("SIMULATION"), "a simulation is impossible to overlook");

    let points =
        "document.querySelector('.js-plotly-plot').data.map((trace) => JSON.stringify(trace.x)).join()";
    let before = browser.script(&format!("window.seenBefore = {points}; return window.seenBefore.length"));
    assert!(before.as_u64().unwrap() > 1_000);
    browser.until("the charts to move by themselves", &format!("{points} !== window.seenBefore"));
}

#[test]
fn a_symbol_is_chosen_in_the_table_and_kept_in_the_address() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("the table", "document.querySelector('tr[data-symbol=TSLA] a')");
    browser.script("document.querySelector('tr[data-symbol=TSLA] a').click()");
    browser.until("the symbol in the address", "location.search.includes('symbol=TSLA')");
    browser.until("its chart", "document.querySelector('h2').innerText.includes('TSLA')");
}

#[test]
fn nothing_is_fetched_from_elsewhere_and_nothing_breaks_the_policy() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("filled charts", CHARTED);
    let elsewhere = browser.script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)
             .filter((name) => !name.startsWith(location.origin) && !name.startsWith('data:') && !name.startsWith('blob:'))",
    );
    assert_eq!(elsewhere, serde_json::json!([]));
}

#[test]
fn history_is_brought_when_the_chart_is_moved_before_what_it_has() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    // Four days of one bar in five minutes: more than is loaded at first.
    let mut bars = String::from("start_ms,symbol,open,high,low,close,volume\n");
    for day in 0..4_i64 {
        for minute in 0..960 {
            let start = 1_380_528_000_000 + day * 86_400_000 + minute * 60_000;
            bars.push_str(&format!("{start},AAPL,100,101,99,100.5,10\n"));
        }
    }
    sandbox.file("bars.csv", bars);
    let running = sandbox.start("up --listen 127.0.0.1:0 --prices replay:bars.csv --speed max");
    let address = running.address();
    wait_for("everything in the store", || {
        let shown = sandbox.run("export stock_prices");
        (shown.out.lines().count() > 3_840).then_some(())
    });
    browser.go(&format!("http://{address}/?symbol=AAPL"));
    browser.until("filled charts", CHARTED);
    let first = "Math.min(...document.querySelector('.js-plotly-plot').data[0].x)";
    let begins = browser.script(&format!("return window.begins = {first}"));
    browser.click("[data-range=week]");
    browser.until("all four days", &format!("{first} <= {}", 1_380_528_000_000_i64));
    assert!(begins.as_f64().unwrap() > 1_380_600_000_000.0, "only two days were loaded at first");
}

#[test]
fn the_table_has_a_small_curve_of_every_symbol() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("curves", "document.querySelectorAll('td.spark polyline').length >= 5");
}
