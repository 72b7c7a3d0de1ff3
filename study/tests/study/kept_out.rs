//! Articles and prices that no statistic is made of: each is told, none is lost.

use model::{Article, Bar};
use study::LeftOut::{self, *};

use crate::harness::{SYMBOL, article, at, bar, calm, fate, reaction, study};

#[test]
fn every_article_that_is_left_out_says_why() {
    let bars = calm("2024-03-04", 8);
    let articles = [
        article("used", at("2024-03-12", "11:00:20")),
        article("follow-up", at("2024-03-12", "11:50")),
        article("before-the-first-bar", at("2024-03-04", "09:00")),
        article("too-early", at("2024-03-05", "13:30")),
        article("night", at("2024-03-12", "22:00")),
        article("weekend", at("2024-03-08", "15:00") + 24 * 3_600_000),
        article("pre-market-without-bars", at("2024-03-11", "08:00")),
        article("after-hours-without-bars", at("2024-03-11", "16:10")),
        article("future", at("2024-03-15", "11:00")),
    ];
    let study = study(&bars, &articles);
    let expected: [(&str, Option<LeftOut>, bool); 9] = [
        ("used", None, true),
        ("follow-up", Some(FollowsAnother), true),
        ("before-the-first-bar", Some(BeforeFirstBar), false),
        ("too-early", Some(FewSessions), true),
        ("night", Some(MarketClosed), false),
        ("weekend", Some(MarketClosed), false),
        ("pre-market-without-bars", Some(NoPriceBefore), false),
        ("after-hours-without-bars", Some(NoPriceAfter), false),
        ("future", Some(AfterLastBar), false),
    ];
    for (id, left_out, shown) in expected {
        assert_eq!(fate(&study, id), (left_out, shown), "{id}");
    }
    let symbol = study.symbol(SYMBOL).unwrap();
    assert_eq!(symbol.left_out().values().sum::<usize>() + symbol.used().count(), articles.len());
    assert_eq!(symbol.mean.events, 1);
}

#[test]
fn an_article_counts_once_however_often_it_comes() {
    let first = article("a", at("2024-03-12", "11:00"));
    let edited = Article {
        headline: "Edited".into(),
        received_timestamp: first.received_timestamp + 1,
        ..first.clone()
    };
    let by_another_term = Article { search_term: "iPhone".into(), ..first.clone() };
    let study = study(&calm("2024-03-04", 8), &[first.clone(), edited, by_another_term, first]);
    let symbol = study.symbol(SYMBOL).unwrap();
    assert_eq!((symbol.reactions.len(), symbol.repeated, symbol.mean.events), (1, 3, 1));
}

#[test]
fn articles_without_a_symbol_and_of_unknown_ones_are_counted() {
    let published = at("2024-03-12", "11:00");
    let unknown = Article { symbol: Some("ZZZZ".into()), ..article("unknown", published) };
    let none = Article { symbol: None, ..article("none", published) };
    let study = study(&calm("2024-03-04", 8), &[unknown, none, model::heartbeat::article(0, published)]);
    assert_eq!(study.without_symbol, 1);
    assert_eq!(study.symbol("ZZZZ").unwrap().left_out(), [(NoBars, 1)].into());
    assert_eq!(study.symbols.len(), 2, "heartbeats are no symbols");
}

#[test]
fn a_symbol_that_stops_trading_keeps_the_minutes_that_it_traded() {
    let stops = at("2024-03-12", "11:20");
    let mut bars: Vec<Bar> =
        calm("2024-03-04", 8).into_iter().filter(|bar| bar.start_timestamp < stops).collect();
    bars.extend(calm("2024-03-04", 8).into_iter().map(|bar| Bar { symbol: "SPY".into(), ..bar }));
    let study =
        study(&bars, &[article("last", at("2024-03-12", "11:00")), article("too-late", stops + 7_200_000)]);
    let path = reaction(&study, "last").path.as_ref().unwrap();
    assert_eq!(path.last().unwrap().minute, 19);
    assert_eq!(path.minute(20).unwrap().cumulative, None);
    assert!(reaction(&study, "last").is_used());
    assert_eq!(fate(&study, "too-late"), (Some(NoPriceBefore), false));
}

#[test]
fn a_baseline_passes_over_sessions_with_news_at_that_hour_and_over_half_days() {
    // Half day on 2024-07-03: 14:00 was after its close.
    let bars = calm("2024-06-24", 10);
    let event = article("event", at("2024-07-08", "14:00"));
    let sessions = |articles: &[Article]| {
        reaction(&study(&bars, articles), "event").path.as_ref().map_or(0, |path| path.sessions)
    };
    assert_eq!(sessions(std::slice::from_ref(&event)), 5);
    let noise: Vec<Article> = ["2024-06-26", "2024-06-27", "2024-06-28", "2024-07-01"]
        .iter()
        .map(|date| article(date, at(date, "13:05")))
        .chain([event, article("far enough", at("2024-07-02", "12:59"))])
        .collect();
    // Left are 07-05, 07-02, 06-25 and 06-24.
    assert_eq!(sessions(&noise), 4);
}

#[test]
fn a_split_is_told_and_kept_out_together_with_the_baseline_behind_it() {
    let split = at("2024-03-12", "09:30");
    let bars: Vec<Bar> = calm("2024-02-26", 20)
        .into_iter()
        .map(|b| {
            if b.start_timestamp >= split { bar(b.start_timestamp, b.close / 4.0, b.volume * 4.0) } else { b }
        })
        .collect();
    let articles = [
        article("before", at("2024-03-08", "11:00")),
        article("across", at("2024-03-12", "09:50")),
        article("soon-after", at("2024-03-14", "13:00")),
        article("long-after", at("2024-03-20", "13:00")),
    ];
    let study = study(&bars, &articles);
    let symbol = study.symbol(SYMBOL).unwrap();
    assert_eq!(symbol.splits.iter().map(ToString::to_string).collect::<Vec<_>>(), ["4:1"]);
    assert_eq!(symbol.splits[0].at, split + 60_000);
    for (id, left_out) in
        [("before", None), ("across", Some(Split)), ("soon-after", Some(FewSessions)), ("long-after", None)]
    {
        assert_eq!(fate(&study, id), (left_out, true), "{id}");
    }
    let largest = symbol.mean.minutes.iter().filter_map(|minute| minute.cumulative);
    assert!(largest.fold(0.0, |most: f64, estimate| most.max(estimate.mean.abs())) < 0.01);
}

#[test]
fn no_bars_and_no_articles_are_a_study_all_the_same() {
    assert!(study(&[], &[]).symbols.is_empty());
    let bars_alone = study(&calm("2024-03-04", 1), &[]);
    assert_eq!(bars_alone.symbol(SYMBOL).unwrap().mean.events, 0);
    assert!(bars_alone.pooled.run_up().is_none());
    assert_eq!(fate(&study(&[], &[article("a", 0)]), "a"), (Some(NoBars), false));
}
