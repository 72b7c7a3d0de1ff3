//! The News page: headlines are searched and narrowed, without scripts.

use crate::harness::{Sandbox, sample_bars, wait_for};
use crate::webdriver::{Browser, LIGHT};

/// Two headlines of one company and one of another.
const ARTICLES: &str = "id,symbol,search_term,headline,url,section_id,section_name,published_ms\n\
    a,AAPL,Apple,Apple opens a shop,https://example.org/a,business,Business,1784298600000\n\
    b,AAPL,Apple,Apple closes a shop,https://example.org/b,technology,Technology,1784299200000\n\
    c,TSLA,Tesla,Tesla opens a factory,https://example.org/c,business,Business,1784385600000\n";

#[test]
fn headlines_are_found_by_words_symbol_section_and_day_without_scripts() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("news.csv", ARTICLES);
    let line = format!(
        "up --listen 127.0.0.1:0 --prices replay:{} --news replay:news.csv --speed max",
        sample_bars().display()
    );
    let running = sandbox.start(&line);
    let page = format!("http://{}/news", running.address());
    wait_for("the headlines", || {
        browser.go(&page);
        browser.text("#found + .unit").contains("3 articles").then_some(())
    });

    browser.write("#q", "shop -closes");
    browser.click("form.filters button.main");
    browser.says("#found + .unit", "1 article");
    browser.says(".articles", "Apple opens a shop");
    browser.click("form.filters a.button");
    browser.says("#found + .unit", "3 articles");

    for (narrowed, count) in [
        ("symbol=AAPL", "2 articles"),
        ("section=business", "2 articles"),
        ("from=2026-07-18", "1 article"),
        ("from=2026-07-18&symbol=AAPL", "0 articles"),
    ] {
        browser.go(&format!("{page}?{narrowed}"));
        browser.says("#found + .unit", count);
    }
    browser.go(&format!("{page}?from=yesterday"));
    browser.says("#problem", "`from` is no day");
}
