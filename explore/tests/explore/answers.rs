//! What queries give, and how little they read for it.

use wire::schema::{ColumnType, Value};
use wire::time::MINUTE;

use crate::harness::{Desk, OPEN};

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[tokio::test]
async fn rows_come_with_their_columns_and_types() {
    let desk = Desk::new(3).await;
    let sql = "SELECT symbol, start_timestamp, close, close > 101 AS above, vwap, 7 AS n FROM stock_prices
               WHERE symbol = 'IBM' ORDER BY close DESC";
    let mut answer = desk.explorer.query(sql).await.unwrap();
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
    let desk = Desk::new(60).await;
    assert_eq!(desk.value("SELECT count(*) FROM stock_prices").await, Value::Int(180));
    assert_eq!(
        desk.rows("SELECT symbol, max(close) AS top FROM stock_prices GROUP BY symbol ORDER BY symbol").await,
        ["AAPL", "IBM", "MSFT"].map(|symbol| vec![text(symbol), Value::Float(159.0)])
    );
    let joined = "SELECT count(*) FROM stock_prices a JOIN stock_prices b
                  ON a.start_timestamp = b.start_timestamp WHERE a.symbol = 'AAPL' AND b.symbol = 'IBM'";
    assert_eq!(desk.value(joined).await, Value::Int(60));
    let half_hours = "SELECT date_bin(INTERVAL '30 minutes', start_timestamp) AS half, count(*) AS bars
                      FROM stock_prices GROUP BY half ORDER BY half";
    let halves = desk.rows(half_hours).await;
    assert_eq!(halves, [0, 30].map(|n| vec![Value::Int(OPEN + n * MINUTE), Value::Int(90)]));
    let before = "SELECT close - lag(close) OVER (PARTITION BY symbol ORDER BY start_timestamp) AS step
                  FROM stock_prices WHERE symbol = 'IBM' ORDER BY start_timestamp LIMIT 2";
    assert_eq!(desk.rows(before).await, [vec![Value::Null], vec![Value::Float(1.0)]]);
}

#[tokio::test]
async fn names_that_meet_are_told_apart_and_what_no_column_holds_is_text() {
    let desk = Desk::new(1).await;
    let sql = "SELECT a.symbol, b.symbol, INTERVAL '90 seconds' AS step, 0.0 / 0.0 AS none
               FROM stock_prices a CROSS JOIN stock_prices b WHERE a.symbol = 'IBM' AND b.symbol = 'MSFT'";
    let mut answer = desk.explorer.query(sql).await.unwrap();
    let names: Vec<_> = answer.columns().iter().map(|column| column.name.clone()).collect();
    assert_eq!(names, ["symbol", "symbol_2", "step", "none"]);
    let row = answer.all().await.unwrap().remove(0);
    assert_eq!(row[..2], [text("IBM"), text("MSFT")]);
    assert!(row[2].as_str().unwrap().contains("30"), "{row:?}");
    assert_eq!(row[3], Value::Null);
}

#[tokio::test]
async fn a_symbol_and_a_time_are_left_to_the_store() {
    let desk = Desk::new(100).await;
    let sql = "SELECT count(*) FROM stock_prices WHERE symbol = 'IBM'
               AND start_timestamp >= '2013-10-04T13:40:00Z' AND start_timestamp < '2013-10-04T13:45:00Z'";
    assert_eq!(desk.value(sql).await, Value::Int(5));
    let reads = desk.reads().await;
    assert_eq!(reads.len(), 1);
    assert_eq!(reads[0].tags, [("symbol".to_owned(), "IBM".to_owned())]);
    assert_eq!((reads[0].from, reads[0].to), (Some(OPEN + 10 * MINUTE), Some(OPEN + 15 * MINUTE)));

    let sql = "SELECT count(*) FROM stock_prices WHERE start_timestamp BETWEEN '2013-10-04T13:40:00Z'
               AND '2013-10-04T13:45:00Z' AND start_timestamp < now() AND close > 0";
    assert_eq!(desk.value(sql).await, Value::Int(18));
    let reads = desk.reads().await;
    assert_eq!((reads[0].from, reads[0].to), (Some(OPEN + 10 * MINUTE), Some(OPEN + 15 * MINUTE + 1)));
    assert_eq!(
        desk.value("SELECT count(*) FROM stock_prices WHERE symbol = 'A' AND symbol = 'B'").await,
        Value::Int(0)
    );
}

#[tokio::test]
async fn a_long_table_is_read_in_pages_and_no_further_than_is_wanted() {
    let desk = Desk::new(5_000).await;
    assert_eq!(desk.value("SELECT sum(volume) FROM stock_prices").await, Value::Float(150_000.0));
    assert!(desk.reads().await.iter().all(|read| read.limit.is_some_and(|limit| limit <= 4_096)));
    assert_eq!(desk.rows("SELECT close FROM stock_prices WHERE symbol = 'IBM' LIMIT 3").await.len(), 3);
    let reads = desk.reads().await;
    assert_eq!(reads.iter().map(|read| read.limit).collect::<Vec<_>>(), [Some(3)]);
}

#[tokio::test]
async fn the_order_of_the_store_needs_no_sort() {
    let desk = Desk::new(3).await;
    for sql in [
        "SELECT symbol, start_timestamp, close FROM stock_prices ORDER BY symbol, start_timestamp",
        "SELECT close, start_timestamp FROM stock_prices WHERE symbol = 'IBM' ORDER BY start_timestamp",
    ] {
        let plan = format!("{:?}", desk.rows(&format!("EXPLAIN {sql}")).await);
        assert!(plan.contains("StreamingTableExec") && !plan.contains("SortExec"), "{plan}");
    }
}

#[tokio::test]
async fn tables_and_their_columns_can_be_listed() {
    let desk = Desk::new(1).await;
    let tables = format!("{:?}", desk.rows("SHOW TABLES").await);
    assert!(tables.contains("stock_prices") && tables.contains("news_articles"), "{tables}");
    for sql in ["SHOW COLUMNS FROM stock_prices", "DESCRIBE stock_prices"] {
        let columns = format!("{:?}", desk.rows(sql).await);
        assert!(columns.contains("start_timestamp") && columns.contains("close"), "{sql}: {columns}");
    }
}
