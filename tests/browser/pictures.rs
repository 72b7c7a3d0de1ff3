//! The pictures of the documents, as the pages really look.

use std::path::{Path, PathBuf};

use crate::harness::{Running, Sandbox};
use crate::live_page::CHARTED;
use crate::webdriver::{Browser, DARK, LIGHT, Look, PHONE};

const LOOKS: [(&str, Look); 3] = [("light", LIGHT), ("dark", DARK), ("phone", PHONE)];

#[test]
fn the_pictures_of_the_documents_are_drawn() {
    let sandbox = Sandbox::new();
    // Fast, because an event study needs some sessions before the news.
    let running = sandbox.start("up --listen 127.0.0.1:0 --speed 6000");
    let address = running.address();
    sandbox.out("watch add --symbol AAPL --term Apple --section technology");
    sandbox.out("watch add --symbol TSLA");
    sandbox.out("watch add --term recession");
    for (name, look) in LOOKS {
        let Some(browser) = Browser::open(look) else { return };
        browser.go(&format!("http://{address}/?symbol=AAPL"));
        browser.until("filled charts", CHARTED);
        // The two sessions come in parts; a picture shows all of them.
        browser.until("a market that has gone on for a while", "performance.now() > 8000");
        draw(&browser, &format!("live-{name}"));
        for (page, path) in pages(&browser) {
            let (asked, drawn) = shown(&page);
            browser.go(&format!("http://{address}{path}{asked}"));
            browser.until(&page, drawn);
            draw(&browser, &format!("{page}-{name}"));
        }
    }
    still_running(running);
}

/// The other pages of the navigation: a name for the picture, and the address.
fn pages(browser: &Browser) -> Vec<(String, String)> {
    let found = browser
        .script("return [...document.querySelectorAll('.pages a')].map((link) => link.getAttribute('href'))");
    let paths = found.as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned());
    paths
        .filter(|path| path != "/")
        .map(|path| (path.trim_start_matches('/').replace('/', "-"), path))
        .collect()
}

/// What a page is asked for its picture, and when there is something to be seen of it.
fn shown(page: &str) -> (&'static str, &'static str) {
    match page {
        "study" => (
            "?symbol=AAPL",
            "document.querySelector('#study-chart') ? document.querySelector('#study-chart').dataset.drawn : location.reload()",
        ),
        "explore" => (
            "?sql=SELECT+date_bin(INTERVAL+'5+minutes',+start_timestamp)+AS+at,+last_value(close+ORDER+BY+start_timestamp)+AS+close%0AFROM+stock_prices%0AWHERE+symbol+=+'AAPL'%0AGROUP+BY+at%0AORDER+BY+at+DESC%0ALIMIT+400",
            "document.querySelector('#answer-chart').dataset.drawn",
        ),
        _ => ("", "document.readyState === 'complete'"),
    }
}

fn draw(browser: &Browser, name: &str) {
    let file = folder().join(format!("{name}.webp"));
    browser.picture(&file);
    assert!(std::fs::metadata(&file).unwrap().len() > 10_000, "{} is empty", file.display());
}

/// Where pictures go: `TICKWIRE_PICTURES` to renew those of `docs/`, else a folder that is thrown away.
fn folder() -> PathBuf {
    match std::env::var_os("TICKWIRE_PICTURES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned(),
    }
}

/// Kept until here: dropped earlier, the program would end.
fn still_running(running: Running) {
    drop(running);
}
