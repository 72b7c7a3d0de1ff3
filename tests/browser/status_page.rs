//! The Status page: what did not validate is seen, and the page keeps itself up to date.

use crate::harness::{Sandbox, wait_for};
use crate::webdriver::{Browser, LIGHT};

#[test]
fn a_bad_row_is_found_among_the_dead_letters_and_replaying_it_says_why_it_stays() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let bars = "start_ms,symbol,open,high,low,close,volume\n1380893400000,AAPL,100,101,99,100.5,10\n1380893460000,AAPL,100,90,99,100.5,10\n";
    sandbox.file("bars.csv", bars);
    let running = sandbox.start("up --listen 127.0.0.1:0 --prices replay:bars.csv --speed max");
    let address = running.address();
    wait_for("the dead letter", || sandbox.out("dead-letters list").contains("bars.csv").then_some(()));
    browser.go(&format!("http://{address}/status"));
    browser.click("th[scope=row] a[href='/status/dead-letters/0/0']");
    assert!(browser.text(".event").contains("1380893460000,AAPL,100,90"));
    browser.click("button[name=place]");
    assert!(browser.text(".notice.bad").contains("1 left as they are"));
}

#[test]
fn stages_go_on_with_their_rates_while_the_page_is_open() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/status", running.address()));
    browser.until("a rate", "/\\d bars/.test(document.querySelector('#stages').textContent)");
}
