//! The shapes of the JSON API and its refusals.

use model::Gap;
use model::time::MINUTE;
use reqwest::Method;
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use crate::harness::{Feed, OPEN, Site, article, status};

fn column(table: &Json, name: &str) -> Vec<Json> {
    let index = table["columns"].as_array().unwrap().iter().position(|column| column == name).unwrap();
    table["rows"].as_array().unwrap().iter().map(|row| row[index].clone()).collect()
}

#[tokio::test]
async fn symbols_come_with_their_newest_rows_and_every_measure_of_the_sql() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..5)).await;
    site.deliver(&Feed::of("IBM", 0..2)).await;
    let answer = site.json("/api/v1/symbols").await;
    let symbols = answer["symbols"].as_array().unwrap();
    assert_eq!(symbols.len(), 2, "heartbeats are no symbols");
    assert_eq!(symbols[0]["symbol"], "AAPL");
    assert_eq!(symbols[0]["bar"]["start_timestamp"], OPEN + 4 * MINUTE);
    assert_eq!(symbols[0]["volatility"]["window_end"], OPEN + 5 * MINUTE);
    assert_eq!(symbols[0]["volatility"]["close_to_close"], 0.0005);
    assert_eq!(symbols[0]["volatility"]["jump_share"], Json::Null);
    let measures: Vec<_> =
        answer["measures"].as_array().unwrap().iter().map(|m| (&m["name"], &m["panel"])).collect();
    assert_eq!(
        json!(measures),
        json!([
            ["realized", "window"],
            ["jump_share", "share"],
            ["close_to_close", "per_bar"],
            ["log_return", "return"],
        ])
    );
}

#[tokio::test]
async fn before_the_first_bar_everything_is_empty() {
    let site = Site::start().await;
    assert_eq!(site.json("/api/v1/symbols").await, json!({ "measures": [], "symbols": [], "more": false }));
    let series = site.json("/api/v1/series?symbol=AAPL").await;
    assert_eq!(series["bars"]["rows"], json!([]));
    assert_eq!(series["cursor"], "stock-prices/0:0,news-articles/0:0,volatility/0:0");
}

#[tokio::test]
async fn a_series_holds_bars_volatility_news_and_sessions_in_the_order_of_time() {
    let site = Site::start().await;
    let news = article("AAPL", OPEN + MINUTE + 1, "Results are out");
    site.deliver(&Feed::of("AAPL", 0..5).with_article(news)).await;
    site.deliver(&Feed::of("IBM", 0..5)).await;
    let series = site.json("/api/v1/series?symbol=AAPL").await;
    let starts: Vec<_> = (0..5).map(|minute| json!(OPEN + minute * MINUTE)).collect();
    assert_eq!(column(&series["bars"], "start_timestamp"), starts);
    assert_eq!(
        column(&series["volatility"], "realized"),
        [0.0, 0.001, 0.002, 0.003, 0.004].map(|v| json!(v))
    );
    assert_eq!(series["news"][0]["headline"], "Results are out");
    assert_eq!(series["more_before"], false);
    assert_eq!(series["cursor"], "stock-prices/0:20,news-articles/0:11,volatility/0:20");
    assert_eq!(series["sessions"][0]["date"], "2013-10-04");
    assert_eq!(series["sessions"][0]["open"], OPEN);
}

#[tokio::test]
async fn gaps_come_with_a_series_and_alone_until_they_are_filled() {
    let site = Site::start().await;
    let gap = |symbol: &str, from: i64, to: i64| Gap {
        symbol: symbol.into(),
        from: OPEN + from * MINUTE,
        to: OPEN + to * MINUTE,
        reason: "the feed was down".into(),
    };
    let gaps = vec![gap("AAPL", 5, 9), gap("AAPL", 1, 1), gap("IBM", 2, 4), gap("*", 3, 4)];
    site.deliver(&Feed { gaps, ..Feed::of("AAPL", 0..5) }).await;
    let missing = json!([
        { "symbol": "*", "from": OPEN + 3 * MINUTE, "to": OPEN + 4 * MINUTE, "reason": "the feed was down" },
        { "symbol": "AAPL", "from": OPEN + 5 * MINUTE, "to": OPEN + 9 * MINUTE, "reason": "the feed was down" },
    ]);
    assert_eq!(site.json("/api/v1/series?symbol=AAPL").await["gaps"], missing);
    assert_eq!(site.json("/api/v1/gaps?symbol=AAPL").await, missing);
    assert_eq!(site.json("/api/v1/gaps").await.as_array().unwrap().len(), 3);
    assert_eq!(site.json("/api/v1/gaps?symbol=*").await, json!([missing[0]]));
    let later = format!("/api/v1/gaps?symbol=AAPL&from={}", OPEN + 4 * MINUTE);
    assert_eq!(site.json(&later).await, json!([missing[1]]));
}

