//! What a status of the feed means. Its word alone does not tell: a wrong key
//! and a plan without the feed are both `auth_failed`.

use crate::error::Refusal;

use super::event::Status;

/// Characters of a message that are passed on.
const LONGEST: usize = 300;

/// What a status means for the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FeedStatus {
    /// The key has been accepted.
    Authenticated,
    /// This pair will be sent.
    Subscribed(String),
    /// This pair will be sent no more.
    Unsubscribed(String),
    /// What was subscribed to is not in the plan; which pair is not said.
    NotAuthorized,
    /// Trying again soon may help.
    TryAgain(String),
    /// Another connection uses the key: trying again soon would throw that one out.
    CoolDown(String),
    /// Trying again cannot help.
    Final(Refusal),
    /// News, but nothing to do.
    Nothing,
    /// A status that is not known, with its message.
    Unknown(String),
}

pub(super) fn verdict(status: &Status<'_>) -> FeedStatus {
    let message: String = status.message.trim().chars().take(LONGEST).collect();
    let message = message.as_str();
    let words = message.to_ascii_lowercase();
    match &*status.status {
        "auth_success" => FeedStatus::Authenticated,
        "auth_failed" if words.contains("plan") || words.contains("websocket access") => {
            FeedStatus::Final(Refusal::Plan(message.into()))
        }
        "auth_failed" => FeedStatus::Final(Refusal::Key(message.into())),
        "auth_timeout" => FeedStatus::TryAgain(format!("the feed did not see the key in time: {message}")),
        "max_connections" => FeedStatus::CoolDown(message.into()),
        "success" => match message.split_once(": ") {
            Some(("subscribed to", pair)) => FeedStatus::Subscribed(pair.trim().into()),
            Some(("unsubscribed to", pair)) => FeedStatus::Unsubscribed(pair.trim().into()),
            _ => FeedStatus::Nothing,
        },
        "error" if words.contains("not authorized") => FeedStatus::NotAuthorized,
        "connected" => FeedStatus::Nothing,
        other => FeedStatus::Unknown(format!("{}: {message}", other.chars().take(30).collect::<String>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_by_its_text() {
        let of = |status: &str, message: &str| {
            verdict(&Status { status: status.to_owned().into(), message: message.to_owned().into() })
        };
        assert_eq!(of("connected", "Connected Successfully"), FeedStatus::Nothing);
        assert_eq!(of("auth_success", "authenticated"), FeedStatus::Authenticated);
        let wrong = "authentication failed";
        assert_eq!(of("auth_failed", wrong), FeedStatus::Final(Refusal::Key(wrong.into())));
        let plan = "Your plan doesn't include websocket access.";
        assert_eq!(of("auth_failed", plan), FeedStatus::Final(Refusal::Plan(plan.into())));
        assert!(matches!(of("auth_timeout", "No request"), FeedStatus::TryAgain(_)));
        assert!(matches!(of("max_connections", "Maximum …"), FeedStatus::CoolDown(_)));
        assert_eq!(of("success", "subscribed to: AM.AAPL"), FeedStatus::Subscribed("AM.AAPL".into()));
        assert_eq!(of("success", "unsubscribed to: AM.AAPL"), FeedStatus::Unsubscribed("AM.AAPL".into()));
        assert_eq!(of("error", "not authorized"), FeedStatus::NotAuthorized);
        assert_eq!(of("novelty", "?"), FeedStatus::Unknown("novelty: ?".into()));
        let long = of("max_connections", &"x".repeat(1 << 20));
        assert_eq!(long, FeedStatus::CoolDown("x".repeat(LONGEST)));
    }
}
