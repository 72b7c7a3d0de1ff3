//! The watchlist's form, with scripts and without.

use crate::harness::{Sandbox, wait_for};
use crate::webdriver::{Browser, LIGHT};

#[test]
fn the_form_does_everything_without_scripts() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/watchlist", running.address()));
    browser.says("#entries", "Nothing is watched yet");

    browser.write("#symbol", "AAPL");
    browser.write("#term", "apple (iphone");
    browser.click("#entry-form button.main");
    browser.says("#term-problem mark", "(");
    browser.write("#term", "apple AND iphone");
    browser.click("#entry-form button.main");
    browser.says(".notice.good", "added AAPL with `apple AND iphone`");

    browser.write("#many", "MSFT, NVDA");
    browser.click("button[value=many]");
    browser.says(".notice.good", "added MSFT, NVDA");
    browser.click("button[value='up 3']");
    browser.says(".notice.good", "changed the order");
    browser.click("button[value='remove 1']");
    browser.says(".notice.good", "removed AAPL");
    browser.click("a[href='/watchlist?edit=1#entry']");
    browser.write("#sections", "");
    browser.write("#term", "nvidia");
    browser.click("#entry-form button.main");
    browser.says(".notice.good", "nvidia");
    assert_eq!(sandbox.out("watch list").matches("nvidia").count(), 1);
    browser.click(".changes li:first-child button");
    let undone = || (!sandbox.out("watch list").contains("nvidia")).then_some(());
    wait_for("the change to be undone", undone);
}

#[test]
fn a_term_is_checked_and_previewed_in_place() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
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
    browser.says("#preview", "Stored headlines");
    assert_eq!(browser.script("return document.querySelector('#term').value"), "Simulated");
    sandbox.out("watch add MSFT");
    browser.until("the change made elsewhere", "!document.querySelector('#changed').hidden");
}
