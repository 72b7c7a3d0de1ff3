//! The alert rules in the log: read, changed and followed, as every kept list is.

use log::{Log, LogError, SharedLog};
use model::topic::{ALERT_RULES, ALERT_RULES_HISTORY, Topic};
use tokio::sync::watch;

use super::check::{BadRules, checked};
use super::{KEY, Rule, Rules, defaults, parse, summary};
use crate::kept::{self, Kept};

/// One version of the rules in `alert-rules-history`.
pub type Past = kept::Past<Rule>;
/// Somebody else was faster.
pub type Conflict = kept::Conflict<Rule>;
/// Why rules were not put.
pub type PutError = kept::PutError<Rule>;

impl Kept for Rule {
    const TOPIC: Topic = ALERT_RULES;
    const HISTORY: Topic = ALERT_RULES_HISTORY;
    const KEY: &'static str = KEY;
    const NAME: &'static str = "the list of alert rules";
    type Bad = BadRules;

    fn defaults() -> Vec<Rule> {
        defaults()
    }

    fn parse(json: &[u8]) -> Result<Vec<Rule>, BadRules> {
        parse(json)
    }

    fn checked(rules: Vec<Rule>) -> Result<Vec<Rule>, BadRules> {
        checked(rules)
    }

    fn summary(old: &[Rule], new: &[Rule]) -> String {
        summary(old, new)
    }
}

/// The rules as they stand; those that a folder starts with, at version 0,
/// where nobody has changed them.
///
/// # Errors
/// When the log cannot be read.
pub async fn read(log: &dyn Log) -> Result<Rules, LogError> {
    kept::read(log).await
}

/// Puts other rules, made from the version `read`; see [`kept::put`].
///
/// # Errors
/// When the rules are bad, have been changed since, or the log fails.
pub async fn put(log: &dyn Log, read: u64, rules: Vec<Rule>, by: &str) -> Result<Rules, PutError> {
    kept::put(log, read, rules, by).await
}

/// The rules as they stand, kept up to date; see [`kept::follow`].
///
/// # Errors
/// When the log cannot be read at the start.
pub async fn follow(log: SharedLog) -> Result<watch::Receiver<Rules>, LogError> {
    kept::follow(log).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Change;
    use log::EmbeddedLog;

    #[tokio::test]
    async fn a_fresh_log_has_the_rules_of_the_start_and_none_once_all_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
        let rules = read(&log).await.unwrap();
        assert_eq!((rules.version, &rules.entries), (0, &defaults()));
        let off = rules.apply(Change::Enable(rules.entries[0].name.clone(), false)).unwrap();
        let put_first = put(&log, 0, off.entries.clone(), "test").await.unwrap();
        assert_eq!((put_first.version, &put_first.entries), (1, &off.entries));
        let conflict = put(&log, 0, Vec::new(), "test").await.unwrap_err();
        assert!(conflict.to_string().starts_with("the list of alert rules has been changed"), "{conflict}");
        put(&log, 1, Vec::new(), "test").await.unwrap();
        assert_eq!(read(&log).await.unwrap(), Rules { version: 2, entries: Vec::new() });
    }
}
