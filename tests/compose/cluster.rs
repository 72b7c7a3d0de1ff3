//! The three brokers of production, as processes of a real Kafka with the settings of
//! the files: who may write what, and what a backup of theirs restores.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use log::{Append, KafkaConfig, KafkaLog, Log, LogError};
use model::topic::{ALERTS, NEWS_ARTICLES, STOCK_PRICES, Topic, WATCHLIST};
use serde_json::Value;
use testkit::ports;

use crate::harness::{Setup, Stack};

/// The brokers, by the names of their services and volumes.
const BROKERS: [&str; 3] = ["kafka", "kafka-2", "kafka-3"];
/// How long brokers may take to come up, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// The broker's program in the official image: settings from variables, a disk that is
/// formatted if it is empty, then the broker.
const RUN: &str = r#"#!/bin/bash
java -Xmx96m -cp "$LIBS" kafka.docker.KafkaDockerWrapper setup -D "$FOLDER/docker" -M "$FOLDER/shared" -F "$FOLDER/final" >"$FOLDER/setup" 2>&1
exec java -Xmx320m -XX:TieredStopAtLevel=1 $KAFKA_OPTS -cp "$LIBS" kafka.Kafka "$FOLDER/final/server.properties"
"#;
const ACLS: &str = "#!/bin/bash\nexec java -Xmx128m -XX:TieredStopAtLevel=1 -cp \"$LIBS\" org.apache.kafka.tools.AclCommand \"$@\"\n";

struct Cluster {
    folder: tempfile::TempDir,
    stack: Stack,
    libs: String,
    /// Of each broker, for clients and for the other brokers.
    ports: [(u16, u16); 3],
    running: BTreeMap<usize, Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for broker in self.running.values_mut() {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }
}

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(path).status().unwrap().success());
}

