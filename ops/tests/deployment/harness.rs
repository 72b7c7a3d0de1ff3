//! Folders with a few jobs, and a cluster to bring them to.

use std::path::PathBuf;
use std::time::Duration;

use ops::deployer::{Arroyo, DeployError, Desired, Outcome, Settings, Sources};
use testkit::arroyo;

pub const TABLES: &str = "CREATE TABLE stock_prices (
    symbol TEXT NOT NULL
) WITH (
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'stock-prices'
);

CREATE TABLE news_articles (
    id TEXT NOT NULL
) WITH (
    bootstrap_servers = '{{kafka.bootstrap_servers}}',
    topic = 'news-articles'
);
";

/// Two folders, and a cluster.
pub struct Sandbox {
    pub cluster: arroyo::Arroyo,
    pub settings: Settings,
    folder: tempfile::TempDir,
    key: Option<&'static str>,
}

impl Sandbox {
    /// A cluster without a key, and folders with two jobs and two functions.
    pub async fn new() -> Sandbox {
        Sandbox::with_key(None, None).await
    }

    /// The cluster's key, and the one that is given.
    pub async fn with_key(wanted: Option<&str>, given: Option<&'static str>) -> Sandbox {
        let sandbox = Sandbox {
            cluster: arroyo::Arroyo::start(wanted).await,
            settings: Settings {
                bootstrap_servers: "kafka:9092".to_owned(),
                kafka_login: None,
                topic_suffix: String::new(),
                classes: vec![model::AssetClass::Stocks],
                parallelism: 2,
                partitions: 2,
            },
            folder: tempfile::tempdir().unwrap(),
            key: given,
        };
        std::fs::create_dir_all(sandbox.path("sql")).unwrap();
        std::fs::create_dir_all(sandbox.path("udfs")).unwrap();
        sandbox.write("sql/tables.sql", TABLES);
        sandbox.write("sql/calm.sql", &job("calm", "realized(close)", "stock_prices"));
        sandbox.write("sql/storm.sql", &job("storm", "parkinson(high, low)", "stock_prices"));
        sandbox.write("udfs/realized.rs", "fn realized(close: Vec<f64>) -> f64 { 1.0 }");
        sandbox.write("udfs/parkinson.rs", "fn parkinson(high: Vec<f64>) -> f64 { 1.0 }");
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    pub fn desired(&self) -> Result<Desired, DeployError> {
        Desired::of(&Sources::read(&self.path("sql"), &self.path("udfs"))?, &self.settings)
    }

    pub fn arroyo(&self) -> Arroyo {
        let url = self.cluster.url().parse().unwrap();
        Arroyo::new(url, self.key.map(net::Secret::new)).unwrap()
    }

    pub async fn deploy(&self) -> Result<Outcome, DeployError> {
        ops::deployer::deploy(&self.arroyo(), &self.desired()?, Duration::from_secs(60)).await
    }

    /// What a deployment would do, a line a step.
    pub async fn difference(&self) -> Vec<String> {
        let patience = Duration::from_secs(60);
        let found =
            ops::deployer::difference(&self.arroyo(), &self.desired().unwrap(), patience).await.unwrap();
        found.steps.iter().map(ToString::to_string).collect()
    }

    /// The names of the pipelines with the states of their runs.
    pub fn running(&self) -> Vec<(String, String)> {
        self.cluster.pipelines().into_iter().map(|found| (found.name, found.state)).collect()
    }
}

/// A job that writes what an expression yields over a table.
pub fn job(name: &str, expression: &str, table: &str) -> String {
    format!(
        "-- What {name} is.\nCREATE TABLE {name} (\n    value DOUBLE\n) WITH (\n    bootstrap_servers = '{{{{kafka.bootstrap_servers}}}}', topic = '{name}'\n);\n\nINSERT INTO {name}\nSELECT {expression}\nFROM {table};\n"
    )
}
