//! Who may reach the pages: a password for people, tokens for programs, and
//! how often each may try.

mod address;
mod guard;
mod login;
mod password;
mod random;
mod rate;
mod session;
mod token;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use outbound::Secret;
use url::Url;

use crate::error::WebError;

pub use password::{BadPassword, PasswordHash};
pub use token::{ApiTokens, BadTokens, KnownToken};

pub(crate) use guard::{Tokens, guard, log_refusals};
pub(crate) use login::routes;
pub(crate) use rate::{Rates, limit};
pub(crate) use session::Sessions;

/// Who may reach the pages, and from where. By default everybody on this
/// machine, and nobody else.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// With one, whoever comes must know it or hold a token.
    pub password: Option<PasswordHash>,
    /// The address that browsers know, where a proxy stands in front.
    pub public_url: Option<Url>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// What the commands of this run show.
    pub command_token: Option<Secret>,
    /// The file of the tokens of programs; read again when it changes.
    pub api_tokens: Option<PathBuf>,
    /// How long a sign-in holds.
    pub sign_in: SignIn,
    /// How much a client may ask.
    pub pace: Pace,
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

/// How much one client may ask, by its address.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Passwords tried in a minute.
    pub sign_ins: u32,
    /// Requests to the API and changes in a second; ten times as many at once.
    pub requests: u32,
    /// How long a request may take until its answer begins, its body included.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { sign_ins: 5, requests: 50, patience: Duration::from_secs(30) }
    }
}

/// What the commands of a run are to show: 256 bits that nobody can guess.
///
/// # Errors
/// When the system has no randomness to give.
pub fn command_token() -> std::io::Result<Secret> {
    random::identity().map(Secret::new)
}

impl Access {
    /// That `listen` may be listened at: an address that other machines reach needs a password.
    ///
    /// # Errors
    /// When it has none.
    pub fn check(&self, listen: SocketAddr) -> Result<(), WebError> {
        if listen.ip().is_loopback() || self.password.is_some() {
            return Ok(());
        }
        Err(WebError::Unguarded { address: listen })
    }

    /// Whether browsers reach the pages by https.
    fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}
