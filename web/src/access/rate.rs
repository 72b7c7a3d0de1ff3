//! How often a client may ask, by its address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::Pace;
use super::address::{client, network};
use crate::AppState;
use crate::error::refused;

/// After so many requests, addresses that have been quiet are forgotten.
const FORGET_EVERY: u32 = 10_000;

/// The counts of every client.
pub(crate) struct Rates {
    requests: DefaultKeyedRateLimiter<IpAddr>,
    asked: AtomicU32,
}

impl Rates {
    pub(crate) fn new(pace: Pace) -> Rates {
        let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let requests = Quota::per_second(at_least_one(pace.requests));
        let requests = requests.allow_burst(at_least_one(pace.requests.saturating_mul(10)));
        Rates { requests: RateLimiter::keyed(requests), asked: AtomicU32::new(0) }
    }

    fn request(&self, client: IpAddr) -> Result<(), Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.requests.retain_recent();
        }
        check(&self.requests, client)
    }
}

fn check(limiter: &DefaultKeyedRateLimiter<IpAddr>, client: IpAddr) -> Result<(), Duration> {
    limiter
        .check_key(&network(client))
        .map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
}

/// Where a request comes from, for what handles it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Holds back a client that asks for anything but our scripts and styles too often.
pub(crate) async fn limit(State(site): State<Arc<AppState>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let counts = !path.starts_with("/assets/") && path != "/livez" && path != "/healthz";
    let client = client(&request, &site.access.trusted_proxies);
    request.extensions_mut().insert(ClientAddress(client));
    match if counts { site.rates.request(client) } else { Ok(()) } {
        Ok(()) => next.run(request).await,
        Err(wait) => later(wait, "Too many requests from your address"),
    }
}

/// The answer to whoever comes too often.
pub(super) fn later(wait: Duration, what: &str) -> Response {
    let seconds = wait.as_secs() + 1;
    let mut answer = refused(StatusCode::TOO_MANY_REQUESTS, &format!("{what}: try again in {seconds} s."));
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer.into_response()
}
