//! What queries return, and how much they read from the store.

use model::schema::{ColumnType, Value};
use model::time::MINUTE;

use crate::harness::{OPEN, Sandbox};

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[tokio::test]
async fn rows_come_with_their_columns_and_types() {
    let sandbox = Sandbox::new(3).await;
    let sql = "SELECT symbol, start_timestamp, close, close > 101 AS above, vwap, 7 AS n FROM stock_prices
               WHERE symbol = 'IBM' ORDER BY close DESC";
    let mut answer = sandbox.explorer.query(sql).await.unwrap();
    let columns: Vec<_> = answer.columns().iter().map(|column| (column.name.as_str(), column.kind)).collect();
    use ColumnType::{Bool, Float, Int, Text, Time};
    let wanted = [
        ("symbol", Text),
        ("start_timestamp", Time),
        ("close", Float),
        ("above", Bool),
        ("vwap", Float),
        ("n", Int),
    ];
    assert_eq!(columns, wanted);
    let rows = answer.all().await.unwrap();
    let row = |n: i64| {
        let (at, close) = (Value::Int(OPEN + n * MINUTE), Value::Float(100.0 + n as f64));
        vec![text("IBM"), at, close, Value::Bool(n > 1), Value::Null, Value::Int(7)]
    };
    assert_eq!(rows, [row(2), row(1), row(0)]);
    assert!(!answer.is_cut());
}

#[tokio::test]
async fn groups_joins_windows_and_times_work() {
    let sandbox = Sandbox::new(60).await;
    assert_eq!(sandbox.value("SELECT count(*) FROM stock_prices").await, Value::Int(180));
    assert_eq!(
        sandbox
            .rows("SELECT symbol, max(close) AS top FROM stock_prices GROUP BY symbol ORDER BY symbol")
            .await,
        ["AAPL", "IBM", "MSFT"].map(|symbol| vec![text(symbol), Value::Float(159.0)])
    );
    let joined = "SELECT count(*) FROM stock_prices a JOIN stock_prices b
                  ON a.start_timestamp = b.start_timestamp WHERE a.symbol = 'AAPL' AND b.symbol = 'IBM'";
    assert_eq!(sandbox.value(joined).await, Value::Int(60));
    let half_hours = "SELECT date_bin(INTERVAL '30 minutes', start_timestamp) AS half, count(*) AS bars
                      FROM stock_prices GROUP BY half ORDER BY half";
    let halves = sandbox.rows(half_hours).await;
    assert_eq!(halves, [0, 30].map(|n| vec![Value::Int(OPEN + n * MINUTE), Value::Int(90)]));
    let before = "SELECT close - lag(close) OVER (PARTITION BY symbol ORDER BY start_timestamp) AS step
                  FROM stock_prices WHERE symbol = 'IBM' ORDER BY start_timestamp LIMIT 2";
    assert_eq!(sandbox.rows(before).await, [vec![Value::Null], vec![Value::Float(1.0)]]);
}

#[tokio::test]
async fn names_that_meet_are_told_apart_and_what_no_column_holds_is_text() {
    let sandbox = Sandbox::new(1).await;
    let sql = "SELECT a.symbol, b.symbol, INTERVAL '90 seconds' AS step, 0.0 / 0.0 AS none
               FROM stock_prices a CROSS JOIN stock_prices b WHERE a.symbol = 'IBM' AND b.symbol = 'MSFT'";
    let mut answer = sandbox.explorer.query(sql).await.unwrap();
    let names: Vec<_> = answer.columns().iter().map(|column| column.name.clone()).collect();
    assert_eq!(names, ["symbol", "symbol_2", "step", "none"]);
    let row = answer.all().await.unwrap().remove(0);
    assert_eq!(row[..2], [text("IBM"), text("MSFT")]);
    assert!(row[2].as_str().unwrap().contains("30"), "{row:?}");
    assert_eq!(row[3], Value::Null);
}

