//! How fast passwords can be tried: wrong ones make the next one of the same
//! address and name wait, longer each time. Nobody is locked out for it: a browser
//! that has signed in before waits for its own mistakes only (device cookies, as
//! OWASP describes them), wherever others guess from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Pace;
use super::address::{client, network};
use super::password::{hexadecimal, identity};
use super::people::Person;
use crate::AppState;
use crate::error::refused;

/// The longest wait before a password is checked, in units of the pace.
const LONGEST_WAIT: u32 = 8;
/// So many longest waits may be queued for one lane; who comes then is told to come later.
const QUEUED: u32 = 2;
/// Mistakes as old as this are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// The most lanes that are remembered; the one longest unused makes room.
const MOST: usize = 10_000;

/// Whose mistakes count together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TopicPartition {
    /// A browser that has signed in before, by what it holds.
    Device(String),
    /// An address and the name that is tried.
    Client(IpAddr, String),
}

impl TopicPartition {
    pub(super) fn of_client(client: IpAddr, name: &str) -> TopicPartition {
        TopicPartition::Client(network(client), name.chars().take(80).collect())
    }
}

struct Tried {
    /// Attempts since the last right password.
    count: u32,
    /// Not before this the next one.
    next: Instant,
}

/// What has been tried lately, and the places for checks.
pub(crate) struct Throttle {
    free: u32,
    unit: Duration,
    lanes: Mutex<HashMap<TopicPartition, Tried>>,
    /// Passwords of strangers checked at once: each takes 19 MB and much of a core.
    strangers: Semaphore,
    /// Those of browsers that are known, so that strangers do not keep them waiting.
    known: Semaphore,
}

impl Throttle {
    pub(crate) fn new(pace: Pace) -> Throttle {
        Throttle {
            free: pace.sign_ins,
            unit: pace.sign_in_wait,
            lanes: Mutex::default(),
            strangers: Semaphore::new(2),
            known: Semaphore::new(1),
        }
    }

    /// When a password may be checked.
    ///
    /// # Errors
    /// How long to wait until one may be queued again.
    pub(super) fn enter(&self, lane: &TopicPartition, now: Instant) -> Result<Instant, Duration> {
        let mut lanes = self.lanes();
        if !lanes.contains_key(lane) && lanes.len() >= MOST {
            let oldest = lanes.iter().min_by_key(|(_, tried)| tried.next).map(|(lane, _)| lane.clone());
            oldest.and_then(|oldest| lanes.remove(&oldest));
        }
        let tried = lanes.entry(lane.clone()).or_insert(Tried { count: 0, next: now });
        if now.saturating_duration_since(tried.next) > FORGOTTEN {
            tried.count = 0;
        }
        let at = tried.next.max(now);
        let wait = at - now;
        if wait > self.unit * LONGEST_WAIT * QUEUED {
            return Err(wait);
        }
        tried.count = tried.count.saturating_add(1);
        let beyond = tried.count.saturating_sub(self.free);
        let units = if beyond == 0 { 0 } else { 1 << (beyond - 1).min(LONGEST_WAIT.ilog2()) };
        tried.next = at + self.unit * units;
        Ok(at)
    }

    /// Forgets the mistakes of a lane: it was the right password.
    pub(super) fn right(&self, lane: &TopicPartition) {
        self.lanes().remove(lane);
    }

    /// A place to check a password.
    pub(super) async fn place(&self, lane: &TopicPartition) -> Option<SemaphorePermit<'_>> {
        match lane {
            TopicPartition::Device(_) => self.known.acquire().await.ok(),
            TopicPartition::Client(..) => self.strangers.acquire().await.ok(),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<TopicPartition, Tried>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a browser is to hold that somebody has signed in with.
pub(super) fn device(person: &Person) -> std::io::Result<String> {
    let number = identity()?;
    let sign = sign(person, &number);
    Ok(format!("{number}.{sign}"))
}

/// The identity of the browser that shows `held`, if `person` has signed in with
/// it: it holds until the password changes.
pub(super) fn known_device(person: &Person, held: &str) -> Option<String> {
    let (number, shown) = held.split_once('.')?;
    let right = sign(person, number);
    bool::from(right.as_bytes().ct_eq(shown.as_bytes())).then(|| number.to_owned())
}

/// Keyed by the hash of the password, which is as secret as a key has to be.
fn sign(person: &Person, number: &str) -> String {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(person.hash.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("device {} {number}", person.name).as_bytes());
    hexadecimal(&mac.finalize().into_bytes())
}

// How often a client may ask, by its address.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::password::PasswordHash;
    use crate::access::people::Role;

    const SECOND: Duration = Duration::from_secs(1);

    fn throttle() -> Throttle {
        Throttle::new(Pace { sign_ins: 4, sign_in_wait: SECOND, ..Pace::default() })
    }

    fn lane(last: u8, name: &str) -> TopicPartition {
        TopicPartition::of_client(IpAddr::from([192, 0, 2, last]), name)
    }

    #[test]
    fn mistakes_make_the_next_one_wait_longer_up_to_a_limit() {
        let (throttle, now) = (throttle(), Instant::now());
        let waits: Vec<_> = (0..12)
            .map_while(|_| throttle.enter(&lane(1, "anna"), now).ok())
            .map(|at| (at - now).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 3, 7, 15], "all at once queue up, and not without end");
        assert!(throttle.enter(&lane(1, "anna"), now).unwrap_err() <= 24 * SECOND);
        assert_eq!(throttle.enter(&lane(1, "bob"), now), Ok(now), "another name is not kept waiting");
        assert_eq!(throttle.enter(&lane(2, "anna"), now), Ok(now), "nor is another address");
        assert_eq!(throttle.enter(&TopicPartition::Device("x".into()), now), Ok(now), "nor a known browser");
        let later = now + 3_600 * SECOND;
        assert_eq!(throttle.enter(&lane(1, "anna"), later), Ok(later));
    }

    #[test]
    fn the_right_password_ends_the_waiting_and_the_number_of_lanes_is_bounded() {
        let (throttle, now) = (throttle(), Instant::now());
        for _ in 0..8 {
            let _ = throttle.enter(&lane(1, ""), now);
        }
        throttle.right(&lane(1, ""));
        assert_eq!(throttle.enter(&lane(1, ""), now), Ok(now));
        for number in 0..MOST + 50 {
            let _ = throttle.enter(&lane(1, &number.to_string()), now);
        }
        assert_eq!(throttle.lanes().len(), MOST);
    }

    #[test]
    fn a_browser_is_known_to_whom_it_signed_in_for_until_the_password_changes() {
        let person = |name: &str, password: &str| Person {
            name: name.into(),
            role: Role::Owner,
            hash: PasswordHash::of(password).unwrap(),
        };
        let anna = person("anna", "correct horse battery");
        let held = device(&anna).unwrap();
        assert_eq!(known_device(&anna, &held).as_deref(), held.split('.').next());
        let other = Person { name: "bob".into(), ..anna.clone() };
        assert_eq!(known_device(&other, &held), None);
        assert_eq!(known_device(&person("anna", "correct horse battery"), &held), None, "set anew");
        for forged in ["", ".", "x", &held[1..], &format!("{held}0"), &held.replace('.', "")] {
            assert_eq!(known_device(&anna, forged), None, "{forged}");
        }
    }
}
