//! The watchlist changes while the feed runs.

use testkit::massive::Script;

use super::place::{Place, bar};

#[tokio::test]
async fn a_change_is_a_difference_without_a_reconnect() {
    let place = Place::running(&["AAPL", "MSFT"]).await;
    place.watch(&["AAPL", "NVDA"]);
    place.feed.until_pairs(&["AM.AAPL", "AM.NVDA"]).await;
    place.feed.bars(&[bar("AAPL", 0), bar("MSFT", 0), bar("NVDA", 0)]);
    let bars = place.until_bars(2).await;
    assert_eq!(bars.iter().map(|bar| bar.symbol.as_str()).collect::<Vec<_>>(), ["AAPL", "NVDA"]);
    let requests: Vec<_> = place.feed.actions().into_iter().skip(2).map(|a| (a.action, a.params)).collect();
    let expected = [("subscribe", "AM.NVDA"), ("unsubscribe", "AM.MSFT")];
    assert_eq!(requests, expected.map(|(action, params)| (action.to_owned(), params.to_owned())));
    assert_eq!(place.feed.opened(), 1);
}

#[tokio::test]
async fn a_wildcard_takes_the_place_of_every_symbol_and_gives_it_back() {
    let place = Place::running(&["AAPL"]).await;
    place.watch(&["AAPL", "*"]);
    place.feed.until_pairs(&["AM.*"]).await;
    place.feed.bars(&[bar("AAPL", 0), bar("ZZZ", 0)]);
    assert_eq!(place.until_bars(2).await.len(), 2);
    place.watch(&["AAPL"]);
    place.feed.until_pairs(&["AM.AAPL"]).await;
}

#[tokio::test]
async fn an_empty_list_and_a_ticker_that_does_not_exist_are_no_fault() {
    let place = Place::running(&[]).await;
    place.watch(&["NOSUCH"]);
    place.feed.until_pairs(&["AM.NOSUCH"]).await;
    place.watch(&[]);
    place.feed.until_pairs(&[]).await;
    assert_eq!(place.feed.opened(), 1);
}

#[tokio::test]
async fn two_hundred_changes_in_a_row_leave_one_connection_with_the_last_list() {
    let place = Place::running(&["AAPL"]).await;
    for i in 0..200 {
        place.watch(&["AAPL", &format!("S{i}")]);
        if i % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    place.feed.until_pairs(&["AM.AAPL", "AM.S199"]).await;
    assert_eq!((place.feed.opened(), place.feed.open()), (1, 1));
    let asked = place.feed.actions();
    assert!(asked.iter().skip(2).all(|action| !action.params.contains("AAPL")), "{asked:?}");
}

#[tokio::test]
async fn ten_thousand_symbols_are_subscribed_to_in_chunks() {
    let symbols: Vec<String> = (0..10_000).map(|i| format!("S{i}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut place = Place::new(Script::default(), &symbols).await;
    place.start();
    place.feed.until("all subscribed", |feed| feed.pairs().len() == 10_000).await;
    place.until_state("running").await;
    assert!(place.feed.actions().iter().all(|action| action.params.len() < 4_000));
}
