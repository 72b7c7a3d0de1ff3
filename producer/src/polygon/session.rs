//! How a connection is spoken to: the key, requests for pairs, and what a status of the
//! feed means. Its word alone does not tell: a wrong key and a plan without the feed are
//! both `auth_failed`.

use feed::price::{FeedMessage, FeedSession, Glance};
use net::Secret;
use serde_json::json;

use super::Refusal;
use super::frames::{self, Event, Status};

/// Pairs in one request; longer lists have had connections closed.
const CHUNK: usize = 200;
/// Characters of a message that are passed on.
const LONGEST: usize = 300;
/// How the pair of a symbol begins: the topic of minute bars.
const MINUTES: &str = "AM.";

/// One connection.
pub(crate) struct PolygonSession {
    api_key: Secret,
}

impl PolygonSession {
    pub(super) fn new(api_key: Secret) -> PolygonSession {
        PolygonSession { api_key }
    }
}

impl FeedSession for PolygonSession {
    fn hello(&mut self) -> Option<String> {
        Some(json!({"action": "auth", "params": self.api_key.expose()}).to_string())
    }

    fn subscribe(&mut self, symbols: &[String]) -> Vec<String> {
        requests("subscribe", symbols)
    }

    fn unsubscribe(&mut self, symbols: &[String]) -> Vec<String> {
        requests("unsubscribe", symbols)
    }

    fn glance(&mut self, frame: &str) -> Glance {
        let messages = if frame.contains("\"status\"") { messages(frame) } else { Vec::new() };
        Glance { has_data: frame.contains("\"AM\""), messages }
    }
}

fn requests(action: &str, symbols: &[String]) -> Vec<String> {
    let pairs = |symbols: &[String]| {
        symbols.iter().map(|symbol| format!("{MINUTES}{symbol}")).collect::<Vec<_>>().join(",")
    };
    let request = |symbols| json!({"action": action, "params": pairs(symbols)}).to_string();
    symbols.chunks(CHUNK).map(request).collect()
}

/// What the statuses of a frame mean.
fn messages(frame: &str) -> Vec<FeedMessage> {
    let events = frames::split(frame).unwrap_or_default();
    let statuses = events.into_iter().filter_map(|event| match frames::read(event.get(), 0) {
        Event::Status(status) => message(&status),
        _ => None,
    });
    statuses.collect()
}

/// What a status means, where it means anything.
fn message(status: &Status<'_>) -> Option<FeedMessage> {
    let message: String = status.message.trim().chars().take(LONGEST).collect();
    let message = message.as_str();
    let words = message.to_ascii_lowercase();
    Some(match &*status.status {
        "auth_success" => FeedMessage::Accepted,
        "auth_failed" if words.contains("plan") || words.contains("websocket access") => {
            FeedMessage::Final(Refusal::Plan(message.into()).into())
        }
        "auth_failed" => FeedMessage::Final(Refusal::Key(message.into()).into()),
        "auth_timeout" => FeedMessage::TryAgain(format!("the feed did not see the key in time: {message}")),
        "max_connections" => FeedMessage::CoolDown(message.into()),
        "success" => match message.split_once(": ") {
            Some(("subscribed to", pair)) => {
                let pair = pair.trim();
                FeedMessage::Subscribed(pair.strip_prefix(MINUTES).unwrap_or(pair).into())
            }
            _ => return None,
        },
        "error" if words.contains("not authorized") => FeedMessage::NotInPlan,
        "connected" => return None,
        other => FeedMessage::Unknown(format!("{}: {message}", other.chars().take(30).collect::<String>())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_by_its_text() {
        let said = |status: &str, message: &str| {
            super::message(&Status { status: status.to_owned().into(), message: message.to_owned().into() })
        };
        assert_eq!(said("connected", "Connected Successfully"), None);
        let of = |status: &str, message: &str| said(status, message).unwrap();
        assert_eq!(of("auth_success", "authenticated"), FeedMessage::Accepted);
        let wrong = "authentication failed";
        assert_eq!(of("auth_failed", wrong), FeedMessage::Final(Refusal::Key(wrong.into()).into()));
        let plan = "Your plan doesn't include websocket access.";
        assert_eq!(of("auth_failed", plan), FeedMessage::Final(Refusal::Plan(plan.into()).into()));
        assert!(matches!(of("auth_timeout", "No request"), FeedMessage::TryAgain(_)));
        assert!(matches!(of("max_connections", "Maximum …"), FeedMessage::CoolDown(_)));
        assert_eq!(of("success", "subscribed to: AM.AAPL"), FeedMessage::Subscribed("AAPL".into()));
        assert_eq!(said("success", "unsubscribed to: AM.AAPL"), None);
        assert_eq!(of("error", "not authorized"), FeedMessage::NotInPlan);
        assert_eq!(of("novelty", "?"), FeedMessage::Unknown("novelty: ?".into()));
        let long = of("max_connections", &"x".repeat(1 << 20));
        assert_eq!(long, FeedMessage::CoolDown("x".repeat(LONGEST)));
    }

    #[test]
    fn long_lists_are_asked_for_in_chunks() {
        let symbols: Vec<String> = (0..450).map(|i| format!("S{i:03}")).collect();
        let requests = PolygonSession::new(Secret::default()).subscribe(&symbols);
        assert_eq!(
            requests.iter().map(|request| request.matches("AM.").count()).collect::<Vec<_>>(),
            [200, 200, 50]
        );
        let two = ["AAPL".to_owned(), "MSFT".to_owned()];
        let request = PolygonSession::new(Secret::default()).unsubscribe(&two);
        assert_eq!(request, [r#"{"action":"unsubscribe","params":"AM.AAPL,AM.MSFT"}"#]);
    }
}
