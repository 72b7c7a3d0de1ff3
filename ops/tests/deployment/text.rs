//! The text that the cluster gets.

use ops::deployer::DeployError;

use crate::harness::{Sandbox, job};

fn text(sandbox: &Sandbox, job: &str) -> String {
    let desired = sandbox.desired().unwrap();
    desired.pipelines.into_iter().find(|pipeline| pipeline.job == job).unwrap().text.text
}

#[tokio::test]
async fn settings_come_first_then_the_tables_that_are_read_then_the_job() {
    let sandbox = Sandbox::new().await;
    let body = job("calm", "realized(close)", "news_articles")
        .replace("INSERT", "SET updating_ttl = INTERVAL '2 hours';\nINSERT");
    sandbox.write("sql/calm.sql", &body);
    let text = text(&sandbox, "calm");
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in\n{text}"));
    assert!(place("SET updating_ttl") < place("CREATE TABLE news_articles"));
    assert!(place("CREATE TABLE news_articles") < place("CREATE TABLE calm"));
    assert!(place("CREATE TABLE calm") < place("INSERT INTO calm"));
    assert!(!text.contains("stock_prices"), "{text}");
}

#[tokio::test]
async fn addresses_and_the_names_of_simulated_topics_are_filled_in() {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.topic_suffix = "-simulated".to_owned();
    sandbox.settings.bootstrap_servers = "it's:9092".to_owned();
    let text = text(&sandbox, "calm");
    assert!(text.contains("topic = 'stock-prices-simulated'") && text.contains("topic = 'calm-simulated'"));
    assert!(text.contains("bootstrap_servers = 'it''s:9092'"), "{text}");
    assert!(sandbox.desired().unwrap().pipelines[0].name.starts_with("tickwire-simulated-"));
}

#[tokio::test]
async fn every_table_signs_in_to_kafka_and_the_text_holds_no_password() {
    let mut sandbox = Sandbox::new().await;
    let plain = text(&sandbox, "calm");
    assert!(!plain.contains("auth.type"), "{plain}");
    let login = ops::deployer::KafkaLogin { protocol: "SASL_PLAINTEXT".into(), mechanism: "PLAIN".into() };
    sandbox.settings.kafka_login = Some(login);
    let text = text(&sandbox, "calm");
    assert_eq!(text.matches("'auth.type' = 'sasl'").count(), text.matches("CREATE TABLE").count());
    assert!(text.contains("'auth.password' = '{{ KAFKA_PASSWORD }}'"), "{text}");
    assert_eq!(text.lines().count(), plain.lines().count(), "lines keep their places");
}

#[tokio::test]
async fn what_cannot_be_rendered_is_named_with_its_place() {
    for (file, said) in [
        ("SELECT '{{kafka.servers}}';\n", "sql/calm.sql:1: {{kafka.servers}} is no placeholder"),
        ("SELECT 1;\nSELECT 2\n", "sql/calm.sql:2: this statement does not end"),
        ("SELECT 1; SELECT 2;\n", "sql/calm.sql:1: two statements share this line"),
        ("SELECT 'open;\n", "sql/calm.sql:1: "),
    ] {
        let sandbox = Sandbox::new().await;
        sandbox.write("sql/calm.sql", file);
        let error = sandbox.desired().unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named_with_its_flag() {
    let sandbox = Sandbox::new().await;
    std::fs::remove_dir_all(sandbox.path("udfs")).unwrap();
    let error = sandbox.desired().unwrap_err();
    assert!(
        matches!(error, DeployError::Unreadable { .. }) && error.to_string().contains("--udfs"),
        "{error}"
    );
}

#[test]
fn every_source_waits_a_week_for_what_is_silent() {
    let tables = include_str!("../../../sql/tables.sql");
    let set = tables.lines().filter_map(|line| line.trim().strip_prefix("idle_micros = "));
    let micros: Vec<u64> = set.map(|value| value.parse().unwrap()).collect();
    assert_eq!(micros, vec![7 * 24 * 3_600 * 1_000_000; tables.matches("type = 'source'").count()]);
}
