//! Services by themselves, as far as no server is needed: what they say when
//! something does not fit, and what is told of a process that runs.

use crate::harness::{Sandbox, assert_words};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn a_service_over_the_embedded_log_and_an_up_over_kafka_say_what_to_run_instead() {
    let services = ["producer", "news-watcher", "engine", "sink", "alerts", "web"];
    let up = Sandbox::new().with("TICKWIRE_LOG", "kafka").printed(&["up"]);
    assert_words!(Sandbox::new().printed(&services) + &up);
}

#[test]
fn health_says_whether_a_process_is_well_and_fails_where_nobody_answers() {
    let sandbox = Sandbox::new().with("TICKWIRE_METRICS__LISTEN", "127.0.0.1:0");
    let up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    let told = up.said("address=");
    let address = told.split("address=").nth(1).unwrap().trim().to_owned();
    up.address();
    let well = sandbox.out(&format!("health http://{address}/readyz"));
    assert!(well.contains("sink: working") && well.contains("producer: working"), "{well}");
    let numbers = sandbox.out(&format!("health http://{address}/metrics"));
    assert!(numbers.contains("tickwire_working{service=\"engine\"} 1"), "{numbers}");
    drop(up);
    assert_words!(sandbox.refused(&format!("health http://{address}/readyz")));
}

#[test]
fn deploy_prints_the_text_of_every_job_without_a_cluster_and_refuses_what_would_lose_rows() {
    let line = format!("deploy --print --sql {ROOT}/sql --udfs {ROOT}/udfs");
    let sandbox = Sandbox::new()
        .with("TICKWIRE_PRICES", "simulate")
        .with("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", "broker:9092");
    let printed = sandbox.out(&line);
    assert!(printed.contains("'stock-prices-simulated'") && printed.contains("broker:9092"), "{printed}");
    assert!(!printed.contains("{{"), "{printed}");
    assert_words!(sandbox.with("TICKWIRE_KAFKA__PARTITIONS", "4").printed(&[&line]));
}

#[test]
fn deploy_says_where_it_looked_for_a_cluster_that_is_not_there() {
    let sandbox = Sandbox::new().with("TICKWIRE_ARROYO__URL", "http://127.0.0.1:9");
    let line = format!("deploy --dry-run --patience 0 --sql {ROOT}/sql --udfs {ROOT}/udfs");
    assert_words!(sandbox.printed(&[&line]));
}

#[test]
fn a_command_over_a_kafka_that_is_away_says_so_soon() {
    let sandbox = Sandbox::new()
        .with("TICKWIRE_LOG", "kafka")
        .with("TICKWIRE_PRICES", "simulate")
        .with("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9");
    let away = sandbox.refused("topics");
    // Before it come the client's own words, as they happen to be; so do those in brackets.
    let (start, rest) = away.lines().last().unwrap().split_once(" (").unwrap();
    let (_, remedy) = rest.rsplit_once("): ").unwrap();
    assert_words!(format!("{start} (…): {remedy}\n\n{}", sandbox.printed(&["export volatility"])));
}
