//! Who may reach the pages: passwords for people, tokens for programs, the word
//! of a proxy; what each may do, and how often each may try.

mod address;
mod guard;
mod login;
mod password;
mod people;
mod session;
mod throttle;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderName;
use net::Secret;
use url::Url;

use crate::error::WebError;

pub use address::{BadProxy, Proxies};
pub(crate) use guard::{Tokens, by, caller, guard, log_refusals, watch};
pub(crate) use login::routes;
pub use password::{BadPassword, PasswordHash};
pub(crate) use people::People;
pub use people::{BadPeople, OWNER, PeopleFile, Person, Role, VIEWER};
pub(crate) use session::Sessions;
pub(crate) use throttle::{ClientAddress, Rates, Throttle, limit};
pub use token::{ApiTokens, BadTokens, KnownToken};

/// Who may reach the pages, and from where. By default everybody on this
/// machine, and nobody else.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The owner's password, where the settings hold it. With any password, whoever
    /// comes must know one or hold a token.
    pub password: Option<PasswordHash>,
    /// The file of the owner's password, where the settings do not hold it; read
    /// again when it changes.
    pub password_file: Option<PathBuf>,
    /// The file of other names ([`PeopleFile`]); read again when it changes.
    pub people: Option<PathBuf>,
    /// The address that browsers know, where a proxy stands in front.
    pub public_url: Option<Url>,
    /// The proxies that are believed: their `X-Forwarded-For`, and who they say it is.
    pub trusted_proxies: Proxies,
    /// How these proxies say who it is, where they sign people in.
    pub proxy_names: Option<ProxyNames>,
    /// What the commands of this run show.
    pub command_token: Option<Secret>,
    /// The file of the tokens of programs; read again when it changes.
    pub api_tokens: Option<PathBuf>,
    /// How long a sign-in holds.
    pub sign_in: SignIn,
    /// How much a client may ask.
    pub pace: Pace,
}

/// How a proxy says who has signed in with it.
#[derive(Clone, Debug)]
pub struct ProxyNames {
    /// The header that holds the name; from anybody but a trusted proxy it is nothing.
    pub header: HeaderName,
    /// Who may change things; all others only read.
    pub owners: Vec<String>,
}

/// How long a sign-in holds.
#[derive(Clone, Copy, Debug)]
pub struct SignIn {
    /// Without a request.
    pub idle: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for SignIn {
    fn default() -> SignIn {
        SignIn { idle: Duration::from_secs(12 * 3_600), longest: Duration::from_secs(7 * 24 * 3_600) }
    }
}

/// How much clients may ask, by their address.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Passwords tried without a wait.
    pub sign_ins: u32,
    /// The first wait after them; it doubles three times.
    pub sign_in_wait: Duration,
    /// Requests to the API and changes in a second; ten times as many at once.
    pub requests: u32,
    /// How long a request may take until its answer begins, its body included.
    pub patience: Duration,
    /// Connections of all clients at once; by default as many as the process has files for.
    pub connections: Option<usize>,
    /// Over how much time it is measured whether a download is read too slowly to keep
    /// its place while others want one.
    pub reader: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            sign_ins: 5,
            sign_in_wait: Duration::from_secs(1),
            requests: 50,
            patience: Duration::from_secs(30),
            connections: None,
            reader: Duration::from_secs(5),
        }
    }
}

/// What the commands of a run are to show: 256 bits that nobody can guess.
///
/// # Errors
/// When the system has no randomness to give.
pub fn command_token() -> std::io::Result<Secret> {
    password::identity().map(Secret::new)
}

impl Access {
    /// That `listen` may be listened at: an address that other machines reach, by
    /// itself or by the public one, needs a password.
    ///
    /// # Errors
    /// When it has none.
    pub fn check(&self, listen: SocketAddr) -> Result<(), WebError> {
        if People::of(self).are_asked() {
            return Ok(());
        }
        if !listen.ip().is_loopback() {
            return Err(WebError::Unguarded { address: listen });
        }
        match &self.public_url {
            Some(url) if !is_this_machine(url) => Err(WebError::Public { url: url.clone() }),
            _ => Ok(()),
        }
    }

    /// Whether browsers reach the pages by https.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

/// Whether an address leads to the machine that it is used on.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
