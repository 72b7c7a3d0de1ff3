//! What a newcomer sees after `tickwire up`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::harness::Desk;
use crate::webdriver::{Browser, Look};

const LIGHT: Look = Look { width: 1400, height: 1000, dark: false };
const DARK: Look = Look { dark: true, ..LIGHT };
const PHONE: Look = Look { width: 500, height: 950, dark: false };

/// True once the candles and the measures under them have points.
const CHARTED: &str = "(() => {
    const traces = document.querySelector('.js-plotly-plot').data;
    const filled = (trace) => trace.x && trace.x.length > 100;
    return traces.some((trace) => trace.type === 'candlestick' && filled(trace))
        && traces.some((trace) => trace.type !== 'candlestick' && filled(trace));
})()";

#[test]
fn a_first_start_fills_the_charts_and_keeps_them_moving() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let desk = Desk::new();
    let started = Instant::now();
    let running = desk.start("up --listen 127.0.0.1:0");
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
    let desk = Desk::new();
    let running = desk.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("the table", "document.querySelector('tr[data-symbol=TSLA] a')");
    browser.script("document.querySelector('tr[data-symbol=TSLA] a').click()");
    browser.until("the symbol in the address", "location.search.includes('symbol=TSLA')");
    browser.until("its chart", "document.querySelector('h2').innerText.includes('TSLA')");
}

#[test]
fn nothing_is_fetched_from_elsewhere_and_nothing_breaks_the_policy() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let desk = Desk::new();
    let running = desk.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("filled charts", CHARTED);
    let elsewhere = browser.script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)
             .filter((name) => !name.startsWith(location.origin) && !name.startsWith('data:') && !name.startsWith('blob:'))",
    );
    assert_eq!(elsewhere, serde_json::json!([]));
}

#[test]
fn the_pictures_of_the_documents_are_drawn() {
    let folder = pictures();
    for (name, look) in [("live-light", LIGHT), ("live-dark", DARK), ("live-phone", PHONE)] {
        let Some(browser) = Browser::open(look) else { return };
        let desk = Desk::new();
        let running = desk.start("up --listen 127.0.0.1:0");
        browser.go(&format!("http://{}/?symbol=AAPL", running.address()));
        browser.until("filled charts", CHARTED);
        // The two sessions come in parts; a picture shows all of them.
        browser.until("a market that has gone on for a while", "performance.now() > 8000");
        let file = folder.join(format!("{name}.png"));
        browser.picture(&file);
        assert!(std::fs::metadata(&file).unwrap().len() > 10_000, "{} is empty", file.display());
    }
}

/// Where pictures go: `TICKWIRE_PICTURES` to renew those of `docs/`, else a folder that is thrown away.
fn pictures() -> PathBuf {
    match std::env::var_os("TICKWIRE_PICTURES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned(),
    }
}
