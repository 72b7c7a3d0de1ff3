//! What stands in the store of alerts.

use control::shutdown::{self, Shutdown};
use model::Alert;
use model::alert::Comparison;
use model::schema::Value;
use model::time::MINUTE;
use store::Query;

use super::Folder;

#[tokio::test]
async fn an_episode_is_one_point_that_its_closing_writes_again() {
    let folder = Folder::new();
    let alert = |rule: &str, opened: i64, closed: Option<i64>| Alert {
        symbol: "AAPL".into(),
        rule: rule.into(),
        episode: Alert::episode_of(rule, "AAPL", opened * MINUTE),
        opened: opened * MINUTE,
        closed: closed.map(|closed| closed * MINUTE),
        signal: "rsi".into(),
        comparison: Comparison::Above,
        value: 71.0,
        extreme: 75.0,
        threshold: 70.0,
        explanation: "It rose.".into(),
    };
    let told =
        [alert("high", 3, None), alert("low", 3, None), alert("high", 3, Some(5)), alert("high", 7, None)];
    folder.log.append(told.iter().map(Alert::to_append).collect()).await.unwrap();
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    crate::run(folder.log.clone(), folder.store.clone(), Vec::new(), stop).await.unwrap();
    let stored =
        folder.store.read(&Query { measurement: "alerts".into(), ..Query::default() }).await.unwrap();
    let told: Vec<_> = stored.rows.iter().map(|row| (row[1].as_str().unwrap(), &row[2], &row[3])).collect();
    let at = |minute: i64| Value::Int(minute * MINUTE);
    let expected = [("high", &at(3), &at(5)), ("high", &at(7), &Value::Null), ("low", &at(3), &Value::Null)];
    assert_eq!(told, expected);
}