#[tokio::test]
async fn a_symbol_and_a_time_are_left_to_the_store() {
    let sandbox = Sandbox::new(100).await;
    let sql = "SELECT count(*) FROM stock_prices WHERE symbol = 'IBM'
               AND start_timestamp >= '2013-10-04T13:40:00Z' AND start_timestamp < '2013-10-04T13:45:00Z'";
    assert_eq!(sandbox.value(sql).await, Value::Int(5));
    let reads = sandbox.reads().await;
    assert_eq!(reads.len(), 1);
    assert_eq!(reads[0].tags, [("symbol".to_owned(), "IBM".to_owned())]);
    assert_eq!((reads[0].from, reads[0].to), (Some(OPEN + 10 * MINUTE), Some(OPEN + 15 * MINUTE)));

    let sql = "SELECT count(*) FROM stock_prices WHERE start_timestamp BETWEEN '2013-10-04T13:40:00Z'
               AND '2013-10-04T13:45:00Z' AND start_timestamp < now() AND close > 0";
    assert_eq!(sandbox.value(sql).await, Value::Int(18));
    let reads = sandbox.reads().await;
    assert_eq!((reads[0].from, reads[0].to), (Some(OPEN + 10 * MINUTE), Some(OPEN + 15 * MINUTE + 1)));
    assert_eq!(
        sandbox.value("SELECT count(*) FROM stock_prices WHERE symbol = 'A' AND symbol = 'B'").await,
        Value::Int(0)
    );
}

#[tokio::test]
async fn a_long_table_is_read_in_pages_and_no_further_than_is_wanted() {
    let sandbox = Sandbox::new(5_000).await;
    assert_eq!(sandbox.value("SELECT sum(volume) FROM stock_prices").await, Value::Float(150_000.0));
    assert!(sandbox.reads().await.iter().all(|read| read.limit.is_some_and(|limit| limit <= 4_096)));
    assert_eq!(sandbox.rows("SELECT close FROM stock_prices WHERE symbol = 'IBM' LIMIT 3").await.len(), 3);
    let reads = sandbox.reads().await;
    assert_eq!(reads.iter().map(|read| read.limit).collect::<Vec<_>>(), [Some(3)]);
}

#[tokio::test]
async fn the_order_of_the_store_needs_no_sort() {
    let sandbox = Sandbox::new(3).await;
    for sql in [
        "SELECT symbol, start_timestamp, close FROM stock_prices ORDER BY symbol, start_timestamp",
        "SELECT close, start_timestamp FROM stock_prices WHERE symbol = 'IBM' ORDER BY start_timestamp",
    ] {
        let plan = format!("{:?}", sandbox.rows(&format!("EXPLAIN {sql}")).await);
        assert!(plan.contains("StreamingTableExec") && !plan.contains("SortExec"), "{plan}");
    }
}

#[tokio::test]
async fn tables_and_their_columns_can_be_listed() {
    let sandbox = Sandbox::new(1).await;
    let tables = format!("{:?}", sandbox.rows("SHOW TABLES").await);
    assert!(tables.contains("stock_prices") && tables.contains("news_articles"), "{tables}");
    for sql in ["SHOW COLUMNS FROM stock_prices", "DESCRIBE stock_prices"] {
        let columns = format!("{:?}", sandbox.rows(sql).await);
        assert!(columns.contains("start_timestamp") && columns.contains("close"), "{sql}: {columns}");
    }
}

#[tokio::test]
async fn parts_of_texts_and_of_arrays_can_be_asked_for() {
    let sandbox = Sandbox::new(3).await;
    for (sql, wanted) in [
        ("SELECT substr('abc', 1, 1)", text("a")),
        ("SELECT substring('abc', 2)", text("bc")),
        ("SELECT substring('abc' FROM 1 FOR 2)", text("ab")),
        ("SELECT position('b' IN 'abc')", Value::Int(2)),
        ("SELECT strpos('abc', 'c')", Value::Int(3)),
        ("SELECT overlay('abc' PLACING 'X' FROM 2 FOR 1)", text("aXc")),
        ("SELECT trim(BOTH 'x' FROM 'xax')", text("a")),
        ("SELECT extract(year FROM start_timestamp) FROM stock_prices LIMIT 1", Value::Int(2013)),
        ("SELECT [1, 2]", text("[1, 2]")),
        ("SELECT make_array(1, 2)", text("[1, 2]")),
        ("SELECT [1, 2][2]", Value::Int(2)),
        (
            "SELECT (array_agg(close ORDER BY start_timestamp))[1] FROM stock_prices WHERE symbol = 'IBM'",
            Value::Float(100.0),
        ),
        ("SELECT array_length(array_agg(close)) FROM stock_prices", Value::Int(9)),
    ] {
        assert_eq!(sandbox.value(sql).await, wanted, "{sql}");
    }
}

