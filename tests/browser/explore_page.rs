//! The Explore page: an answer as a table, a chart and a picture of it; and by
//! a plain form.

use crate::harness::{Sandbox, wait_for};
use crate::webdriver::{Browser, LIGHT};

const CLOSES: &str =
    "SELECT start_timestamp, symbol, close FROM stock_prices ORDER BY start_timestamp LIMIT 300";

#[test]
fn an_answer_is_drawn_and_its_chart_saved_as_a_picture() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let page = format!("http://{}/explore", running.address());
    wait_for("bars", || (sandbox.run("export stock_prices").out.lines().count() > 1_000).then_some(()));
    browser.go(&page);
    browser.until("a table", "location.reload() || document.querySelector('.tables details')");
    browser.write("#sql", CLOSES);
    browser.click("#query button.main");
    browser.until("the chart", "document.querySelector('#answer-chart').dataset.drawn");
    assert_eq!(browser.script("return document.querySelector('#across').value"), "start_timestamp");
    assert_eq!(browser.script("return document.querySelector('#apart').value"), "symbol");
    assert!(
        browser.script("return document.querySelector('#answer-chart').data.length").as_u64().unwrap() > 1
    );
    // The picture is made and handed to the browser as a file; no policy stands in its way.
    browser.script(
        "window.saved = [];
         const click = HTMLAnchorElement.prototype.click;
         document.addEventListener('click', (event) => { if (event.target.download) { window.saved.push(event.target.download); event.preventDefault(); } }, true);
         HTMLAnchorElement.prototype.click = function () { if (this.download) { window.saved.push(this.download); } else { click.call(this); } };",
    );
    browser.click("#picture");
    browser.until("the picture", "window.saved.some((name) => name.endsWith('.png'))");
}

#[test]
fn without_scripts_a_question_is_answered_and_a_mistake_shown_at_its_place() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/explore", running.address()));
    browser.write("#sql", "SELECT 1 + 1 AS two");
    browser.click("#query button.main");
    assert!(browser.text("#answer").contains('2'));
    browser.write("#sql", "SELECT FROM WHERE");
    browser.click("#query button.main");
    assert!(browser.text("#problem").contains("line 1, character"));
}
