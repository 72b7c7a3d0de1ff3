//! What one search brings: new articles, edits, moves, markup, nothing.

use super::*;

#[tokio::test]
async fn an_article_is_written_once_with_everything_that_the_api_says() {
    let place = Place::new(&[entry("AAPL", "apple")]).await;
    place.server.publish(Story::new("business/apple", "Apple rises", START - 5_500));
    place.watch_until(START + HOUR).await.unwrap();
    assert!(place.server.calls().len() > 10);
    let versions = place.versions().await;
    assert_eq!(versions.len(), 1, "{versions:?}");
    let expected = Article {
        id: "business/apple".into(),
        symbol: Some("AAPL".into()),
        search_term: "apple".into(),
        headline: "Apple rises".into(),
        url: "https://www.theguardian.com/business/apple".into(),
        kind: Some("article".into()),
        section_id: Some("business".into()),
        section_name: Some("BUSINESS".into()),
        pillar: Some("News".into()),
        published_timestamp: START - 6_000,
        updated_timestamp: Some(START - 6_000),
        source: model::Source::Guardian,
        received_timestamp: START,
        complete_until: START,
        position: None,
    };
    assert_eq!(versions[0], expected);
    assert_eq!(place.status().await.counts["articles"], 1);
}

#[tokio::test]
async fn an_edited_item_is_a_newer_version_of_the_same_event() {
    let place = Place::with_term("apple").await;
    place.server.publish(Story::new("a", "Apple rises", START));
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    place.server.edit("a", START + 11 * MINUTE, |story| story.headline = "Apple falls".into());
    place.watch_until(START + 30 * MINUTE).await.unwrap();
    let versions = place.versions().await;
    let said: Vec<_> = versions.iter().map(|a| (a.headline.as_str(), a.published_timestamp)).collect();
    assert_eq!(said, [("Apple rises", START), ("Apple falls", START)]);
    assert_eq!(versions[1].updated_timestamp, Some(START + 11 * MINUTE));
    assert!(versions[0].received_timestamp < versions[1].received_timestamp);
}

#[tokio::test]
async fn a_moved_web_publication_date_moves_no_event() {
    let place = Place::with_term("apple").await;
    place.server.publish(Story::new("a", "Apple rises", START));
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    place.server.edit("a", START + 11 * MINUTE, |story| story.published = START + 11 * MINUTE);
    place.watch_until(START + 30 * MINUTE).await.unwrap();
    let versions = place.versions().await;
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().all(|article| article.published_timestamp == START));
}

#[tokio::test]
async fn headlines_of_the_same_second_are_all_kept() {
    let place = Place::with_term("apple").await;
    // They appear one after the other, in between of the polls, all stamped alike.
    for (i, minutes) in [0, 4, 8, 12].into_iter().enumerate() {
        let server = place.server.newsroom();
        place.clock.at(START + minutes * MINUTE, move || {
            server.publish(Story::new(&format!("a{i}"), "Apple rises", START));
        });
    }
    place.watch_until(START + HOUR).await.unwrap();
    assert_eq!(place.ids().await, ["a0", "a1", "a2", "a3"]);
}

#[tokio::test]
async fn zero_results_are_an_answer() {
    let place = Place::with_term("apple").await;
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    let state = place.state_of("apple").await;
    assert_eq!(state.state, "answered");
    assert!(state.last_success.unwrap() > START);
    assert_eq!(state.last_data, None);
}

#[tokio::test]
async fn html_in_a_headline_becomes_plain_text() {
    let place = Place::with_term("apple").await;
    place.server.publish(Story::new("a", "<strong>Apple</strong> &amp; Co: 5 < 6", START));
    place.watch_until(START + MINUTE).await.unwrap();
    assert_eq!(place.versions().await[0].headline, "Apple & Co: 5 < 6");
}

#[tokio::test]
async fn html_in_the_trail_text_may_match_and_is_written_nowhere() {
    let place = Place::with_term("apple").await;
    let trail_text = "<strong>Apple</strong> and &amp;others".into();
    place.server.publish(Story { trail_text, ..Story::new("a", "Shares rise", START) });
    place.watch_until(START + MINUTE).await.unwrap();
    let article = serde_json::to_string(&place.versions().await[0]).unwrap();
    assert!(article.contains("Shares rise") && !article.contains("strong"), "{article}");
}

