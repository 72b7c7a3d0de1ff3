//! What stands in the store of gaps.

use control::shutdown::{self, Shutdown};
use model::Gap;
use model::schema::Value;
use model::time::MINUTE;
use store::Query;

use super::Folder;

#[tokio::test]
async fn of_a_gap_that_grew_and_was_filled_the_last_word_is_stored() {
    let folder = Folder::new();
    let gap = |symbol: &str, to: i64| {
        let reason = format!("until {to}");
        Gap { symbol: symbol.into(), from: MINUTE, to: to * MINUTE, reason }.to_append()
    };
    folder.log.append(vec![gap("AAPL", 2), gap("MSFT", 2), gap("AAPL", 4), gap("AAPL", 1)]).await.unwrap();
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    crate::run(folder.log.clone(), folder.store.clone(), Vec::new(), stop).await.unwrap();
    let rows =
        folder.store.read(&Query { measurement: "gaps".into(), ..Query::default() }).await.unwrap().rows;
    let told: Vec<_> = rows.iter().map(|row| (row[0].as_str().unwrap(), row[2].clone())).collect();
    assert_eq!(told, [("AAPL", Value::Int(MINUTE)), ("MSFT", Value::Int(2 * MINUTE))]);
}
