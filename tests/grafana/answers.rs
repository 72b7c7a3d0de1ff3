//! Every query, put to a real InfluxDB that a small run has filled.

use std::path::Path;
use std::process::Command;

use model::time;
use testkit::influxd::Influxd;

use crate::pictures::{Query, queries};

/// The run's symbol that every dashboard is looked at for.
const SYMBOL: &str = "TSLA";
/// A gap, which a replay has none of.
const GAP: &str = "gaps,symbol=TSLA reason=\"no history\",to=1709570000000i 1709569000000000000";

/// A server with a bucket that a replay of the sample was written to.
struct Filled {
    server: Influxd,
    bucket: String,
}

impl Filled {
    /// `None` where there is no server, which is said.
    async fn by_a_replay() -> Option<Filled> {
        let server = Influxd::start().await?;
        let replay = format!(
            "up --listen 127.0.0.1:0 --prices replay:{0}/sample/bars.csv --news replay:{0}/sample/articles.csv --speed max --exit-when-done",
            env!("CARGO_MANIFEST_DIR")
        );
        // A run is named after what its files hold; one without a server says how.
        let first = tempfile::tempdir().unwrap();
        tickwire(first.path(), &replay, &[]);
        let run = std::fs::read_to_string(first.path().join("last-run")).unwrap();
        let bucket = format!("events_{}", run.trim().replace('/', "_"));
        server.make_bucket(&bucket, None).await;
        let variables = [
            ("TICKWIRE_STORE", "influxdb"),
            ("TICKWIRE_INFLUXDB__URL", &server.url),
            ("INFLUXDB_TOKEN", &server.token),
        ];
        tickwire(tempfile::tempdir().unwrap().path(), &replay, &variables);
        server.write(&bucket, GAP).await;
        // A run of seconds tells of a service once, and a rate needs two.
        let later = (time::now() + time::MINUTE) * 1_000_000;
        let again = format!("pipeline,service=producer,figure=bars value=2000 {later}");
        server.write(&bucket, &again).await;
        Some(Filled { server, bucket })
    }

    /// The rows that a query answers, as CSV without its heads.
    async fn rows(&self, query: &Query) -> Vec<String> {
        // What services say has the time of the run; all else that of the sample.
        let (from, to) = match query.flux.contains("\"pipeline\"") {
            true => (time::now() - time::HOUR, time::now() + time::HOUR),
            false => (time::parse("2024-03-04").unwrap(), time::parse("2024-03-06").unwrap()),
        };
        let flux = query
            .flux
            .replace("v.defaultBucket", &format!("\"{}\"", self.bucket))
            .replace("v.timeRangeStart", &time::rfc3339(from))
            .replace("v.timeRangeStop", &time::rfc3339(to))
            .replace("v.windowPeriod", "60000000000")
            .replace("${symbol}", SYMBOL);
        assert!(!flux.contains("${"), "{}: {flux}", query.place);
        let answer = self.server.query(&flux).await;
        let is_head = |line: &&str| line.starts_with(",result,") || line.trim().is_empty();
        answer.lines().filter(|line| !is_head(line)).map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_answers_with_rows_and_none_with_a_clock_record() {
    let Some(filled) = Filled::by_a_replay().await else { return };
    let (mut silent, mut clocks) = (Vec::new(), Vec::new());
    // What alarms look for is not there while all is well: tests/alarms puts it there.
    for query in queries().iter().filter(|query| !query.place.starts_with("alert rule")) {
        let rows = filled.rows(query).await;
        if rows.is_empty() {
            silent.push(query.place.clone());
        }
        clocks.extend(rows.into_iter().filter(|row| row.contains('~')).map(|row| (query.place.clone(), row)));
    }
    assert!(silent.is_empty(), "no rows: {silent:#?}");
    assert!(clocks.is_empty(), "{clocks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_says_that_its_data_is_simulated() {
    let Some(server) = Influxd::shared().await else { return };
    let named = queries().into_iter().filter(|query| query.place.ends_with("/ data")).collect::<Vec<_>>();
    assert_eq!(named.len(), 5);
    for query in named {
        for (bucket, said) in
            [("events", "live"), ("events_simulated", "simulated"), ("events_replayed_0", "replayed")]
        {
            let flux = query.flux.replace("v.defaultBucket", &format!("\"{bucket}\""));
            let answer = server.query(&flux).await;
            assert!(answer.lines().any(|line| line.ends_with(&format!(",{said}"))), "{answer}");
        }
    }
}

/// Runs `tickwire LINE` over a data folder to its end.
fn tickwire(data: &Path, line: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
    command.args(line.split_whitespace()).env("TICKWIRE_DATA_DIR", data).envs(variables.iter().copied());
    let output = testkit::command::output(&mut command, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
