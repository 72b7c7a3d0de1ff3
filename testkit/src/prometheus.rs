//! The real Prometheus and promtool: evaluates alarm rules over recorded metrics.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The variable with the folder of both programs.
const HOME: &str = "TEST_PROMETHEUS_HOME";

/// The paths of both programs.
pub struct Prometheus {
    home: PathBuf,
}

/// The metrics from a minute on; `None` if the service did not answer.
pub type Scrape = (u32, Option<String>);

/// A running server that scrapes one address, stopped on drop.
pub struct Scraping {
    /// The base URL.
    pub url: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Scraping {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Finds the programs; `None`, with a message, if they are not available.
    pub fn found() -> Option<Prometheus> {
        let home = std::env::var_os(HOME).filter(|home| !home.is_empty());
        if home.is_none() {
            // Not `eprintln!`, which the test runner captures.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: no Prometheus here; {HOME}=$(.ci/prometheus) brings one"
            );
        }
        Some(Prometheus { home: home?.into() })
    }

    /// Checks a configuration and the rules that it includes with promtool.
    ///
    /// # Errors
    /// With promtool's output.
    pub fn check_config(&self, config: &Path) -> Result<(), String> {
        self.promtool(&["check", "config"], config).map(drop)
    }

    /// The alarms of `rules` that fire `minutes` after the first of `scrapes`, which was at
    /// `began`, in seconds since 1970. Rules are evaluated every minute.
    ///
    /// # Panics
    /// When promtool rejects its input.
    pub fn firing(&self, rules: &Path, began: i64, scrapes: &[Scrape], minutes: u32) -> BTreeSet<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let test = folder.path().join("test.yml");
        std::fs::write(&test, unit_test(rules, began, scrapes, minutes)).expect("a file");
        match self.promtool(&["test", "rules"], &test) {
            Ok(_) => BTreeSet::new(),
            // The test expects no alarm; promtool reports those that fire as the difference.
            Err(said) => {
                let got = said.split("got:").nth(1).unwrap_or_else(|| panic!("{said}"));
                let names = got.split("alertname=\"").skip(1);
                names.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
            }
        }
    }

    fn promtool(&self, command: &[&str], file: &Path) -> Result<String, String> {
        let output = Command::new(self.home.join("promtool"))
            .args(command)
            .arg(file)
            .output()
            .unwrap_or_else(|error| panic!("promtool of {HOME} does not start: {error}"));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    /// Starts a server that scrapes `target` every second with the rules `rules`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn scrape(&self, target: &str, rules: &Path) -> Scraping {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n  - job_name: tickwire\n    static_configs:\n      - targets: ['{target}']\n",
            rules.display()
        );
        std::fs::write(&config, text).expect("a file");
        let address = format!("127.0.0.1:{}", crate::ports::free());
        let child = Command::new(self.home.join("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let scraping = Scraping { url: format!("http://{address}"), child, _folder: folder };
        let http = net::http().expect("an HTTP client");
        for _ in 0..600 {
            let ready = http.get(format!("{}/-/ready", scraping.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return scraping;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("prometheus does not answer");
    }
}

impl Scraping {
    /// The response of an endpoint of its API.
    ///
    /// # Panics
    /// When the response is not JSON.
    pub async fn ask(&self, path: &str, query: &[(&str, &str)]) -> serde_json::Value {
        let http = net::http().expect("an HTTP client");
        let answer = http.get(format!("{}{path}", self.url)).query(query).send().await;
        answer.expect("prometheus answers").json().await.expect("prometheus answers in JSON")
    }
}

/// A promtool unit test that expects no alarm.
fn unit_test(rules: &Path, began: i64, scrapes: &[Scrape], minutes: u32) -> String {
    let mut series: Vec<(String, Vec<Option<String>>)> = Vec::new();
    for (at, (_, scrape)) in scrapes.iter().enumerate() {
        let up = format!("up{{{TARGET}}} {}", u8::from(scrape.is_some()));
        let told = scrape.iter().flat_map(|text| text.lines()).filter_map(sample);
        for (name, value) in told.chain(sample(&up)) {
            let found = series.iter_mut().find(|(known, _)| *known == name);
            let values = match found {
                Some((_, values)) => values,
                None => {
                    series.push((name, vec![None; scrapes.len()]));
                    &mut series.last_mut().expect("one was pushed").1
                }
            };
            values[at] = Some(value);
        }
    }
    let mut text = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    start_timestamp: {began}\n    input_series:\n",
        rules.display()
    );
    for (name, values) in series {
        let at_minute = |minute: u32| {
            let scrape = scrapes.iter().rposition(|(from, _)| *from <= minute)?;
            values[scrape].clone()
        };
        let values: Vec<_> =
            (0..=minutes).map(|minute| at_minute(minute).unwrap_or_else(|| "_".into())).collect();
        let name = name.replace('\'', "''");
        writeln!(text, "      - series: '{name}'\n        values: '{}'", values.join(" ")).expect("a text");
    }
    writeln!(
        text,
        "    promql_expr_test:\n      - expr: 'count by (alertname) (ALERTS{{alertstate=\"firing\"}})'\n        eval_time: {minutes}m\n        exp_samples: []"
    )
    .expect("a text");
    text
}

/// The labels that a scrape adds to every series.
const TARGET: &str = "job=\"tickwire\",instance=\"service:9100\"";

/// A line of metrics as a series with the target's labels, and its value.
fn sample(line: &str) -> Option<(String, String)> {
    let (name, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let of_target = match name.split_once('{') {
        Some(_) if name.starts_with("up{") => name.to_owned(),
        Some((name, labels)) => format!("{name}{{{TARGET},{labels}"),
        None => format!("{name}{{{TARGET}}}"),
    };
    // Histogram buckets are many, and no alarm uses them.
    (!name.contains("_bucket{")).then(|| (of_target, value.to_owned()))
}