#[tokio::test]
async fn the_symbols_come_with_the_window_that_the_table_shows() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..5).with_thin_rows("AAPL", 5..20)).await;
    let answer = site.json("/api/v1/symbols").await;
    assert_eq!(answer["symbols"][0]["volatility"]["window_end"], OPEN + 5 * MINUTE);
    assert_eq!(answer["symbols"][0]["volatility"]["bars"], 30);
}

#[tokio::test]
async fn a_symbol_of_which_nothing_is_known_has_no_series() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..2)).await;
    let answer = site.get("/api/v1/series?symbol=NOPE").await;
    assert_eq!(answer.status(), 404);
    let error = answer.json::<Json>().await.unwrap()["error"].clone();
    assert_eq!(error["parameter"], "symbol");
    assert!(error["message"].as_str().unwrap().contains("nothing is known of `NOPE`"), "{error}");

    // What is watched may still come, and a span without bars is empty, not unknown.
    let watched = json!([{ "symbol": "NOPE" }]);
    let put = site.client.put(format!("{}/api/v1/watchlist", site.url)).header("if-match", "\"0\"");
    assert_eq!(put.body(watched.to_string()).send().await.unwrap().status(), 200);
    assert_eq!(site.get("/api/v1/series?symbol=NOPE").await.status(), 200);
    assert_eq!(site.get("/api/v1/series?symbol=AAPL&to=2001-01-01").await.status(), 200);
}

#[tokio::test]
async fn a_series_leaves_out_what_is_always_empty_and_how_it_came_here() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..5)).await;
    let series = site.json("/api/v1/series?symbol=AAPL").await;
    let columns = json!(["start_timestamp", "end_timestamp", "open", "high", "low", "close", "volume"]);
    assert_eq!(series["bars"]["columns"], columns);
    let of_windows = series["volatility"]["columns"].as_array().unwrap();
    assert!(of_windows.contains(&json!("realized")) && !of_windows.contains(&json!("jump_share")));
}

#[tokio::test]
async fn a_compact_series_has_what_a_chart_needs_to_four_digits() {
    let site = Site::start().await;
    let mut feed = Feed::of("AAPL", 0..1);
    feed.rows[0]["realized"] = json!(0.000_123_456_789);
    site.deliver(&feed).await;
    let series = site.json("/api/v1/series?symbol=AAPL&compact=true").await;
    assert_eq!(series["volatility"]["columns"], json!(["window_end", "bars", "realized", "close_to_close"]));
    assert_eq!(column(&series["volatility"], "realized"), [json!(0.000_123_5)]);
    let exact = site.json("/api/v1/series?symbol=AAPL").await;
    assert_eq!(column(&exact["volatility"], "realized"), [json!(0.000_123_456_789)]);
}

#[tokio::test]
async fn a_series_is_cut_to_its_span_and_to_the_newest_bars() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..60)).await;
    let (from, to) = (OPEN + 10 * MINUTE, OPEN + 20 * MINUTE);
    let series = site.json(&format!("/api/v1/series?symbol=AAPL&from={from}&to=2013-10-04T13:50:00Z")).await;
    let starts = column(&series["bars"], "start_timestamp");
    assert_eq!((starts.len(), &starts[0], &starts[9]), (10, &json!(from), &json!(to - MINUTE)));
    let ends = column(&series["volatility"], "window_end");
    assert_eq!((ends.first(), ends.last()), (Some(&json!(from)), Some(&json!(to - MINUTE))));

    let series = site.json("/api/v1/series?symbol=AAPL&limit=7").await;
    assert_eq!(column(&series["bars"], "start_timestamp").len(), 7);
    assert_eq!(series["more_before"], true);
    assert_eq!(column(&series["volatility"], "window_end")[0], json!(OPEN + 53 * MINUTE));
}

