//! The text that the cluster gets.

use model::AssetClass;
use ops::deployer::{DeployError, Desired, Pipeline, Settings, Sources};

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

/// What a folder says once for each class, as a text of all pipelines.
fn of_classes(folder: &Sources, classes: &[AssetClass]) -> String {
    let settings = Settings {
        bootstrap_servers: "kafka:9092".to_owned(),
        kafka_login: None,
        topic_suffix: String::new(),
        classes: classes.to_vec(),
        parallelism: 2,
        partitions: 2,
    };
    let desired = Desired::of(folder, &settings).unwrap();
    let shown = |pipeline: &Pipeline| format!("== {}\n{}", pipeline.name, pipeline.text.text);
    desired.pipelines.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// The jobs of the repository. Their functions are left out, so that what they become does
/// not depend on how a function is written.
fn repository() -> Sources {
    let folder = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let sources = Sources::read(&folder("sql"), &folder("udfs")).unwrap();
    Sources { functions: Vec::new(), ..sources }
}

#[test]
fn every_job_is_rendered_for_each_class_as_its_golden_file_says() {
    let sources = repository();
    for class in AssetClass::ALL {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/deployment/golden/{class}.sql"));
        let text = of_classes(&sources, &[class]);
        if std::env::var_os("GOLDEN_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        let differ = text.lines().zip(golden.lines()).find(|(text, golden)| text != golden);
        assert_eq!(differ, None, "{class}: a change that is meant is kept with GOLDEN_UPDATE=1");
        assert!(text == golden, "{class}: one is longer than the other");
    }
}

#[test]
fn another_class_differs_from_stocks_by_its_topics_and_names_alone() {
    let sources = repository();
    let stocks = of_classes(&sources, &[AssetClass::Stocks]);
    for (class, raw) in [(AssetClass::Crypto, "crypto-prices"), (AssetClass::Currencies, "currency-prices")] {
        let text = of_classes(&sources, &[class]);
        assert_eq!(text.lines().count(), stocks.lines().count(), "lines keep their places");
        for (line, of_stocks) in text.lines().zip(stocks.lines()).filter(|(line, stocks)| line != stocks) {
            let is_name = line.starts_with("== tickwire-live-") || line.starts_with("-- Tickwire's job ");
            let same = line.replace(raw, "stock-prices").replace(&format!("-{class}"), "");
            assert!(is_name || line.trim().starts_with("topic = '"), "{line}");
            assert_eq!(same, of_stocks);
        }
        assert!(!text.contains("'stock-prices'") && text.contains("topic = 'news-articles'"));
    }
    let all = of_classes(&sources, &AssetClass::ALL);
    assert!(all.starts_with(&stocks), "the pipelines of stocks are what they were, and first");
    assert_eq!(all.matches("\n== ").count() + 1, 3 * sources.jobs.len());
}

#[tokio::test]
async fn a_job_over_news_alone_is_rendered_once_whatever_the_classes() {
    let mut sandbox = Sandbox::new().await;
    sandbox.write("sql/news.sql", &job("news", "realized(close)", "news_articles"));
    sandbox.settings.classes = AssetClass::ALL.to_vec();
    let names = sandbox.desired().unwrap().pipelines.into_iter().map(|pipeline| pipeline.job);
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["calm", "news", "storm", "calm-crypto", "storm-crypto", "calm-currencies", "storm-currencies"]
    );
}
