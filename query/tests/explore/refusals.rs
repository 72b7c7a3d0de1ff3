//! Statements that are rejected, errors with their positions, and the limits.

use std::time::Duration;

use model::schema::Value;
use query::explore::{ExploreError, Limits};

use crate::harness::{LIMITS, Sandbox};

#[tokio::test]
async fn whatever_changes_or_reaches_out_is_refused_and_changes_nothing() {
    let sandbox = Sandbox::new(2).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.csv");
    let file = file.to_str().unwrap();
    for sql in [
        "DROP TABLE stock_prices".to_owned(),
        "CREATE TABLE x AS SELECT 1".into(),
        "CREATE VIEW x AS SELECT 1".into(),
        "INSERT INTO stock_prices SELECT * FROM stock_prices".into(),
        "DELETE FROM stock_prices".into(),
        "UPDATE stock_prices SET close = 1".into(),
        "TRUNCATE TABLE stock_prices".into(),
        format!("COPY stock_prices TO '{file}'"),
        format!("COPY (SELECT 1) TO '{file}' STORED AS CSV"),
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{file}'"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}' STORED AS CSV"),
        "EXPLAIN INSERT INTO stock_prices SELECT * FROM stock_prices".into(),
        "SET datafusion.execution.batch_size = 1".into(),
        "RESET datafusion.execution.batch_size".into(),
        "PREPARE p AS SELECT 1".into(),
        "BEGIN".into(),
        "SELECT 1; SELECT 2".into(),
        "SELECT 1; DROP TABLE stock_prices".into(),
        "SELECT close INTO copy FROM stock_prices".into(),
        String::new(),
        "-- nothing".into(),
    ] {
        let error = sandbox.refused(&sql).await;
        assert!(
            matches!(error, ExploreError::NotReadOnly { .. } | ExploreError::Sql { .. }),
            "{sql}: {error}"
        );
    }
    assert!(!std::path::Path::new(file).exists());
    assert_eq!(sandbox.rows("SELECT * FROM stock_prices").await.len(), 6);
}

#[tokio::test]
async fn files_addresses_and_functions_that_are_tables_are_not_known() {
    let sandbox = Sandbox::new(1).await;
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'https://example.org/x.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM generate_series(1, 1000000000000)",
        "SELECT * FROM _measurements",
        "SELECT * FROM sqlite_schema",
    ] {
        assert!(matches!(sandbox.refused(sql).await, ExploreError::Sql { .. }), "{sql}");
    }
}

/// The list also excludes what a new version of DataFusion may add.
#[tokio::test]
async fn a_function_that_is_not_on_the_list_is_refused_with_the_nearest() {
    let sandbox = Sandbox::new(1).await;
    for (call, nearest) in [
        ("repeat('x', 2000000000)", ""),
        ("lpad('x', 2000000000)", ""),
        ("rpad('x', 2000000000)", ""),
        ("levenshtein('a', 'b')", ""),
        ("range(1, 1000000000)", ""),
        ("generate_series(1, 1000000000)", ""),
        ("array_repeat(1, 1000000000)", ""),
        ("arrow_cast(1, 'Utf8')", ""),
        ("with_metadata(1, 'a', 'b')", ""),
        ("version()", ""),
        ("uuid()", ""),
        ("encode('a', 'hex')", ""),
        ("aproxdistinct(1)", "approx_distinct"),
        ("roundd(1.5)", "round"),
        ("date_trunk('day', now())", "date_trunc"),
    ] {
        let error = sandbox.refused(&format!("SELECT {call}")).await.to_string();
        let name = call.split('(').next().unwrap();
        assert!(error.contains(&format!("there is no function `{name}` here")), "{call}: {error}");
        assert!(error.contains(&format!("the nearest is `{nearest}")), "{call}: {error}");
        assert!(error.contains("SHOW FUNCTIONS"), "{error}");
    }
    let from = sandbox.refused("SELECT * FROM range(1, 5)").await.to_string();
    assert!(from.contains("range"), "{from}");
}

#[tokio::test]
async fn a_mistake_is_shown_at_its_place() {
    let sandbox = Sandbox::new(1).await;
    for (sql, said) in [
        ("SELECT close\nFROM stock_prices\nWHERE colse > 1", "line 3, character 7: "),
        ("SELECT close\nFROM stock_prices\nWHERE colse > 1", "\n  WHERE colse > 1\n        ^"),
        ("SELEC 1", "line 1, character 1: "),
        ("SELECT (1", "line 1, character "),
        ("SELECT * FROM stock_price", "stock_price"),
        ("SELECT cloze FROM stock_prices", "cloze"),
        ("SELECT nosuch(1)", "nosuch"),
        ("SELECT 'open", "line 1, character 8"),
        ("SELECT CAST('x' AS DOUBLE)", "x"),
    ] {
        let error = sandbox.refused(sql).await.to_string();
        assert!(error.contains(said), "{sql}: {error}");
        assert!(!error.contains("DataFusion") && !error.contains("ParserError"), "{error}");
    }
}

#[tokio::test]
async fn no_depth_of_nesting_brings_the_program_down() {
    let sandbox = Sandbox::new(1).await;
    for sql in [
        format!("SELECT {}1{}", "(".repeat(900), ")".repeat(900)),
        format!("SELECT {}1", "- ".repeat(1_900)),
        format!("SELECT {}true", "NOT ".repeat(1_900)),
        format!("SELECT 1{}", " + 1".repeat(990)),
        format!("SELECT close{} FROM stock_prices", " + close".repeat(990)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(450)),
        format!("SELECT {}1{}", "abs(".repeat(600), ")".repeat(600)),
        format!("SELECT {}", "1, ".repeat(5_000)),
    ] {
        // Either an answer or an error will do; the program must not crash.
        if let Ok(mut answer) = sandbox.explorer.query(&sql).await {
            let _ = answer.all().await;
        }
    }
    assert!(matches!(sandbox.refused(&"x ".repeat(3_000)).await, ExploreError::TooLong { .. }));
    assert_eq!(sandbox.rows("SELECT 1").await.len(), 1);
}

// The limits of time, rows, memory and concurrent queries.

/// Practically endless, in small steps.
const ENDLESS: &str = "SELECT count(*) FROM stock_prices a, stock_prices b, stock_prices c, stock_prices d
                       WHERE a.close * b.close + c.close * d.close > 1e18";

#[tokio::test]
async fn a_query_is_ended_when_its_time_is_over() {
    let limit = Duration::from_millis(300);
    let sandbox = Sandbox::within(Limits { time: limit, memory: 1 << 30, ..LIMITS }, 30).await;
    let error = sandbox.refused(ENDLESS).await;
    assert!(matches!(error, ExploreError::TooSlow { .. }), "{error}");
}

/// Repeats the query until it is not rejected as busy.
async fn asked(sandbox: &Sandbox, sql: &str) -> Result<Vec<Vec<Value>>, ExploreError> {
    loop {
        match sandbox.explorer.query(sql).await {
            Ok(mut answer) => return answer.all().await,
            Err(ExploreError::Busy { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => return Err(error),
        }
    }
}

/// The joins hold and read almost nothing.
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
    // Its thread notices at its next step that the answer was dropped.
    let freed = async {
        while sandbox.explorer.query("SELECT 1").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), freed).await.expect("the place is given back");
}
