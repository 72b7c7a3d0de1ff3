//! Rules change while the service runs, and while it does not.

use super::{Sandbox, end, rule};
use control::rules::Rule;

#[tokio::test]
async fn a_changed_rule_applies_to_the_windows_after_it_whenever_they_are_read() {
    let mut seen = Vec::new();
    for runs_between in [true, false] {
        let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
        sandbox.signal("AAPL", 0, &[1.0, 1.5, 3.0, 1.0]).await;
        if runs_between {
            sandbox.run().await;
        }
        sandbox.put(vec![rule("high", "above 1")]).await;
        sandbox.signal("AAPL", 4, &[1.0, 1.5, 1.0]).await;
        sandbox.run().await;
        seen.push((sandbox.spans("AAPL").await, sandbox.told().await));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].0, [("high".into(), 2, Some(3)), ("high".into(), 5, Some(6))]);
}

#[tokio::test]
async fn every_version_between_has_its_windows() {
    let sandbox = Sandbox::new(1, vec![rule("a", "above 2")]).await;
    for (minute, name) in (0..).zip(["a", "b", "c"]) {
        sandbox.put(vec![rule(name, "crosses 0")]).await;
        sandbox.signal("AAPL", 2 * minute, &[-1.0, 1.0]).await;
    }
    sandbox.run().await;
    let spans = [("a".to_owned(), 1, Some(1)), ("b".into(), 3, Some(3)), ("c".into(), 5, Some(5))];
    assert_eq!(sandbox.spans("AAPL").await, spans);
}

#[tokio::test]
async fn an_open_episode_ends_with_its_rule_at_the_next_window() {
    let high = || rule("high", "above 2");
    for (after, why) in [
        (vec![], "removed"),
        (vec![Rule { enabled: false, ..high() }], "switched off"),
        (vec![Rule { symbols: vec!["MSFT".into()], ..high() }], "switched off for it"),
        (vec![Rule { signal: "y".into(), ..high() }], "changed"),
    ] {
        let sandbox = Sandbox::new(1, vec![high()]).await;
        sandbox.signal("AAPL", 0, &[3.0]).await;
        sandbox.run().await;
        sandbox.put(after).await;
        // Another symbol's window is not the next of this one.
        sandbox.signal("IBM", 1, &[1.0]).await;
        sandbox.run().await;
        assert_eq!(sandbox.spans("AAPL").await, [("high".into(), 0, None)]);
        sandbox.signal("AAPL", 1, &[4.0, 4.0]).await;
        let sandbox = sandbox.reopened();
        sandbox.run().await;
        let told = sandbox.told().await;
        assert_eq!((told.len(), told[1].closed), (2, Some(end(1))), "{why}");
        assert!(told[1].explanation.contains(why), "{}", told[1].explanation);
    }
}

#[tokio::test]
async fn another_threshold_closes_what_it_no_longer_holds_and_keeps_what_it_does() {
    let sandbox = Sandbox::new(1, vec![rule("a", "above 2"), rule("b", "above 2")]).await;
    sandbox.signal("AAPL", 0, &[3.0]).await;
    sandbox.run().await;
    sandbox.put(vec![rule("a", "above 2.5"), rule("b", "above 4")]).await;
    sandbox.signal("AAPL", 1, &[3.0]).await;
    sandbox.run().await;
    assert_eq!(sandbox.spans("AAPL").await, [("a".into(), 0, None), ("b".into(), 0, Some(1))]);
}

#[tokio::test]
async fn a_fresh_log_is_under_the_rules_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox { log: super::open(folder.path(), 1), folder };
    let first = control::rules::defaults().remove(0);
    let json = serde_json::json!({
        "symbol": "AAPL", "window_start": super::START, "window_end": end(0), first.signal.as_str(): first.threshold + 1.0,
    });
    sandbox.append(vec![log::Append::json(crate::signals(), "AAPL", &json)]).await;
    sandbox.run().await;
    let told = sandbox.told().await;
    assert_eq!((told.len(), &told[0].rule), (1, &first.name));
    assert!(told[0].explanation.ends_with(&first.meaning));
}
