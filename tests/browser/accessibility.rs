//! Every page of the navigation under axe-core, and by the keyboard alone.
//!
//! axe-core is looked for at `AXE_CORE`, where `.ci/axe` brings it; without it
//! the test says that it was skipped.

use std::io::Write;
use std::path::PathBuf;

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
