//! The whole source by the wall clock, with the watchlist in the log.

use control::watchlist;
use model::time;

use super::*;
use crate::{NewsSource, run};

/// As long as anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it does not come about");
}

#[tokio::test]
async fn the_list_in_the_log_is_followed_until_an_end_is_wished() {
    let mut place = Place::new(&[]).await;
    place.server = Guardian::start(KEY, time::now).await;
    place.config.url = place.server.url().into();
    let now = time::now();
    place.server.publish(Story::new("a", "Apple rises", now - MINUTE));
    place.server.publish(Story::new("p", "Pear falls", now - MINUTE));
    watchlist::put(&*place.log, 0, vec![entry("AAPL", "apple")], "test").await.unwrap();

    let (stopper, stop) = shutdown::channel();
    let source = NewsSource::Guardian(place.config.clone());
    assert!(!format!("{source:?}").contains(KEY));
    let watching = tokio::spawn(run(place.log.clone(), source, stop));
    until(async || place.ids().await == ["a"]).await;
    watchlist::put(&*place.log, 1, vec![entry("AAPL", "apple"), entry("", "pear")], "test").await.unwrap();
    until(async || place.ids().await == ["a", "p"]).await;
    stopper.ask(Shutdown::Drain);
    tokio::time::timeout(PATIENCE, watching).await.unwrap().unwrap().unwrap();

    let calls = place.server.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls[1].at - calls[0].at >= SECOND - 50, "{calls:?}");
    assert_eq!(place.status().await.state.text(), "stopped");
    assert!(place.clocks().await.iter().all(|clocks| !clocks.is_empty()));
    place.assert_no_key().await;
}
