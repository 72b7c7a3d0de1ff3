//! A real Kafka: one node in KRaft mode with ports and a folder of its own, which can be
//! stopped, killed, suspended and restarted.
//!
//! `TEST_KAFKA_HOME` names the folder with Kafka's jars in `libs/`; `.ci/kafka` installs them.
//! Without it there is no Kafka, and a message says so.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::ports;

/// The timeout for a node to start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const CLUSTER: &str = "dGlja3dpcmUtdGVzdHMtMQ";

/// A node, stopped on drop or with the process that started it.
pub struct Kafka {
    home: PathBuf,
    folder: PathBuf,
    port: u16,
    /// Java's memory options.
    heap: String,
    node: Mutex<Option<Node>>,
}

struct Node {
    java: Child,
    /// Kills the node when the pipe to its input is closed, which happens however this process
    /// ends.
    watchdog: Child,
}

impl Kafka {
    /// The node shared by the tests of one program; each test uses topics of its own.
    pub fn shared() -> Option<&'static Kafka> {
        static SHARED: OnceLock<Option<Kafka>> = OnceLock::new();
        SHARED.get_or_init(Kafka::start).as_ref()
    }

    /// Starts a node of its own; `None`, with a message, if there are no jars.
    ///
    /// # Panics
    /// When there are jars and the node does not start.
    pub fn start() -> Option<Kafka> {
        Kafka::with_heap("-Xmx512m")
    }

    /// As [`Kafka::start`], with memory options as in `KAFKA_HEAP_OPTS`.
    ///
    /// # Panics
    /// When there are jars and the node does not start.
    pub fn with_heap(heap: &str) -> Option<Kafka> {
        let Some(home) = std::env::var_os("TEST_KAFKA_HOME") else {
            // Not `eprintln!`, which the test runner captures.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: no Kafka here; TEST_KAFKA_HOME=$(.ci/kafka) brings one"
            );
            return None;
        };
        let (port, controller) = (ports::free(), ports::free());
        let folder = std::env::temp_dir().join(format!("kafka-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for Kafka");
        fs::write(folder.join("server.properties"), properties(&folder, port, controller)).expect("settings");
        let kafka = Kafka { home: home.into(), folder, port, heap: heap.to_owned(), node: Mutex::default() };
        kafka.format();
        kafka.start_again();
        Some(kafka)
    }

    /// The bootstrap servers for clients.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Restarts the node with its data after it was stopped or killed.
    ///
    /// # Panics
    /// When it does not start in time.
    pub fn start_again(&self) {
        let mut node = self.node();
        assert!(node.is_none(), "Kafka runs already");
        let java = self.java("kafka.Kafka", &[&self.settings()]).spawn().expect("java starts");
        let watchdog = Command::new("sh")
            .args(["-c", "cat; kill -9 $0; rm -rf \"$1\"", &java.id().to_string()])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh starts");
        *node = Some(Node { java, watchdog });
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "Kafka does not listen; it said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it with SIGTERM.
    pub fn stop(&self) {
        self.end("TERM");
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        self.end("KILL");
    }

    /// Suspends it (SIGSTOP) with its connections open.
    pub fn hold(&self) {
        self.signal("STOP");
    }

    /// Continues it.
    pub fn let_go(&self) {
        self.signal("CONT");
    }

    fn end(&self, how: &str) {
        self.signal(how);
        if let Some(mut node) = self.node().take() {
            let _ = node.watchdog.kill();
            let _ = node.watchdog.wait();
            let _ = node.java.wait();
        }
    }

    fn signal(&self, name: &str) {
        if let Some(node) = &*self.node() {
            let _ = Command::new("kill").args([format!("-{name}"), node.java.id().to_string()]).status();
        }
    }

    fn format(&self) {
        let settings = self.settings();
        let done = self.java("kafka.tools.StorageTool", &["format", "-t", CLUSTER, "-c", &settings]).status();
        assert!(done.is_ok_and(|done| done.success()), "storage is not formatted:\n{}", self.said());
    }

    fn java(&self, class: &str, arguments: &[&str]) -> Command {
        let log = |name: &str| File::create(self.folder.join(name)).expect("a file for Kafka's words");
        let mut java = Command::new("java");
        java.args(self.heap.split_whitespace());
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(self.home.join("libs/*"))
            .arg(class)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log("out"))
            .stderr(log("errors"));
        java
    }

    fn settings(&self) -> String {
        self.folder.join("server.properties").display().to_string()
    }

    fn said(&self) -> String {
        ["out", "errors"].map(|file| fs::read_to_string(self.folder.join(file)).unwrap_or_default()).concat()
    }

    fn node(&self) -> MutexGuard<'_, Option<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn properties(folder: &Path, port: u16, controller: u16) -> String {
    let data = folder.join("data").display().to_string();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=1000
"
    )
}
