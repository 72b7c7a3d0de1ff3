//! By the clock of arrival, nothing counts before it could have been known.

use model::time::MINUTE;
use model::{Article, Bar};
use study::{Clock, LeftOut, Options, Study};

use crate::harness::{article, at, bar, calm, fate, reaction};

fn by_arrival(bars: &[Bar], articles: &[Article]) -> Study {
    study::study(bars, articles, &Options { clock: Clock::Arrival, ..Options::default() })
}

#[test]
fn an_article_counts_from_when_it_was_first_seen_and_a_bar_from_when_it_came() {
    let published = at("2024-03-12", "11:00");
    let seen = published + 10 * MINUTE;
    let found = Article { received_timestamp: seen, ..article("a", published) };
    let edited = Article { received_timestamp: seen + 3 * MINUTE, ..found.clone() };
    let delayed: Vec<Bar> = calm("2024-03-04", 8)
        .into_iter()
        .map(|bar| Bar { received_timestamp: bar.end_timestamp + 15 * MINUTE, ..bar })
        .collect();
    let study = by_arrival(&delayed, &[edited, found]);
    let reaction = reaction(&study, "a");
    assert_eq!((reaction.at, reaction.left_out), (seen, None));
    let path = reaction.path.as_ref().unwrap();
    assert_eq!(path.reference_known, seen);
    // What was known at 11:10 was the bar that ended at 10:55.
    let known = delayed.iter().find(|bar| bar.end_timestamp == seen - 15 * MINUTE).unwrap();
    assert_eq!(path.reference_price, known.close);
}

#[test]
fn a_correction_does_not_reach_back_to_an_event_before_it_came() {
    let published = at("2024-03-12", "11:00");
    let mut bars = calm("2024-03-04", 8);
    let before = bars.iter().find(|bar| bar.end_timestamp == published).unwrap().close;
    let corrected = bar(published - MINUTE, 2.0 * before, 1.0);
    bars.push(Bar { received_timestamp: published + 90 * MINUTE, ..corrected });
    let events = [article("a", published)];
    let reference = |study: &Study| reaction(study, "a").path.as_ref().unwrap().reference_price;
    assert_eq!(reference(&by_arrival(&bars, &events)), before);
    assert_eq!(reference(&crate::harness::study(&bars, &events)), 2.0 * before);
}

#[test]
fn bars_that_all_came_later_leave_nothing_to_act_on() {
    let backfilled: Vec<Bar> = calm("2024-03-04", 8)
        .into_iter()
        .map(|bar| Bar { received_timestamp: at("2024-04-01", "11:00"), ..bar })
        .collect();
    let study = by_arrival(&backfilled, &[article("a", at("2024-03-12", "11:00"))]);
    assert_eq!(fate(&study, "a"), (Some(LeftOut::BeforeFirstBar), false));
}

#[test]
fn where_arrival_is_not_known_both_clocks_say_the_same() {
    let bars = calm("2024-03-04", 8);
    let articles = [article("a", at("2024-03-12", "11:00:20"))];
    let (by_event, by_arrival) = (crate::harness::study(&bars, &articles), by_arrival(&bars, &articles));
    assert_eq!(reaction(&by_event, "a"), reaction(&by_arrival, "a"));
}