#[tokio::test]
async fn what_is_no_article_goes_to_the_dead_letters_once_and_costs_no_other() {
    let place = Place::with_term("apple").await;
    place.server.publish(Story::new("good", "Apple rises", START));
    for (id, name, value) in [
        ("no-date", "webPublicationDate", serde_json::json!("soon")),
        ("no-address", "webUrl", serde_json::json!("javascript:alert(1)")),
        ("no-text", "webUrl", serde_json::json!(7)),
        ("future", "webPublicationDate", serde_json::json!("2099-01-01T00:00:00Z")),
    ] {
        let mut story = Story::new(id, "Apple falls", START);
        story.result.insert(name.into(), value);
        place.server.publish(story);
    }
    // Optional by the API's own schema.
    let mut story = Story::new("sparse", "Apple falls", START);
    for name in ["sectionId", "sectionName", "pillarId", "pillarName", "webPublicationDate"] {
        story.result.insert(name.into(), serde_json::Value::Null);
    }
    place.server.publish(story);
    place.watch_until(START + HOUR).await.unwrap();
    assert_eq!(place.ids().await, ["good", "sparse"]);
    let letters = place.letters().await;
    assert_eq!(letters.len(), 4, "{letters:?}");
    assert!(letters.iter().all(|letter| letter.source == "guardian:apple"));
    for reason in ["`soon` is not a time", "does not start with http", "invalid type", "ahead of the clock"] {
        assert!(letters.iter().any(|letter| letter.reason.contains(reason)), "{reason}: {letters:?}");
    }
    assert_eq!(place.status().await.counts["rejected"], 4);
}

#[tokio::test]
async fn queries_arrive_as_they_were_typed() {
    let typed = r#""Johnson & Johnson" OR (C# AND 100%) NOT a=b+c #ü"#;
    let place = Place::with_term(typed).await;
    place.watch_until(START + MINUTE).await.unwrap();
    let call = &place.server.calls()[0];
    assert_eq!(call.parameter("q"), typed);
    for (name, value) in [("use-date", "last-modified"), ("order-by", "newest"), ("page", "1")] {
        assert_eq!(call.parameter(name), value);
    }
    assert_eq!(call.parameter("section"), "");
}

#[tokio::test]
async fn sections_are_the_entrys_and_else_the_settings() {
    let narrow = Entry { sections: vec!["technology".into()], ..entry("AMZN", "amazon") };
    let mut place = Place::new(&[narrow, entry("", "rain")]).await;
    place.config.sections = vec!["us-news".into(), "business".into()];
    for (id, section) in [("river", "environment"), ("company", "technology"), ("shop", "business")] {
        place.server.publish(Story::new(id, "Amazon and rain", START).in_section(section));
    }
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    let found: Vec<_> = place.articles().await.into_keys().collect();
    let found: Vec<_> = found.iter().map(|(id, symbol, term)| format!("{id} {symbol} {term}")).collect();
    assert_eq!(found, ["company AMZN amazon", "shop  rain"]);
    let mut sections: Vec<_> =
        place.server.calls().iter().map(|call| call.parameter("section").to_owned()).collect();
    sections.sort();
    sections.dedup();
    assert_eq!(sections, ["business|us-news", "technology"]);
}

#[tokio::test]
async fn an_article_that_matches_two_entries_is_one_record_each() {
    let place = Place::new(&[entry("AAPL", "apple"), entry("MSFT", "apple"), entry("", "rises")]).await;
    place.server.publish(Story::new("a", "Apple rises", START));
    place.watch_until(START + HOUR).await.unwrap();
    let found: Vec<_> = place.versions().await;
    let mut found: Vec<_> = found.iter().map(|a| (a.key(), a.search_term.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, [("AAPL", "apple"), ("MSFT", "apple"), ("rises", "rises")]);
    // The two entries with one term share their calls.
    assert_eq!(place.state_of("apple").await.last_asked, place.status().await.entries[1].last_asked);
}
