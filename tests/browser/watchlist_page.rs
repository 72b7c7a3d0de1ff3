//! The watchlist's form, with scripts and without.

use crate::harness::Desk;
use crate::webdriver::{Browser, LIGHT};

#[test]
fn the_form_does_everything_without_scripts() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let desk = Desk::new();
    let running = desk.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/watchlist", running.address()));
    assert!(browser.text("#entries").contains("Nothing is watched yet"));

    browser.write("#symbol", "AAPL");
    browser.write("#term", "apple (iphone");
    browser.click("#entry-form button.main");
    assert_eq!(browser.text("#term-problem mark"), "(");
    browser.write("#term", "apple AND iphone");
    browser.click("#entry-form button.main");
    assert!(browser.text(".notice.good").contains("added AAPL with `apple AND iphone`"));

    browser.write("#many", "MSFT, NVDA");
    browser.click("button[value=many]");
    assert!(browser.text(".notice.good").contains("added MSFT, NVDA"));
    browser.click("button[value='up 3']");
    assert!(browser.text(".notice.good").contains("changed the order"));
    browser.click("button[value='remove 1']");
    browser.click("a[href='/watchlist?edit=1#entry']");
    browser.write("#sections", "");
    browser.write("#term", "nvidia");
    browser.click("#entry-form button.main");
    assert_eq!(desk.out("watch list").matches("nvidia").count(), 1);
    browser.click(".changes li:first-child button");
    assert!(!desk.out("watch list").contains("nvidia"), "undone");
}

#[test]
fn a_term_is_checked_and_previewed_in_place() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let desk = Desk::new();
    let running = desk.start("up --listen 127.0.0.1:0");
    let address = running.address();
    browser.go(&format!("http://{address}/news"));
    browser.until("a headline", "location.reload() || document.querySelector('.articles .headline')");
    browser.go(&format!("http://{address}/watchlist"));
    browser.write("#term", "apple AND");
    browser.click("#sections");
    browser.until(
        "the mistake",
        "document.querySelector('#term-problem').textContent.includes('AND needs a word')",
    );
    browser.write("#term", "Simulated");
    browser.click("#preview-button");
    browser.until("headlines", "document.querySelectorAll('#preview .headlines li').length > 0");
    assert!(browser.text("#preview").contains("Stored headlines"));
    assert_eq!(browser.script("return document.querySelector('#term').value"), "Simulated");
    desk.out("watch add MSFT");
    browser.until("the change made elsewhere", "!document.querySelector('#changed').hidden");
}
