//! The live page of a first start, as a browser's requests see it.

use crate::harness::{Sandbox, assert_words, wait_for};

fn get(url: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        net::http().unwrap().get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
    })
}

#[test]
fn a_first_start_serves_a_page_that_says_that_it_simulates() {
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let said = running.said("http://");
    assert_words!(said);
    let address = said.split("http://").nth(1).unwrap().split_whitespace().next().unwrap();
    let page = wait_for("the page", || get(&format!("http://{address}/")));
    assert!(page.contains("Tickwire") && !page.contains("~clock"));
    let page = wait_for("a page with symbols", || {
        get(&format!("http://{address}/")).filter(|page| page.contains("AAPL"))
    });
    assert!(page.to_lowercase().contains("simulat"));
}

#[test]
fn the_series_of_a_symbol_fill_from_an_empty_folder() {
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    let series = wait_for("two sessions of bars and windows", || {
        let text = get(&format!("http://{address}/api/v1/series?symbol=AAPL"))?;
        let series: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rows =
            |name: &str| series[name]["rows"].as_array().or(series[name].as_array()).map_or(0, Vec::len);
        (rows("bars") > 700 && rows("volatility") > 700).then_some(series)
    });
    assert!(series["cursor"].is_string() || series["cursor"].is_object(), "{}", series["cursor"]);
}
