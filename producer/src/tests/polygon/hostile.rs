//! A feed and a history that flood, lie about time, or answer without end.

use log::Append;
use model::status::ServiceStatus;
use model::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use model::topic::{DEAD_LETTERS, GAPS, SERVICE_STATUS, STOCK_PRICES};
use model::{Bar, DeadLetter, Gap};
use serde_json::json;
use testkit::massive::{Answer, MinuteBar, Script};

use super::place::{OPEN, Place, bar};

/// 2198-12-31.
const FAR: Millis = 7_226_582_400_000;

#[tokio::test]
async fn bars_that_nobody_asked_for_are_counted_and_left_out() {
    let place = Place::running(&["AAPL"]).await;
    let flood: Vec<MinuteBar> = (0..5_000).map(|n| bar(&format!("Z{n}"), 0)).collect();
    place.feed.flood(&flood);
    place.feed.bars(&[bar("AAPL", 0)]);
    let bars = place.until_bars(1).await;
    place.until_count("unasked", 5_000).await;
    assert_eq!((bars.len(), bars[0].symbol.as_str()), (1, "AAPL"));
    assert!(place.all::<DeadLetter>(&DEAD_LETTERS).await.is_empty());
    // What is asked for next is taken at once.
    place.watch(&["AAPL", "Z7"]);
    place.feed.until_pairs(&["AM.AAPL", "AM.Z7"]).await;
    place.feed.bars(&[bar("Z7", 0)]);
    assert_eq!(place.until_bars(2).await[1].symbol, "Z7");
}

#[tokio::test]
async fn of_a_burst_of_frames_none_is_lost() {
    let place = Place::running(&["*"]).await;
    // While the log takes the first of them, more wait than are taken at once.
    for n in 0..3_000 {
        place.feed.bars(&[bar(&format!("S{n}"), 0)]);
    }
    assert_eq!(place.until_bars(3_000).await.len(), 3_000);
}

#[tokio::test]
async fn a_feed_that_agrees_on_the_year_2199_is_not_believed() {
    let place = Place::running(&["A", "B", "C"]).await;
    for minute in 0..3 {
        let far = |symbol: &str| MinuteBar { start: FAR + minute * MINUTE, ..bar(symbol, 0) };
        place.feed.bars(&[far("A"), far("B"), far("C")]);
    }
    place.feed.bars(&[bar("A", 0)]);
    assert_eq!(place.until_bars(1).await[0].start_timestamp, OPEN);
    let letters = place.until_letters(9).await;
    assert!(letters[0].reason.contains("2199-01-01T00:00:00Z"), "{}", letters[0].reason);
    assert!(crate::feed("polygon").unwrap().bars_of_letter(&letters[0]).is_ok(), "it can be read again");
    place.pass(MINUTE + 5 * SECOND);
    place.until_complete(1).await;
    assert_eq!(place.outline().await.last().unwrap(), "1 ~clock0 <1");
}

#[tokio::test]
async fn a_first_bar_ahead_of_the_clock_states_no_more_than_the_clock() {
    let place = Place::new(Script::default(), &["A"]).await;
    let mut place = place;
    place.history.always(Some(Answer::Hangs));
    place.start();
    place.feed.until_pairs(&["AM.A"]).await;
    for minute in 40..43 {
        place.feed.bars(&[bar("A", minute)]);
    }
    let bars = place.until_bars(3).await;
    assert!(bars.iter().all(|bar| bar.complete_until <= OPEN), "{bars:?}");
}

#[tokio::test]
async fn bars_of_another_day_or_another_length_are_dead_letters() {
    let place = Place::running(&["A"]).await;
    let old = MinuteBar { start: OPEN - DAY - MINUTE, ..bar("A", 0) };
    place.feed.bars(&[old]);
    let mut long = bar("A", 0).event();
    long["e"] = json!(OPEN + HOUR);
    place.feed.text(json!([long]).to_string());
    place.feed.bars(&[bar("A", 0)]);
    place.until_bars(1).await;
    let letters = place.until_letters(2).await;
    assert!(letters[0].reason.contains("more than a day before"), "{}", letters[0].reason);
    assert!(letters[1].reason.contains("not those of a minute"), "{}", letters[1].reason);
}

