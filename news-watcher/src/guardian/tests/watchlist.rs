//! Changes of the watchlist while the watch runs.

use testkit::guardian::Fault;

use super::*;

#[tokio::test]
async fn a_new_term_is_asked_soon_and_a_removed_one_no_more() {
    let place = Place::new(&[entry("", "apple"), entry("", "pear")]).await;
    let change = START + 30 * MINUTE + 7 * SECOND;
    let lists = place.lists.clone();
    place.clock.at(change, move || {
        lists.send_modify(|list| list.entries = vec![entry("", "plum"), entry("", "apple")]);
    });
    place.server.publish(Story::new("old", "Plum", START - 20 * HOUR));
    place.watch_until(START + 3 * HOUR).await.unwrap();
    let calls = place.server.calls();
    let plum = calls.iter().find(|call| call.parameter("q") == "plum").unwrap();
    assert!(plum.at - change <= 2 * SECOND, "{}", plum.at - change);
    assert!(!calls.iter().any(|call| call.parameter("q") == "pear" && call.at > change));
    // A new term brings what was published in the last 24 hours.
    assert_eq!(place.ids().await, ["old"]);
    let listed = place.status().await.entries;
    let listed: Vec<_> = listed.iter().map(|entry| entry.search_term.as_deref().unwrap()).collect();
    assert_eq!(listed, ["plum", "apple"]);
}

#[tokio::test]
async fn a_symbol_that_joins_a_term_gets_what_the_term_has_brought() {
    let place = Place::new(&[entry("AAPL", "apple")]).await;
    place.server.publish(Story::new("a", "Apple rises", START));
    let lists = place.lists.clone();
    place.clock.at(START + HOUR, move || {
        lists.send_modify(|list| list.entries.push(entry("MSFT", "apple")));
    });
    place.watch_until(START + 2 * HOUR).await.unwrap();
    let keys: Vec<_> = place.versions().await.iter().map(|a| a.key().to_owned()).collect();
    assert_eq!(keys, ["AAPL", "MSFT"]);
}

#[tokio::test]
async fn a_change_is_taken_while_a_call_hangs() {
    let place = Arc::new(Place::with_term("apple").await);
    place.server.fail_next(Fault::Hang);
    let watching = tokio::spawn({
        let place = place.clone();
        async move { place.watch_until(START + HOUR).await }
    });
    let patience = Duration::from_secs(8);
    let taken = async {
        while place.server.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        place.set(&[entry("", "plum")]);
        while place.status().await.entries[0].search_term.as_deref() != Some("plum") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(patience, taken).await.expect("the change waits for the call that hangs");
    watching.abort();
}

#[tokio::test]
async fn two_hundred_changes_leave_nothing_behind() {
    let place = Arc::new(Place::new(&[entry("", "apple"), entry("", "pear")]).await);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    place.watch_until(START + HOUR).await.unwrap();
    let before = tasks();
    for i in 0..200 {
        let lists = place.lists.clone();
        let mut entries = vec![entry("", "apple"), entry("", "pear")];
        if i != 199 {
            entries.extend((0..5).map(|term| entry("", &format!("term{i}-{term}"))));
        }
        place.clock.at(START + HOUR + i * MINUTE, move || {
            lists.send_modify(|list| list.entries = entries);
        });
    }
    place.watch_until(START + 6 * HOUR).await.unwrap();
    assert!(tasks() <= before, "{} tasks, {before} before", tasks());
    let status = place.status().await;
    assert_eq!(status.entries.len(), 2);
    // Only the two are asked.
    let calls = place.server.calls();
    let late = calls.iter().filter(|call| call.at > START + 5 * HOUR);
    assert!(late.clone().count() > 5);
    assert!(late.into_iter().all(|call| ["apple", "pear"].contains(&call.parameter("q"))));
}

#[tokio::test]
async fn a_list_without_terms_is_no_trouble() {
    let place = Place::with_term("apple").await;
    let lists = place.lists.clone();
    place.clock.at(START + HOUR, move || {
        let empty = |term: &str| entry("", term);
        lists.send_modify(|list| list.entries = vec![empty(""), empty("   "), Entry::default()]);
    });
    place.watch_until(START + 2 * HOUR).await.unwrap();
    assert!(place.status().await.entries.is_empty());
    assert!(place.server.calls().iter().all(|call| call.at <= START + HOUR));
    let last = place.clocks().await.iter().map(|clocks| *clocks.last().unwrap()).min();
    assert_eq!(last, Some(START + 2 * HOUR - MINUTE));
}

#[tokio::test]
async fn ten_thousand_terms_are_watched_within_the_quota_and_said_as_far_as_fits() {
    let terms: Vec<_> = (0..10_000).map(|i| entry("", &format!("term{i}"))).collect();
    let place = Place::new(&terms).await;
    place.watch_until(START + 10 * SECOND).await.unwrap();
    let calls = place.server.calls();
    assert!((5..=11).contains(&calls.len()), "{} calls", calls.len());
    assert!(calls.windows(2).all(|pair| pair[1].at - pair[0].at >= SECOND));
    assert_eq!(place.status().await.entries.len(), 2_000);
}
