//! What becomes of windows: told once an episode, in any company.

use super::{Sandbox, end, record, rule};
use control::rules::Rule;
use model::service::Service;

const NULL: f64 = f64::NAN;

#[tokio::test]
async fn an_episode_is_told_once_when_it_opens_and_once_when_it_closes() {
    let sandbox = Sandbox::new(1, vec![Rule { hysteresis: 1.0, ..rule("high", "above 2") }]).await;
    sandbox.signal("AAPL", 0, &[1.0, 2.5, 3.5, 2.5, 1.5, 1.0, 0.5]).await;
    sandbox.run().await;
    let told = sandbox.told().await;
    let [opened, closed] = &told[..] else { panic!("{told:?}") };
    assert_eq!((opened.opened, opened.closed, opened.value), (end(1), None, 2.5));
    assert_eq!((closed.opened, closed.closed, closed.value), (end(1), Some(end(5)), 2.5));
    assert_eq!((closed.extreme, closed.threshold), (3.5, 2.0));
    assert_eq!(opened.episode, format!("high/AAPL/{}", end(1)));
    assert_eq!(opened.episode, closed.episode);
    assert!(opened.explanation.contains("x was 2.5") && opened.explanation.contains("above 2"), "{opened:?}");
    assert!(closed.explanation.contains("3.5 at most, and came back to 1."), "{closed:?}");
}

#[tokio::test]
async fn windows_without_the_signal_neither_open_nor_close_and_clocks_say_nothing() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2"), rule("low", "below 1")]).await;
    sandbox.signal("~clock0", 0, &[0.0, 5.0, 0.0]).await;
    sandbox.signal("AAPL", 0, &[NULL, 5.0, NULL, NULL, 5.0]).await;
    sandbox.run().await;
    assert_eq!(sandbox.told().await.len(), 1);
    assert_eq!(sandbox.spans("AAPL").await, [("high".into(), 1, None)]);
}

#[tokio::test]
async fn repeats_and_older_windows_are_passed_over() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
    let values = [1.0, 3.0, 1.0, 3.0, 1.0];
    sandbox.signal("AAPL", 0, &values).await;
    sandbox.signal("AAPL", 1, &values[1..]).await;
    // Another value for a window that has had its say.
    sandbox.signal("AAPL", 2, &[9.0]).await;
    sandbox.run().await;
    sandbox.signal("AAPL", 0, &values).await;
    sandbox.run().await;
    assert_eq!(sandbox.told().await.len(), 4);
    let spans = [("high".to_owned(), 1, Some(2)), ("high".to_owned(), 3, Some(4))];
    assert_eq!(sandbox.spans("AAPL").await, spans);
}

#[tokio::test]
async fn partitions_and_the_company_of_other_symbols_change_nothing() {
    let rules = || vec![Rule { hysteresis: 0.5, ..rule("high", "above 2") }, rule("mid", "crosses 1.5")];
    let symbols: Vec<String> = (0..9).map(|i| format!("S{i}")).collect();
    let value = |symbol: usize, minute: i64| ((symbol as i64 * 7 + minute * 3) % 8) as f64 / 2.0;
    let mut expected = None;
    for (partitions, turn) in [(1, 0), (1, 4), (2, 1), (7, 5)] {
        let sandbox = Sandbox::new(partitions, rules()).await;
        for minute in 0..40 {
            // Each window's rows in another order, as parallel workers write them.
            let turned = (0..symbols.len()).map(|at| (at * 2 + turn * minute as usize) % symbols.len());
            let rows = turned.map(|at| record(&symbols[at], minute, value(at, minute)));
            sandbox.append(rows.collect()).await;
        }
        sandbox.run().await;
        let episodes = sandbox.episodes().await;
        assert!(episodes.len() > 100);
        assert_eq!(expected.get_or_insert_with(|| episodes.clone()), &episodes);
    }
}

#[tokio::test]
async fn a_record_that_is_no_row_stops_nothing() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
    sandbox.append(vec![log::Append::json(crate::signals(), "AAPL", &"nonsense")]).await;
    sandbox.signal("AAPL", 0, &[3.0]).await;
    sandbox.run().await;
    assert_eq!(sandbox.spans("AAPL").await, [("high".into(), 0, None)]);
    let said = control::status::last(&*sandbox.log, Service::Alerts).await.unwrap().unwrap();
    assert_eq!((said.counts["refused"], said.counts["open"], said.counts["opened"]), (1, 1, 1));
    assert_eq!((said.state.text(), said.watermark), ("finished", Some(end(0))));
}