impl Cluster {
    /// Three brokers that have never run, with the users that `tickwire init` makes.
    fn new() -> Option<Cluster> {
        let stack = Setup::of(&["compose.yaml", "compose.live.yaml", "compose.prod.yaml"]).read()?;
        let Some(home) = std::env::var_os("TEST_KAFKA_HOME") else {
            eprintln!("SKIPPED: no Kafka here; TEST_KAFKA_HOME=$(.ci/kafka) brings one");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let ports = [(); 3].map(|()| (ports::free(), ports::free()));
        let libs = Path::new(&home).join("libs/*").display().to_string();
        let cluster = Cluster { folder, stack, libs, ports, running: BTreeMap::new() };
        write_program(&cluster.path("run"), RUN);
        write_program(&cluster.path("acls"), ACLS);
        fs::create_dir(cluster.path("volumes")).unwrap();
        fs::create_dir(cluster.path("programs")).unwrap();
        fs::copy(repository("tests/compose/docker"), cluster.path("programs/docker")).unwrap();
        let config = serde_json::to_string(&cluster.stack.config).unwrap();
        fs::write(cluster.path("config.json"), config).unwrap();
        // InfluxDB is not there; users of Kafka come before it.
        let init = Command::new(env!("CARGO_BIN_EXE_tickwire"))
            .args(["init", "--kafka-users", "--secrets"])
            .arg(cluster.path("secrets"))
            .env("TICKWIRE_INFLUXDB__URL", "http://127.0.0.1:9")
            .output()
            .unwrap();
        assert!(cluster.path("secrets/kafka/jaas.conf").exists(), "{init:?}");
        for name in BROKERS.into_iter().chain(["kafka-notes"]) {
            fs::create_dir(cluster.volume(name)).unwrap();
        }
        Some(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn volume(&self, name: &str) -> PathBuf {
        self.path("volumes").join(format!("tickwire_{name}"))
    }

    /// The settings of a broker as its file has them, but for this machine's ports.
    fn settings(&self, at: usize) -> Vec<(String, String)> {
        let (clients, brokers) = self.ports[at];
        let here = |value: String| {
            let mut value = value
                .replace("://:9092", &format!("://127.0.0.1:{clients}"))
                .replace("://:9093", &format!("://127.0.0.1:{brokers}"))
                .replace("/run/tickwire", &self.path("secrets").display().to_string());
            for (name, (clients, brokers)) in BROKERS.iter().zip(self.ports) {
                value = value
                    .replace(&format!("{name}:9092"), &format!("127.0.0.1:{clients}"))
                    .replace(&format!("{name}:9093"), &format!("127.0.0.1:{brokers}"));
            }
            value
        };
        let environment = self.stack.service(BROKERS[at]).environment();
        environment.into_iter().map(|(name, value)| (name, here(value))).collect()
    }

    fn start(&mut self, at: usize) {
        let folder = self.path(&format!("broker-{at}"));
        for name in ["docker", "shared", "final"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for name in ["server.properties", "log4j2.yaml", "tools-log4j2.yaml"] {
            fs::write(folder.join("docker").join(name), "").unwrap();
        }
        let said = fs::File::create(folder.join("said")).unwrap();
        let broker = Command::new("bash")
            .arg(repository("deploy/kafka-broker"))
            .envs(self.settings(at))
            .env("KAFKA_LOG_DIRS", self.volume(BROKERS[at]))
            .env("KAFKA_NOTES", self.volume("kafka-notes"))
            .env("KAFKA_RUN", self.path("run"))
            .env("LIBS", &self.libs)
            .env("FOLDER", &folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        self.running.insert(at, broker);
    }

    fn said(&self, at: usize) -> String {
        let folder = self.path(&format!("broker-{at}"));
        ["setup", "said"].map(|file| fs::read_to_string(folder.join(file)).unwrap_or_default()).concat()
    }

    /// Starts all in an order, each a moment after the one before.
    fn start_in_order(&mut self, order: [usize; 3]) {
        for at in order {
            self.start(at);
            std::thread::sleep(Duration::from_secs(2));
        }
        let until = Instant::now() + PATIENCE;
        for at in order {
            while TcpStream::connect(("127.0.0.1", self.ports[at].0)).is_err() {
                assert!(Instant::now() < until, "broker {at} does not listen: {}", self.said(at));
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    fn stop(&mut self) {
        for broker in self.running.values() {
            let _ = Command::new("kill").args(["-TERM", &broker.id().to_string()]).status();
        }
        // The last one finds no majority to say goodbye to, and is killed.
        let until = Instant::now() + Duration::from_secs(15);
        for (_, mut broker) in std::mem::take(&mut self.running) {
            while broker.try_wait().unwrap().is_none() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(100));
            }
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }

    fn servers(&self) -> String {
        self.ports.map(|(clients, _)| format!("127.0.0.1:{clients}")).join(",")
    }

    /// The log as a service sees it, signed in with the password in a file.
    fn log(&self, user: &str, password: &str) -> KafkaLog {
        let password = fs::read_to_string(self.path("secrets").join(password)).unwrap_or(password.to_owned());
        let client = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", user),
            ("sasl.password", &password),
        ];
        KafkaLog::new(&KafkaConfig {
            client: client.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            patience: Some(PATIENCE),
            ..KafkaConfig::new(self.servers())
        })
        .unwrap()
    }

    fn allow_what_the_script_says(&self) {
        let settings = self.path("secrets/kafka/admin.properties");
        let said = Command::new("bash")
            .arg(repository("deploy/kafka-rights"))
            .arg(self.servers())
            .arg(settings)
            .env("KAFKA_ACLS", self.path("acls"))
            .env("LIBS", &self.libs)
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
    }

    /// Runs a script of `deploy/` on volumes that are folders here.
    fn deploy(&self, script: &str, folder: &str) -> Output {
        let path = std::env::join_paths(
            [self.path("programs")]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        Command::new("bash")
            .arg(repository("deploy").join(script))
            .arg(self.path(folder))
            .env("PATH", path.unwrap())
            .env("FAKE_DOCKER", self.folder.path())
            .env("BACKUP_ENCRYPT", "openssl enc -aes-256-ctr -pbkdf2 -pass pass:for-this-test")
            .env("BACKUP_DECRYPT", "openssl enc -d -aes-256-ctr -pbkdf2 -pass pass:for-this-test")
            .output()
            .unwrap()
    }

    /// All volumes are gone, as with the machine.
    fn lose(&self) {
        fs::remove_dir_all(self.path("volumes")).unwrap();
        fs::create_dir(self.path("volumes")).unwrap();
    }
}

fn bars(count: usize) -> Vec<Append> {
    (0..count).map(|n| Append::json(STOCK_PRICES, &format!("S{n}"), &Value::from(n))).collect()
}

async fn held(log: &KafkaLog, topic: &Topic) -> u64 {
    log.extents(topic).await.unwrap().iter().map(|extent| extent.next - extent.first).sum()
}

#[tokio::test]
async fn on_kafka_a_service_writes_its_own_topics_alone() {
    let Some(mut cluster) = Cluster::new() else { return };
    cluster.start_in_order([0, 1, 2]);
    cluster.allow_what_the_script_says();
    let producer = cluster.log("producer", "producer/kafka-password");
    producer.append(bars(10)).await.unwrap();
    let web = cluster.log("web", "web/kafka-password");
    web.append(vec![Append::json(WATCHLIST, "watchlist", &Value::Null)]).await.unwrap();
    assert_eq!(held(&web, &STOCK_PRICES).await, 10);
    // A lease and a reader under its own name, with what comes back from them.
    drop(producer.lease("producer").await.unwrap());
    let mut reader =
        cluster.log("sink", "sink/kafka-password").reader("sink", &[STOCK_PRICES]).await.unwrap();
    assert!(!reader.poll(100, Duration::from_secs(60)).await.unwrap().is_empty());
    let alerts = cluster.log("alerts", "alerts/kafka-password");
    alerts.append(vec![Append::json(ALERTS, "S1", &Value::Null)]).await.unwrap();
    for (log, topic) in
        [(&alerts, STOCK_PRICES), (&alerts, WATCHLIST), (&producer, NEWS_ARTICLES), (&producer, WATCHLIST)]
    {
        let refused = log.append(vec![Append::json(topic.clone(), "S1", &Value::Null)]).await.unwrap_err();
        assert!(matches!(refused, LogError::Kafka { .. }), "{topic}: {refused}");
        assert!(refused.to_string().to_lowercase().contains("authoriz"), "{topic}: {refused}");
    }
    assert_eq!(held(&web, &STOCK_PRICES).await, 10);
    let stranger = KafkaConfig {
        client: [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "producer"),
            ("sasl.password", "guessed"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        patience: Some(Duration::from_secs(5)),
        ..KafkaConfig::new(cluster.servers())
    };
    assert!(KafkaLog::new(&stranger).unwrap().append(bars(1)).await.is_err(), "a wrong password enters");
}

#[tokio::test]
async fn three_brokers_are_restored_whole_in_any_order_of_start_or_not_at_all() {
    let Some(mut cluster) = Cluster::new() else { return };
    cluster.start_in_order([0, 1, 2]);
    let admin = |cluster: &Cluster| {
        let password = fs::read_to_string(cluster.path("secrets/kafka/admin-password")).unwrap();
        cluster.log("admin", &password)
    };
    admin(&cluster).append(bars(200)).await.unwrap();
    cluster.stop();
    // A broker that is killed leaves indexes of which most are holes: 20 MB a partition.
    let hole = cluster.volume("kafka-notes").join("hole");
    fs::File::create(&hole).unwrap().set_len(1 << 30).unwrap();
    let made = cluster.deploy("backup", "backup");
    assert!(made.status.success(), "{made:?}");

    // One old broker among two with empty disks, whichever starts first: these refuse.
    for name in ["kafka-2", "kafka-3"] {
        fs::remove_dir_all(cluster.volume(name)).unwrap();
        fs::create_dir(cluster.volume(name)).unwrap();
    }
    for at in [1, 2] {
        cluster.start(at);
        let ended = cluster.running.get_mut(&at).unwrap().wait().unwrap();
        assert!(!ended.success() && cluster.said(at).contains("deploy/restore"), "{}", cluster.said(at));
        assert!(fs::read_dir(cluster.volume(BROKERS[at])).unwrap().next().is_none(), "it was formatted");
    }
    cluster.running.clear();

    // Over data that is there, and of brokers that are not all in it, nothing is restored.
    assert!(!cluster.deploy("restore", "backup").status.success());
    cluster.lose();
    let third = cluster.path("backup/kafka-3.tar.gz");
    let kept = fs::read(&third).unwrap();
    fs::write(&third, &kept[..kept.len() / 2]).unwrap();
    assert!(!cluster.deploy("restore", "backup").status.success());
    assert!(fs::read_dir(cluster.path("volumes")).unwrap().next().is_none());
    fs::write(&third, kept).unwrap();

    for order in [[1, 2, 0], [2, 0, 1]] {
        cluster.lose();
        let restored = cluster.deploy("restore", "backup");
        assert!(restored.status.success(), "{restored:?}");
        let restored = fs::metadata(&hole).unwrap();
        assert_eq!(restored.len(), 1 << 30);
        assert!(restored.blocks() * 512 < 1 << 20, "holes take no room");
        cluster.start_in_order(order);
        assert_eq!(held(&admin(&cluster), &STOCK_PRICES).await, 200, "started as {order:?}");
        cluster.stop();
    }
}
