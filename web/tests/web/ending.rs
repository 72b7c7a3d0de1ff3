//! How the server ends.

use crate::events::Events;
use crate::harness::{Feed, Site};
use control::shutdown::Shutdown;

#[tokio::test]
async fn draining_and_stopping_end_the_server_with_streams_open() {
    for wish in [Shutdown::Drain, Shutdown::Stop] {
        let site = Site::start().await;
        site.deliver(&Feed::of("AAPL", 0..3)).await;
        let mut open = Events::open(&site, "/events?symbol=AAPL", None).await;
        open.next().await;
        // A viewer that never reads does not hold the server up either.
        let _silent = site.get("/events").await;
        site.end(wish).await.unwrap();
        assert!(open.ended().await);
    }
}
