//! What the feed does of its own accord.

/// The key that is taken where nothing else is said. Every key of the tests ends
/// like it, so that their output can be searched for one.
pub const KEY: &str = "massive-key-4711";

/// How the feed behaves; may be changed while it runs.
#[derive(Clone, Debug)]
pub struct Script {
    /// The answer to an authentication.
    pub auth: Auth,
    /// How subscriptions are acknowledged.
    pub acks: Acks,
    /// Topics in the plan; a subscription to another known topic is `not authorized`.
    pub plan: Vec<String>,
    /// Connections allowed at once, and who goes when there are more.
    pub connections: usize,
    /// See [`Evicts`].
    pub evicts: Evicts,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            auth: Auth::Key(KEY.into()),
            acks: Acks::OneAFrame,
            plan: vec!["AM".into(), "A".into()],
            connections: usize::MAX,
            evicts: Evicts::Older,
        }
    }
}

/// The answer to an authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `auth_success` for this key; for others `auth_failed`, and the connection drops without a close frame.
    Key(String),
    /// `auth_failed` with this text.
    Failed(String),
    /// `auth_timeout`, as if none had come.
    TimedOut,
    /// The connection drops at once.
    Drops,
}

/// How subscriptions are acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acks {
    /// One success in each frame.
    OneAFrame,
    /// All of one request in one frame.
    Packed,
    /// Not at all, for these tickers; the others as [`Acks::OneAFrame`].
    NotFor(Vec<String>),
}

/// Who is closed when there are too many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicts {
    /// The one that was there before.
    Older,
    /// The one that came last, after its subscription has succeeded.
    Newcomer,
}
