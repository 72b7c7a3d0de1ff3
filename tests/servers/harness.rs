//! A replay of its own on the servers that all tests share: its files, its
//! topics, its bucket, and what the store must hold in the end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use log::{Append, KafkaConfig, KafkaLog, Log};
use model::topic::Topic;
use testkit::influxd::{Influxd, ORG};
use testkit::kafka::Kafka;
use tokio::sync::{Mutex, MutexGuard};

use crate::process::{PATIENCE, Process};

pub const JOBS: [&str; 5] = ["volatility", "news_impact", "news_reaction", "movers", "signals"];

/// A replay with its topics and its bucket.
pub struct Stack {
    folder: tempfile::TempDir,
    pub kafka: &'static Kafka,
    pub influxd: &'static Influxd,
    /// As `replayed/0123`.
    pub run: String,
    pub bucket: String,
    /// What every process is given beside the usual.
    variables: BTreeMap<String, String>,
    _turn: MutexGuard<'static, ()>,
}

impl Stack {
    /// A replay of `bars` and `articles`, as CSV, on the servers; nothing where there are none.
    pub async fn of(bars: &str, articles: &str) -> Option<Stack> {
        Stack::on(Kafka::shared(), bars, articles).await
    }

    /// The same on a Kafka that nobody else uses.
    pub async fn on_its_own_kafka(bars: &str, articles: &str) -> Option<Stack> {
        let kafka: Option<&Kafka> = Kafka::start().map(|kafka| &*Box::leak(Box::new(kafka)));
        Stack::on(kafka, bars, articles).await
    }

    async fn on(kafka: Option<&'static Kafka>, bars: &str, articles: &str) -> Option<Stack> {
        // One after the other: each is several processes, and a machine has few cores.
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let (kafka, influxd) = (kafka?, Influxd::shared().await?);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bars.csv"), bars).unwrap();
        std::fs::write(folder.path().join("articles.csv"), articles).unwrap();
        let mut stack = Stack {
            folder,
            kafka,
            influxd,
            run: String::new(),
            bucket: String::new(),
            variables: BTreeMap::new(),
            _turn: turn,
        };
        stack.variables = stack.settings();
        let root = env!("CARGO_MANIFEST_DIR");
        let printed = stack.out(&format!("deploy --print --sql {root}/sql --udfs {root}/udfs"));
        let (_, rest) = printed.split_once("'stock-prices-replayed-").unwrap();
        let (hash, _) = rest.split_once('\'').unwrap();
        (stack.run, stack.bucket) = (format!("replayed/{hash}"), format!("events_replayed_{hash}"));
        Some(stack)
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let replay = |name: &str| format!("replay:{}", self.path(name).display());
        [
            ("TICKWIRE_LOG", "kafka".to_owned()),
            ("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", self.kafka.bootstrap_servers()),
            ("TICKWIRE_STORE", "influxdb".into()),
            ("TICKWIRE_INFLUXDB__URL", self.influxd.url.clone()),
            ("TICKWIRE_INFLUXDB__ORG", ORG.into()),
            ("TICKWIRE_INFLUXDB__TOKEN", self.influxd.token.clone()),
            ("TICKWIRE_PRICES", replay("bars.csv")),
            ("TICKWIRE_NEWS", replay("articles.csv")),
            ("TICKWIRE_SPEED", "max".into()),
            ("TICKWIRE_DATA_DIR", self.path("data").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same, with a variable set otherwise, or with `None` not at all.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.variables.insert(name.to_owned(), value.to_owned()),
            None => self.variables.remove(name),
        };
    }

    pub async fn make_bucket(&self) {
        self.influxd.make_bucket(&self.bucket, None).await;
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        let foreign = |name: &String| name.starts_with("TICKWIRE_") || name.contains("_API_KEY");
        std::env::vars().filter(|(name, _)| foreign(name)).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.env_remove("RUST_LOG").envs(&self.variables);
        command
    }

    /// Starts a service.
    pub fn start(&self, service: &str) -> Process {
        Process::start(self.command(service))
    }

    /// Starts the services that a replay goes through.
    pub fn start_all(&self) -> BTreeMap<&'static str, Process> {
        // Against the stream, so that the first records find everybody at work.
        ["sink", "engine", "news-watcher", "producer"].map(|service| (service, self.start(service))).into()
    }

    /// Runs a command to its end, which must be good; gives its output.
    pub fn out(&self, line: &str) -> String {
        output(self.command(line))
    }

    /// Runs a command that must fail; gives what it said.
    pub fn refused(&self, line: &str) -> String {
        let output = testkit::command::output(&mut self.command(line), "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}\n{said}");
        said
    }

    /// Asks a question in SQL over the store; gives the answer as CSV.
    pub fn asked(&self, sql: &str) -> String {
        let mut command = self.command("query --format csv");
        command.arg(sql);
        output(command)
    }

    /// The log, as the services have it.
    pub fn log(&self, partitions: u32) -> Arc<KafkaLog> {
        let suffix = format!("-{}", self.run.replace('/', "-"));
        let config = KafkaConfig { suffix, partitions, ..KafkaConfig::new(self.kafka.bootstrap_servers()) };
        Arc::new(KafkaLog::new(&config).unwrap())
    }

