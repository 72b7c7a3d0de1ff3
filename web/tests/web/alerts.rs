//! The alerts page: episodes, and the rules with their forms.

use std::sync::Arc;

use model::schema::{Column, ColumnType, Value};
use model::time::MINUTE;
use reqwest::header::{CONTENT_TYPE, IF_MATCH, LOCATION};
use serde_json::{Value as Json, json};
use store::{Batch, Measurement, Point};

use crate::harness::{OPEN, Site};

const API: &str = "/api/v1/rules";
const FORM: &str = "application/x-www-form-urlencoded";

/// Fields as a browser sends them.
fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl Site {
    /// Stores episodes: symbol, rule, minute of opening and of closing.
    async fn store_episodes(&self, episodes: &[(&str, &str, i64, Option<i64>)]) {
        let measurement = Measurement {
            name: "alerts".into(),
            columns: model::alert::columns(),
            tags: vec!["symbol".into(), "rule".into()],
            time: "opened".into(),
            version: None,
        };
        let text = |text: &str| Value::Text(text.into());
        let at = |minute: i64| Value::Int(OPEN + minute * MINUTE);
        let points = episodes.iter().map(|(symbol, rule, opened, closed)| {
            let why = format!("{symbol} <b>moved</b> by {rule}.");
            let values = vec![
                text(symbol),
                text(rule),
                at(*opened),
                closed.map_or(Value::Null, at),
                text("jump_share"),
                text("above"),
                Value::Float(0.625),
                Value::Float(0.75),
                Value::Float(0.5),
                text(&why),
                text(&format!("{rule}/{symbol}/{opened}")),
            ];
            Point { nanos: 0, values }
        });
        self.store.define(&measurement).await.unwrap();
        let points = vec![(Arc::new(measurement), points.collect())];
        self.store.write(Batch { points, notes: Vec::new() }.into()).await.unwrap();
    }

    /// Defines what the job `signals` writes.
    async fn define_signals(&self, names: &[&str]) {
        use ColumnType::{Float, Text, Time};
        let columns = [("symbol", Text), ("window_start", Time), ("window_end", Time)];
        let columns = columns.into_iter().chain(names.iter().map(|name| (*name, Float)));
        let columns: Vec<_> = columns.map(|(name, kind)| Column::new(name, kind)).collect();
        let measurement = Measurement::results(&model::Topic::new("signals"), &columns);
        self.store.define(&measurement).await.unwrap();
    }

    /// Sends the form of the page; gives status and body.
    async fn form(&self, fields: &[(&str, &str)]) -> (u16, String) {
        let request = self.client.post(format!("{}/alerts/rules", self.url));
        let request = request.header("sec-fetch-site", "same-origin").header(CONTENT_TYPE, FORM);
        let answer = request.body(encoded(fields)).send().await.unwrap();
        if answer.status() == 303 {
            assert_eq!(answer.headers()[LOCATION], "/alerts#rules");
        }
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn rule(&self, name: &str) -> Json {
        let rules = self.json(API).await;
        rules["entries"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap().clone()
    }
}

#[tokio::test]
async fn episodes_are_shown_open_ones_first_and_their_words_are_text() {
    let site = Site::start().await;
    assert!(site.text("/alerts").await.contains("No alerts yet"));
    site.store_episodes(&[("AAPL", "jump", 3, Some(9)), ("MSFT", "jump", 5, None)]).await;
    let page = site.text("/alerts").await;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not on {page}"));
    assert!(at("<h3>Open</h3>") < at(">MSFT</a>") && at(">MSFT</a>") < at("<h3>Past</h3>"));
    assert!(at("<h3>Past</h3>") < at(">AAPL</a>"));
    assert!(
        page.contains("2013-10-04 13:33 UTC")
            && page.contains("<td>6</td>")
            && page.contains("<td>0.75</td>")
    );
    assert!(page.contains("AAPL &#60;b&#62;moved") && !page.contains("<b>moved"), "{page}");
}

#[tokio::test]
async fn the_newest_episodes_stand_on_the_live_page() {
    let site = Site::start().await;
    assert!(site.text("/").await.contains("No alerts lately."));
    let many: Vec<_> = (0..20).map(|minute| ("AAPL", "jump", minute, Some(minute + 1))).collect();
    site.store_episodes(&many).await;
    site.store_episodes(&[("MSFT", "spike", 30, None)]).await;
    let page = site.text("/").await;
    let recent = page.split("id=\"recent\"").nth(1).unwrap().split("</ol>").next().unwrap();
    assert_eq!(recent.matches("<li").count(), 8);
    let first = recent.split("</li>").next().unwrap();
    assert!(first.contains("<b>MSFT</b></a> spike") && first.contains("class=\"open\""), "{first}");
    assert!(!recent.contains("<b>moved"), "{recent}");
}

#[tokio::test]
async fn episodes_are_asked_for_by_symbol_rule_state_and_time() {
    let site = Site::start().await;
    let day = 24 * 60;
    site.store_episodes(&[
        ("AAPL", "jump", 0, Some(9)),
        ("AAPL", "rise", 9 * day, None),
        ("MSFT", "jump", 9 * day + 1, Some(9 * day + 3)),
    ])
    .await;
    let found = async |query: &str| {
        let answer = site.json(&format!("/api/v1/alerts{query}")).await;
        let alerts = answer["alerts"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        alerts
            .iter()
            .map(|alert| format!("{} {}", alert["symbol"], alert["rule"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(found("").await, ["MSFT jump", "AAPL rise"], "the newest first, the last week by default");
    assert_eq!(found("?from=2013-10-01").await.len(), 3);
    assert_eq!(found("?symbol=AAPL&from=2013-10-01&to=2013-10-05").await, ["AAPL jump"]);
    assert_eq!(found("?rule=jump").await, ["MSFT jump"]);
    assert_eq!(found("?state=open").await, ["AAPL rise"]);
    assert_eq!(found("?limit=1").await, ["MSFT jump"]);
    for (query, said) in [("?state=ajar", "`state`"), ("?symbol=~clock0", "clock"), ("?from=soon", "`from`")]
    {
        let answer = site.get(&format!("/api/v1/alerts{query}")).await;
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains(said));
    }
}

#[tokio::test]
async fn a_rule_is_switched_adjusted_removed_and_added_by_plain_forms() {
    let site = Site::start().await;
    let numbers = [
        ("version", "1"),
        ("name", "jump"),
        ("threshold", " 0.75 "),
        ("hysteresis", "0.25"),
        ("action", "adjust"),
    ];
    assert_eq!(site.form(&[("version", "0"), ("name", "jump"), ("action", "disable")]).await.0, 303);
    assert_eq!(site.form(&numbers).await.0, 303);
    let jump = site.rule("jump").await;
    assert_eq!(
        (&jump["enabled"], &jump["threshold"], &jump["hysteresis"]),
        (&json!(false), &json!(0.75), &json!(0.25))
    );
    assert_eq!(site.form(&[("version", "2"), ("name", "jump"), ("action", "remove")]).await.0, 303);
    let new = [
        ("version", "3"),
        ("action", "add"),
        ("name", "jump"),
        ("signal", "jump_share"),
        ("comparison", "below"),
        ("threshold", "-1"),
        ("hysteresis", ""),
        ("symbols", "AAPL, MSFT"),
        ("meaning", "It is calm."),
    ];
    assert_eq!(site.form(&new).await.0, 303);
    let jump = site.rule("jump").await;
    assert_eq!((&jump["symbols"], &jump["threshold"]), (&json!(["AAPL", "MSFT"]), &json!(-1.0)));
}

#[tokio::test]
async fn what_is_wrong_is_said_beside_its_field_with_the_input_kept() {
    let site = Site::start().await;
    site.define_signals(&["jump_share", "rsi"]).await;
    let (status, page) = site
        .form(&[
            ("version", "0"),
            ("name", "jump"),
            ("threshold", "much"),
            ("hysteresis", "0.5"),
            ("action", "adjust"),
        ])
        .await;
    assert_eq!(status, 422);
    assert!(page.contains("`threshold` is `much`: it takes a number"), "{page}");
    assert!(
        page.contains("value=\"much\"")
            && page.contains("aria-invalid=\"true\" aria-describedby=\"problem-jump\"")
    );
    let add = |name: &'static str, signal: &'static str| {
        [
            ("version", "0"),
            ("action", "add"),
            ("name", name),
            ("signal", signal),
            ("comparison", "above"),
            ("threshold", "1"),
            ("meaning", "<script>1</script>"),
        ]
    };
    for (name, signal, said) in [
        ("Big Jump", "rsi", "`name` is `Big Jump`"),
        ("big", "rsl", "take one of jump_share, rsi"),
        ("jump", "rsi", "repeats"),
    ] {
        let (status, page) = site.form(&add(name, signal)).await;
        assert_eq!(status, 422);
        assert!(page.contains(said) && page.contains(&format!("value=\"{name}\"")), "{said}: {page}");
        assert!(!page.contains("<script>1"), "what was typed is text");
    }
    assert_eq!(site.json(API).await["version"], 0);
}

#[tokio::test]
async fn the_second_of_two_editors_is_told_and_overwrites_nothing() {
    let site = Site::start().await;
    assert_eq!(site.form(&[("version", "0"), ("name", "jump"), ("action", "disable")]).await.0, 303);
    let late =
        [("version", "0"), ("name", "jump"), ("threshold", "0.9"), ("hysteresis", "0"), ("action", "adjust")];
    let (status, page) = site.form(&late).await;
    assert_eq!(status, 409);
    assert!(page.contains("Somebody else has changed the rules") && page.contains("value=\"0.9\""), "{page}");
    assert!(page.contains("name=\"version\" value=\"1\""), "sending it again is from the newer version");
    assert_eq!(site.json(API).await["version"], 1);
}

#[tokio::test]
async fn rules_are_put_through_the_api_from_the_version_that_was_read() {
    let site = Site::start().await;
    site.define_signals(&["jump_share"]).await;
    let put = async |version: &str, rules: Json| {
        let request = site.client.put(format!("{}{API}", site.url)).header(IF_MATCH, version);
        let answer = request.body(rules.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Json>().await.unwrap())
    };
    let rule = json!({ "name": "calm", "signal": "jump_share", "comparison": "below", "threshold": 0.1 });
    let (status, rules) = put("0", json!([rule])).await;
    assert_eq!((status, &rules["version"], &rules["entries"][0]["name"]), (200, &json!(1), &json!("calm")));
    let (status, answer) = put("0", json!([])).await;
    assert_eq!((status, &answer["current"]), (412, &rules));
    let (status, answer) =
        put("1", json!([{ "name": "x", "signal": "rsi", "comparison": "above", "threshold": 1 }])).await;
    assert_eq!(status, 422);
    assert!(answer["error"]["message"].as_str().unwrap().contains("take one of jump_share"), "{answer}");
}

#[tokio::test]
async fn forms_from_another_site_huge_and_malformed_ones_change_nothing() {
    let site = Site::start().await;
    let fields = [("version", "0"), ("name", "jump"), ("action", "remove")];
    let request = || site.client.post(format!("{}/alerts/rules", site.url));
    let foreign = request().header("sec-fetch-site", "cross-site").header(CONTENT_TYPE, FORM);
    let foreign = foreign.body(encoded(&fields)).send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    let huge = request().header(CONTENT_TYPE, FORM).body(format!("name={}", "x".repeat(20_000)));
    assert_eq!(huge.send().await.unwrap().status(), 413);
    let malformed = request().header(CONTENT_TYPE, "application/json").body("{}").send().await.unwrap();
    assert!(malformed.status().is_client_error());
    assert_eq!(site.form(&[("version", "0"), ("name", "jump"), ("action", "burn")]).await.0, 422);
    assert_eq!(site.json(API).await["version"], 0);
}

#[tokio::test]
async fn of_more_episodes_than_a_page_the_newest_of_all_symbols_are_given() {
    let site = Site::start().await;
    // They are read by symbol in pages of a thousand; the newest is of the last symbol.
    let episodes: Vec<_> = (0..2_500).map(|n| (["AAPL", "IBM", "ZZZ"][n / 900], n as i64)).collect();
    let episodes: Vec<_> = episodes.iter().map(|(symbol, minute)| (*symbol, "jump", *minute, None)).collect();
    site.store_episodes(&episodes).await;
    let answer = site.json("/api/v1/alerts?limit=5").await;
    let opened: Vec<_> =
        answer["alerts"].as_array().unwrap().iter().map(|one| one["opened"].clone()).collect();
    assert_eq!(opened, (2_495..2_500).rev().map(|n| json!(OPEN + n * MINUTE)).collect::<Vec<_>>());
    assert_eq!(answer["more"], true);
    let answer = site.json("/api/v1/alerts?symbol=IBM&limit=900").await;
    assert_eq!((answer["alerts"].as_array().unwrap().len(), &answer["more"]), (900, &json!(false)));
}

#[tokio::test]
async fn times_at_the_ends_of_all_numbers_are_refused_and_break_nothing() {
    let site = Site::start().await;
    site.store_episodes(&[("AAPL", "jump", 0, None)]).await;
    for at in [i64::MIN, i64::MIN + 1, i64::MAX] {
        for path in ["alerts", "gaps", "series?symbol=AAPL", "export/alerts"] {
            for name in ["from", "to"] {
                let sign = if path.contains('?') { '&' } else { '?' };
                let path = format!("/api/v1/{path}{sign}{name}={at}");
                let answer = site.get(&path).await;
                assert_eq!(answer.status(), 400, "{path}");
                let said: Json = answer.json().await.unwrap();
                assert_eq!(said["error"]["parameter"], name, "{path}");
            }
        }
        let form = site.get(&format!("/alerts?from={at}")).await;
        assert_eq!(form.status(), 400);
        let body = format!("{{\"from\":{at},\"to\":{at}}}");
        let again = site.client.post(format!("{}/api/v1/recompute", site.url)).body(body);
        assert_eq!(again.send().await.unwrap().status(), 400);
        assert_eq!(site.get(&format!("/news?after={at}.{at}")).await.status(), 200);
        for path in [format!("/watchlist?from={at}"), format!("/watchlist?edit={at}&done={at}")] {
            assert_eq!(site.get(&path).await.status(), 200, "{path}");
        }
    }
    let far = u64::MAX;
    for path in [format!("/api/v1/dead-letters/0/{far}"), format!("/api/v1/dead-letters/{}/{far}", u32::MAX)]
    {
        assert_eq!(site.get(&path).await.status(), 404, "{path}");
    }
    let cursor = format!("stock-prices/0:{far},news-articles/0:{far},volatility/0:{far}");
    assert_eq!(site.get(&format!("/events?cursor={cursor}")).await.status(), 200);
    assert_eq!(site.get(&format!("/watchlist?from={far}")).await.status(), 200);
    assert_eq!(site.get("/api/v1/alerts").await.status(), 200);
}
