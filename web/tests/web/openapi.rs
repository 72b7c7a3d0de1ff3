//! The description of the API is true: what it describes answers as it says.

use reqwest::Method;
use serde_json::Value as Json;
use url::form_urlencoded;

use crate::harness::{Feed, OPEN, Site, article};

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