#[tokio::test]
async fn of_a_flood_of_garbage_so_much_is_kept_and_the_rest_counted() {
    let place = Place::running(&["AAPL"]).await;
    let frame = json!(vec![json!({"ev": "AM", "sym": "AAPL"}); 3_000]).to_string();
    place.feed.text(frame);
    place.feed.bars(&[bar("AAPL", 0)]);
    place.until_bars(1).await;
    place.until_count("rejected", 3_000).await;
    place.until_count("unkept", 2_000).await;
    assert_eq!(place.all::<DeadLetter>(&DEAD_LETTERS).await.len(), 1_000);
    // A minute later there is room again.
    place.pass(MINUTE);
    place.feed.text("[7]");
    place.until_letters(1_001).await;
}

#[tokio::test]
async fn figures_beyond_reason_are_dead_letters_and_odd_optional_ones_left_out() {
    let place = Place::running(&["AAPL"]).await;
    let mut odd = bar("AAPL", 0).event();
    (odd["vw"], odd["av"]) = (json!(-1.0), json!(1.7e308));
    place.feed.text(json!([MinuteBar { volume: 1.7e308, ..bar("AAPL", 0) }.event(), odd]).to_string());
    let bars = place.until_bars(1).await;
    assert_eq!((bars[0].vwap, bars[0].accumulated_volume, bars[0].volume), (None, None, 10.0));
    let letters = place.until_letters(1).await;
    assert!(letters[0].reason.contains("from zero to 1e18"), "{}", letters[0].reason);
}

#[tokio::test]
async fn a_record_of_a_time_that_cannot_be_holds_nothing_up() {
    for poison in [i64::MAX, OPEN + 400 * DAY] {
        let mut place = Place::new(Script::default(), &["AAPL"]).await;
        let clock = Bar { complete_until: poison, ..model::heartbeat::bar(0, OPEN) };
        place.log.append(vec![Append::json(STOCK_PRICES, "~clock0", &clock)]).await.unwrap();
        place.start();
        place.until_state("running").await;
        place.pass(5 * SECOND);
        place.feed.bars(&[bar("AAPL", 0)]);
        assert_eq!(place.until_bars(1).await.len(), 1);
        place.pass(MINUTE);
        place.until_complete(1).await;
    }
}

/// Started an hour after its last bar.
async fn after_an_hour() -> Place {
    let mut place = Place::running(&["AAPL"]).await;
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    place.feed.bars(&[bar("AAPL", 0)]);
    place.until_bars(1).await;
    place.stop().await;
    place.history.add(&(0..60).map(|minute| bar("AAPL", minute)).collect::<Vec<_>>());
    place.pass(60 * MINUTE);
    place
}

#[tokio::test]
async fn a_history_that_answers_without_end_is_given_up_and_the_hole_is_a_gap() {
    for (answer, said) in [
        (Answer::Endless, "longer than 33554432 bytes"),
        (Answer::Loops, "bring nothing new"),
        (Answer::About("MSFT".into()), "about `MSFT`, not about AAPL"),
    ] {
        let mut place = after_an_hour().await;
        place.history.always(Some(answer.clone()));
        place.start();
        let told = |all: &[ServiceStatus]| all.last().is_some_and(|last| last.counts.contains_key("gaps"));
        while !told(&place.all(&SERVICE_STATUS).await) || place.all::<Gap>(&GAPS).await.is_empty() {
            place.pass(SECOND);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let said = |all: &[Gap]| all.last().is_some_and(|gap| gap.reason.contains(said));
        let begun = std::time::Instant::now();
        while !said(&place.all(&GAPS).await) {
            assert!(begun.elapsed().as_secs() < 60, "{answer:?}: {:?}", place.all::<Gap>(&GAPS).await);
            place.pass(SECOND);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let gaps: Vec<Gap> = place.all(&GAPS).await;
        assert_eq!((gaps.last().unwrap().from, gaps.last().unwrap().symbol.as_str()), (OPEN, "AAPL"));
    }
}

#[tokio::test]
async fn a_single_answer_that_is_endless_or_loops_costs_no_bar() {
    let mut place = after_an_hour().await;
    place.history.answer([Answer::Endless, Answer::Loops, Answer::Loops]);
    let before = place.history.calls().len();
    place.start();
    place.pass_until("asked again", || place.history.calls().len() >= before + 4).await;
    assert_eq!(place.until_bars(60).await.len(), 60);
}
