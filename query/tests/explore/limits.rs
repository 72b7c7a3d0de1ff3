//! Time, rows, memory and queries at once.

use std::time::Duration;

use query::explore::{ExploreError, Limits};

use model::schema::Value;

use crate::harness::{LIMITS, Sandbox};

/// Takes for ever, in steps.
const ENDLESS: &str = "SELECT count(*) FROM stock_prices a, stock_prices b, stock_prices c, stock_prices d
                       WHERE a.close * b.close + c.close * d.close > 1e18";

#[tokio::test]
async fn a_query_is_ended_when_its_time_is_over() {
    let limit = Duration::from_millis(300);
    let sandbox = Sandbox::within(Limits { time: limit, memory: 1 << 30, ..LIMITS }, 30).await;
    let error = sandbox.refused(ENDLESS).await;
    assert!(matches!(error, ExploreError::TooSlow { .. }), "{error}");
}

/// Asks until there is a place.
async fn asked(sandbox: &Sandbox, sql: &str) -> Result<Vec<Vec<Value>>, ExploreError> {
    loop {
        match sandbox.explorer.query(sql).await {
            Ok(mut answer) => return answer.all().await,
            Err(ExploreError::Busy { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => return Err(error),
        }
    }
}

/// The joins hold next to nothing and read next to nothing.
#[tokio::test]
async fn a_query_that_was_ended_gives_its_place_to_the_next() {
    let limits = Limits { time: Duration::from_millis(300), at_once: 1, ..LIMITS };
    let sandbox = Sandbox::within(limits, 4_000).await;
    let tables = ["a", "b", "c"].map(|name| format!("stock_prices {name}")).join(", ");
    let error = asked(&sandbox, &format!("SELECT count(*) FROM {tables}")).await.unwrap_err();
    assert!(matches!(error, ExploreError::TooSlow { .. }), "{error}");
    let next = tokio::time::timeout(Duration::from_secs(60), asked(&sandbox, "SELECT 1")).await;
    assert_eq!(next.expect("a place").unwrap(), [[Value::Int(1)]]);
}

#[tokio::test]
async fn rows_are_cut_at_the_limit_and_the_answer_says_so() {
    let sandbox = Sandbox::within(Limits { rows: Some(5), ..LIMITS }, 2).await;
    let mut answer = sandbox.explorer.query("SELECT close FROM stock_prices").await.unwrap();
    assert_eq!((answer.all().await.unwrap().len(), answer.is_cut()), (5, true));
    let mut answer = sandbox.explorer.query("SELECT close FROM stock_prices LIMIT 5").await.unwrap();
    assert_eq!((answer.all().await.unwrap().len(), answer.is_cut()), (5, false));
}

#[tokio::test]
async fn a_query_that_holds_too_much_is_ended() {
    let sandbox = Sandbox::within(Limits { memory: 256 << 10, ..LIMITS }, 3_000).await;
    let error = sandbox.refused("SELECT * FROM stock_prices ORDER BY close, volume").await;
    assert!(matches!(error, ExploreError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn more_queries_than_may_run_are_refused_until_one_is_dropped() {
    let sandbox = Sandbox::within(Limits { at_once: 1, ..LIMITS }, 5_000).await;
    let sql = "SELECT * FROM stock_prices";
    let first = sandbox.explorer.query(sql).await.unwrap();
    let error = sandbox.refused("SELECT 1").await;
    assert!(matches!(error, ExploreError::Busy { at_once: 1 }), "{error}");
    drop(first);
    // Its thread notices at its next step.
    let freed = async {
        while sandbox.explorer.query("SELECT 1").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), freed).await.expect("the place is given back");
}