#[tokio::test]
async fn the_status_tells_of_every_service() {
    let site = Site::start().await;
    site.say(&status("producer", OPEN + 2 * MINUTE)).await;
    site.say(&status("engine", OPEN)).await;
    let answer = site.json("/api/v1/status").await;
    assert_eq!((&answer["watermark"], &answer["lag"]), (&json!(OPEN), &json!(2 * MINUTE)));
    assert_eq!(answer["services"].as_array().unwrap().len(), 2);
    assert_eq!((&answer["simulated"], &answer["late"]), (&json!(false), &json!(0)));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_the_parameter_and_the_way_on() {
    let site = Site::start().await;
    for (path, parameter, said) in [
        ("/api/v1/series", json!("symbol"), "name one symbol, as in ?symbol=AAPL"),
        ("/api/v1/series?symbol=~clock0", json!("symbol"), "heartbeats"),
        ("/api/v1/series?symbol=%3Cb%3E", json!("symbol"), "letters, digits"),
        ("/api/v1/series?symbol=A&from=soon", json!("from"), "write epoch milliseconds"),
        ("/api/v1/series?symbol=A&to=2013-13-01", json!("to"), "`2013-13-01` is not a time"),
        ("/api/v1/series?symbol=A&from=2013-10-05&to=2013-10-04", json!("to"), "not after `from`"),
        ("/api/v1/series?symbol=A&limit=1000000", json!("limit"), "from 1 to 10000"),
        ("/api/v1/series?symbol=A&compact=2", json!("compact"), "`true` or `false`"),
        ("/api/v1/series?symbol=A&symbol=B", Json::Null, "duplicate"),
        ("/events?symbol=~clock0", json!("symbol"), "heartbeats"),
        ("/events?cursor=5", json!("cursor"), "take the one that /api/v1/series answered with"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status(), 400, "{path}");
        let error = answer.json::<Json>().await.unwrap()["error"].clone();
        assert_eq!(error["parameter"], parameter, "{path}");
        assert!(error["message"].as_str().unwrap().contains(said), "{path}: {error}");
    }
    let missing = site.get("/api/v2/symbols").await;
    assert_eq!(missing.status(), 404);
    assert!(
        missing.json::<Json>().await.unwrap()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("/api/v1/series")
    );
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_whoever_takes_it() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..200)).await;
    let path = "/api/v1/series?symbol=AAPL";
    let plain = site.get(path).await;
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain = plain.bytes().await.unwrap();
    let url = format!("{}{path}", site.url);
    let answer = site.client.get(url).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(
        (&answer.headers()["content-encoding"], &answer.headers()["vary"]),
        (&"gzip".parse().unwrap(), &"accept-encoding".parse().unwrap())
    );
    let mut text = Vec::new();
    let compressed = answer.bytes().await.unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&compressed[..]), &mut text).unwrap();
    assert!(text == plain && compressed.len() < plain.len() / 4);
}

#[tokio::test]
async fn symbols_come_in_pages() {
    let site = Site::start().await;
    for symbol in ["AAPL", "BRK.B", "IBM", "MSFT", "ZZZ"] {
        site.deliver(&Feed::of(symbol, 0..1)).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/symbols?limit=2".to_owned();
    loop {
        let page = site.json(&path).await;
        let names = page["symbols"].as_array().unwrap().iter();
        seen.extend(names.map(|latest| latest["symbol"].as_str().unwrap().to_owned()));
        if page["more"] == false {
            break;
        }
        path = format!("/api/v1/symbols?limit=2&after={}", seen.last().unwrap());
    }
    assert_eq!(seen, ["AAPL", "BRK.B", "IBM", "MSFT", "ZZZ"]);
}

// The description of the API is true: what it describes answers as it says.

/// The address of an operation, with the examples of its parameters.
fn address(path: &str, operation: &Json) -> String {
    let mut path = path.to_owned();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let Some(example) = parameter.get("example") else { continue };
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &example),
            "query" => {
                query.append_pair(name, &example);
            }
            _ => {}
        }
    }
    format!("{path}?{}", query.finish())
}

#[tokio::test]
async fn every_described_question_is_answered_with_its_examples() {
    let site = Site::start().await;
    let news = article("AAPL", OPEN, "Apple rises");
    site.deliver(&Feed::of("AAPL", 0..10).with_article(news.clone())).await;
    let letter = model::DeadLetter::new("file", "why", b"event", OPEN);
    log::Log::append(&*site.log, vec![letter.to_append()]).await.unwrap();
    let document = site.json("/api/v1/openapi.json").await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(operation) = operations.get("get") else { continue };
        let mut address = address(path, operation);
        if path.ends_with("/article") {
            address.push_str(&format!("&id={}", news.id));
        }
        let answer = site.get(&address).await;
        assert_eq!(answer.status(), 200, "{address}: {}", answer.text().await.unwrap());
        let kind = answer.headers()["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let described = operation["responses"]["200"]["content"].as_object().unwrap();
        assert!(described.contains_key(&kind), "{address}: {kind}");
    }
}

#[tokio::test]
async fn methods_that_are_not_described_are_not_taken_and_those_that_are_are() {
    let site = Site::start().await;
    let document = site.json("/api/v1/openapi.json").await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let address = path.replace("{measurement}", "stock_prices").replace("{partition}/{offset}", "0/0");
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let request = site.client.request(method.clone(), format!("{}{address}", site.url));
            let answer = request.send().await.unwrap();
            let taken = answer.status() != 405;
            if !taken {
                let said: serde_json::Value = answer.json().await.unwrap();
                assert!(said["error"]["message"].as_str().unwrap().contains("openapi.json"), "{said}");
            }
            let described = operations.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(taken, described, "{method} {path}");
        }
    }
}
