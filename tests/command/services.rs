//! Services by themselves, as far as no server is needed: what they say when
//! something does not fit, and what is told of a process that runs.

use crate::harness::Desk;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn a_service_over_the_embedded_log_and_an_up_over_kafka_say_what_to_run_instead() {
    for service in ["producer", "news-watcher", "engine", "sink", "alerts", "web"] {
        let said = Desk::new().refused(service);
        assert!(said.contains("TICKWIRE_LOG=kafka") && said.contains("tickwire up"), "{service}: {said}");
    }
    let said = Desk::new().with("TICKWIRE_LOG", "kafka").refused("up");
    assert!(said.contains("leave log = \"kafka\""), "{said}");
}

#[test]
fn health_says_whether_a_process_is_well_and_fails_where_nobody_answers() {
    let desk = Desk::new().with("TICKWIRE_METRICS__LISTEN", "127.0.0.1:0");
    let up = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    let told = up.said("Health and metrics are told");
    let address = told.split("address=").nth(1).unwrap().trim().to_owned();
    up.said("the page is served");
    let well = desk.out(&format!("health http://{address}/readyz"));
    assert!(well.contains("sink: working") && well.contains("producer: working"), "{well}");
    let numbers = desk.out(&format!("health http://{address}/metrics"));
    assert!(numbers.contains("tickwire_working{service=\"engine\"} 1"), "{numbers}");
    drop(up);
    let said = desk.refused(&format!("health http://{address}/readyz"));
    assert!(said.contains("does not answer"), "{said}");
}

#[test]
fn deploy_prints_the_text_of_every_job_without_a_cluster_and_refuses_what_would_lose_rows() {
    let line = format!("deploy --print --sql {ROOT}/sql --udfs {ROOT}/udfs");
    let desk = Desk::new()
        .with("TICKWIRE_PRICES", "simulate")
        .with("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", "broker:9092");
    let printed = desk.out(&line);
    assert!(printed.contains("'stock-prices-simulated'") && printed.contains("broker:9092"), "{printed}");
    assert!(!printed.contains("{{"), "{printed}");
    let said = desk.with("TICKWIRE_KAFKA__PARTITIONS", "4").refused(&line);
    assert!(said.contains("set arroyo.parallelism to 4 or more"), "{said}");
}

#[test]
fn deploy_says_where_it_looked_for_a_cluster_that_is_not_there() {
    let desk = Desk::new().with("TICKWIRE_ARROYO__URL", "http://127.0.0.1:9");
    let said = desk.refused(&format!("deploy --dry-run --patience 0 --sql {ROOT}/sql --udfs {ROOT}/udfs"));
    assert!(said.contains("http://127.0.0.1:9") && said.contains("arroyo.url"), "{said}");
}

#[test]
fn a_command_over_a_kafka_that_is_away_says_so_soon() {
    let desk = Desk::new()
        .with("TICKWIRE_LOG", "kafka")
        .with("TICKWIRE_PRICES", "simulate")
        .with("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9");
    let said = desk.refused("topics");
    assert!(said.contains("127.0.0.1:9") && said.contains("kafka.bootstrap_servers"), "{said}");
    let said = desk.refused("export volatility");
    assert!(said.contains("start the sink first") && said.contains("influxdb"), "{said}");
}
