//! Many connections at once: idle ones, streams, and questions on top.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use web::{Access, Pace};

use crate::events::Events;
use crate::harness::{PATIENCE, Site};

/// A page that takes so many connections.
async fn narrow(connections: usize) -> Site {
    let pace = Pace { connections: Some(connections), ..Pace::default() };
    Site::with(Access { pace, ..Access::default() }).await
}

async fn idle(site: &Site) -> TcpStream {
    TcpStream::connect(site.url.trim_start_matches("http://")).await.unwrap()
}

#[tokio::test]
async fn idle_connections_and_streams_leave_the_page_reachable() {
    let site = narrow(16).await;
    // Six of the eight places of one address: two are left for pages.
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(Events::open(&site, "/events", None).await);
    }
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(idle(&site).await);
    }
    let refused = site.get("/events").await;
    assert_eq!(refused.status(), 503, "streams have places of their own");
    for _ in 0..3 {
        assert_eq!(site.get("/").await.status(), 200);
        assert_eq!(site.get("/api/v1/status").await.status(), 200);
    }
    // The first of the silent ones had to go; the streams stay.
    let mut byte = [0];
    let closed = tokio::time::timeout(PATIENCE, silent[0].read(&mut byte)).await.expect("it is closed");
    assert!(matches!(closed, Ok(0) | Err(_)));
    streams[0].next().await;
    drop(streams);
    let again = async {
        while site.get("/events").await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("streams that ended give back their places");
}

#[tokio::test]
async fn pages_count_in_the_limit_of_an_address_and_scripts_do_not() {
    let pace = Pace { requests: 1, ..Pace::default() };
    let site = Site::with(Access { pace, ..Access::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..14 {
        statuses.push(site.get("/readyz").await.status().as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(site.get("/").await.status(), 429);
    assert_eq!(site.get("/assets/none.js").await.status(), 404);
    assert_eq!(site.get("/healthz").await.status(), 200);
}