    /// Puts a text onto the end of every partition of a topic.
    pub async fn poison(&self, topic: Topic, text: &'static str) {
        let log = self.log(2);
        let record = |partition| Append {
            topic: topic.clone(),
            key: "poison".into(),
            value: text.into(),
            partition: Some(partition),
        };
        log.append((0..log.partitions()).map(record).collect()).await.unwrap();
    }

    /// How many records a topic holds.
    pub async fn log_records(&self, topic: &Topic) -> u64 {
        let extents = self.log(2).extents(topic).await.unwrap();
        extents.iter().map(|extent| extent.next - extent.first).sum()
    }

    /// Waits until the store holds, for every job, exactly what is computed over
    /// the files, and every bar.
    pub async fn holds_what_is_computed(&self) {
        for job in JOBS {
            let files = format!(
                "--bars {} --news {}",
                self.path("bars.csv").display(),
                self.path("articles.csv").display()
            );
            let computed = sheet(&self.out(&format!("compute {job} {files}")));
            assert!(!computed.is_empty(), "{job} yields rows");
            self.comes_to_hold(job, &computed).await;
        }
        let bars = sheet(&std::fs::read_to_string(self.path("bars.csv")).unwrap()).len();
        let stored = self.stored("stock_prices").await.len();
        assert_eq!(stored, bars, "every bar, once");
    }

    async fn comes_to_hold(&self, measurement: &str, expected: &Sheet) {
        let until = Instant::now() + PATIENCE;
        loop {
            let stored = self.stored(measurement).await;
            let Some(difference) = difference(&stored, expected) else { return };
            assert!(Instant::now() < until, "{measurement}: {difference}");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }

    /// Every point of a measurement, by Flux.
    pub async fn stored(&self, measurement: &str) -> Sheet {
        let flux = format!(
            r#"from(bucket: "{}") |> range(start: 1990-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z)
            |> filter(fn: (r) => r._measurement == "{measurement}")
            |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")"#,
            self.bucket
        );
        sheet(&self.influxd.query(&flux).await)
    }
}

fn output(mut command: Command) -> String {
    let output = testkit::command::output(&mut command, "");
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Rows of named cells, in an order of their own. Cells that are empty are left
/// out, and so are those of Flux itself; numbers are written one way.
pub type Sheet = Vec<BTreeMap<String, String>>;

fn sheet(text: &str) -> Sheet {
    let mut rows = Sheet::new();
    // Flux answers in several tables, each with its heading after an empty line.
    for table in text.replace("\r\n", "\n").split("\n\n").filter(|table| !table.trim().is_empty()) {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(table.as_bytes());
        let headings = reader.headers().unwrap().clone();
        for record in reader.records() {
            let record = record.unwrap();
            let cells = headings.iter().zip(&record).filter(|(name, cell)| is_ours(name) && !cell.is_empty());
            rows.push(cells.map(|(name, cell)| (name.to_owned(), plain(name, cell))).collect());
        }
    }
    rows.sort();
    rows
}

/// Whether a column is not one that only Flux has. The time of a point is, in
/// every job, also among its columns or follows from them.
fn is_ours(name: &str) -> bool {
    name == "_time" || !(name.is_empty() || name.starts_with('_') || matches!(name, "result" | "table"))
}

fn plain(name: &str, cell: &str) -> String {
    if name == "_time" {
        return cell.to_owned();
    }
    cell.parse::<f64>().map_or_else(|_| cell.to_owned(), |number| format!("{number:?}"))
}

/// The first thing in which what is stored differs from what is computed. A
/// point's time stands in no field: it is compared with the column that it is.
fn difference(stored: &Sheet, computed: &Sheet) -> Option<String> {
    if stored.len() != computed.len() {
        return Some(format!("{} points are stored, {} rows computed", stored.len(), computed.len()));
    }
    let mut stored: Sheet = stored.iter().map(|row| with_time(row, computed)).collect();
    stored.sort();
    let differs = |(stored, computed): &(&BTreeMap<_, _>, &BTreeMap<_, _>)| stored != computed;
    let (stored, computed) = stored.iter().zip(computed).find(differs)?;
    let mut text = String::new();
    let _ = write!(text, "stored {stored:?}, computed {computed:?}");
    Some(text)
}

/// The row with its point's time under the name of the column that holds times and no field.
fn with_time(row: &BTreeMap<String, String>, computed: &Sheet) -> BTreeMap<String, String> {
    let mut row = row.clone();
    let time = row.remove("_time").unwrap_or_default();
    let name = ["window_end", "path_time"].into_iter().find(|name| computed[0].contains_key(*name)).unwrap();
    row.insert(name.to_owned(), format!("{:?}", model::time::parse(&time).unwrap() as f64));
    row
}

/// A file that ships with the repository.
pub fn sample(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sample").join(name)).unwrap()
}

/// The sample's bars without the last `fewer`, so that each test has a run of its own.
pub fn sample_bars(fewer: usize) -> String {
    let text = sample("bars.csv");
    let lines: Vec<_> = text.lines().collect();
    lines[..lines.len() - fewer].join("\n") + "\n"
}
