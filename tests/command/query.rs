//! Questions in SQL over what a run has stored.

use crate::harness::{Sandbox, assert_words, sample_bars};

#[test]
fn a_query_gives_what_the_export_gives() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let exported = sandbox.out("export volatility --format csv");
    assert_eq!(sandbox.out_of("query -", "SELECT * FROM volatility ORDER BY symbol, window_end"), exported);
    assert_eq!(sandbox.out_of("query - --format json", "SELECT 1 AS n, 'a' AS b"), "{\"n\":1,\"b\":\"a\"}\n");
    sandbox.out_of("query - --out rows.parquet", "SELECT * FROM stock_prices");
    assert!(std::fs::read(sandbox.path("rows.parquet")).unwrap().starts_with(b"PAR1"));
}

#[test]
fn a_mistake_in_a_query_is_shown_at_its_place_and_leaves_no_file() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let mistake =
        sandbox.run_with("query - --out x.csv", "SELECT symbol\nFROM volatility WHERE realised > 0");
    assert!(!sandbox.path("x.csv").exists());
    let change = sandbox.run_with("query -", "DROP TABLE volatility");
    assert_words!(mistake.printed + &change.printed + &sandbox.printed(&["query SELECT --data nowhere"]));
}
