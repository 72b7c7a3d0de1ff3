//! What is no reading, and mistakes with their places.

use query::explore::ExploreError;

use crate::harness::Sandbox;

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

/// Also what a new version of DataFusion may bring.
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
        // An answer or a refusal, but one of both.
        if let Ok(mut answer) = sandbox.explorer.query(&sql).await {
            let _ = answer.all().await;
        }
    }
    assert!(matches!(sandbox.refused(&"x ".repeat(3_000)).await, ExploreError::TooLong { .. }));
    assert_eq!(sandbox.rows("SELECT 1").await.len(), 1);
}