/// Every operation on integers.
#[tokio::test]
async fn whole_numbers_that_run_out_are_an_error_and_never_go_on_at_the_other_end() {
    let sandbox = Sandbox::new(2).await;
    const MOST: &str = "9223372036854775807";
    let two = format!("(SELECT {MOST} AS x UNION ALL SELECT 1)");
    let three = format!("(SELECT {MOST} AS x, 1 AS k UNION ALL SELECT 1, 1 UNION ALL SELECT 2, 1)");
    for sql in [
        format!("SELECT {MOST} + 1"),
        format!("SELECT -{MOST} - 2"),
        format!("SELECT {MOST} * 2"),
        format!("SELECT x + 1 FROM {two}"),
        format!("SELECT 2 - x - {MOST} - x FROM {two}"),
        format!("SELECT x * x FROM {two}"),
        format!("SELECT -(-x - 1) FROM {two}"),
        format!("SELECT abs(-x - 1) FROM {two}"),
        format!("SELECT (-x - 1) / -1 FROM {two}"),
        format!("SELECT x FROM {two} WHERE x + 1 > 0"),
        format!("SELECT count(*) FROM {two} GROUP BY x + 1"),
        format!("SELECT x FROM {two} ORDER BY x + 1"),
        format!("SELECT CASE WHEN x > 5 THEN x + 1 ELSE 0 END FROM {two}"),
        format!("SELECT max(x + 1) FROM {two}"),
        format!("SELECT a.x FROM {two} a JOIN {two} b ON a.x + 1 = b.x"),
        format!("SELECT (SELECT max(x + 1) FROM {two})"),
        format!("SELECT sum(x) FROM {two}"),
        format!("SELECT sum(DISTINCT x) FROM {two}"),
        format!("SELECT sum(DISTINCT x), count(DISTINCT k), sum(x) FROM {three}"),
        format!("SELECT k, sum(x) FROM {three} GROUP BY k"),
        format!("SELECT sum(x + 1) FROM {two}"),
        format!("SELECT sum(x) OVER (ORDER BY x) FROM {two}"),
        format!("SELECT sum(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM {three}"),
        format!("SELECT sum(x) OVER (PARTITION BY k) FROM {three}"),
        "SELECT factorial(25)".into(),
        "SELECT CAST(1e300 AS BIGINT)".into(),
        "SELECT CAST('9223372036854775808' AS BIGINT)".into(),
        "SELECT 18446744073709551615".into(),
        "SELECT CAST('18446744073709551615' AS BIGINT UNSIGNED)".into(),
        "SELECT CAST('99999999999999999999' AS DECIMAL(30, 0))".into(),
    ] {
        let found = match sandbox.explorer.query(&sql).await {
            Ok(mut answer) => answer.all().await,
            Err(error) => Err(error),
        };
        assert!(found.is_err(), "{sql}: {found:?}");
    }
    let said = sandbox.refused("SELECT 9223372036854775807 + 1").await.to_string();
    assert!(said.contains("9223372036854775807 + 1 does not fit") && said.contains("AS DOUBLE"), "{said}");
    let said = sandbox.refused("SELECT 18446744073709551615").await.to_string();
    assert!(said.contains("18446744073709551615 exceeds the integers of an answer"), "{said}");
    for (sql, wanted) in [
        (format!("SELECT {MOST} - 1"), Value::Int(i64::MAX - 1)),
        (
            format!("SELECT sum(x) FROM (SELECT {MOST} AS x UNION ALL SELECT 1 UNION ALL SELECT -1)"),
            Value::Int(i64::MAX),
        ),
        ("SELECT row_number() OVER () - 2 FROM stock_prices LIMIT 1".into(), Value::Int(-1)),
        ("SELECT CAST(18446744073709551615 AS VARCHAR)".into(), text("18446744073709551615")),
        ("SELECT CAST(9223372036854775807 AS DOUBLE) + 1".into(), Value::Float(9_223_372_036_854_775_808.0)),
    ] {
        assert_eq!(sandbox.value(&sql).await, wanted, "{sql}");
    }
}

/// The days of an exchange are days in its time zone.
#[tokio::test]
async fn days_of_a_place_come_from_date_trunc_with_its_zone() {
    let sandbox = Sandbox::new(1).await;
    let bars = "(SELECT to_timestamp_millis(column1) AS at FROM (VALUES (1709908200000), (1709944200000), (1710163800000)))";
    let days = |day: &str| format!("SELECT count(*) AS bars FROM {bars} GROUP BY {day} ORDER BY {day}");
    let truncated = "date_trunc('day', at AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')";
    assert_eq!(sandbox.rows(&days(truncated)).await, [[Value::Int(2)], [Value::Int(1)]]);
}
