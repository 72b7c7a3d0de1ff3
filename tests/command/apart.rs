//! Questions in SQL in processes of their own: what a question takes, it takes there.

use std::path::Path;
use std::time::Duration;

use model::schema::Value;
use query::explore::{Apart, ExploreError, Explorer, Limits};

use crate::harness::{PATIENCE, Sandbox, assert_words, sample_bars, wait_for};

const LIMITS: Limits =
    Limits { time: PATIENCE, rows: Some(1_000), bytes: Some(1 << 20), memory: 96 << 20, at_once: 1 };

/// Goes on for ever, holds next to nothing, and says nothing.
const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 AS x UNION ALL SELECT 1 - x FROM c) SELECT count(*) FROM c";

/// A text of 10 to the `power` letters out of a few hundred.
fn blown_up(power: usize) -> String {
    let mut from = format!("SELECT '{}' AS x0", "a".repeat(100));
    for level in 0..power - 2 {
        let ten = vec![format!("x{level}"); 10].join(", ");
        from = format!("SELECT concat({ten}) AS x{} FROM ({from})", level + 1);
    }
    format!("SELECT length(x{}) AS length FROM ({from})", power - 2)
}

struct Questions {
    sandbox: Sandbox,
    runtime: tokio::runtime::Runtime,
}

impl Questions {
    /// The bars of the sample, stored.
    fn of_the_sample() -> Questions {
        let sandbox = Sandbox::new();
        sandbox.replay(&sample_bars());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Questions { sandbox, runtime }
    }

    fn explorer(&self, limits: Limits) -> Explorer {
        let run = std::fs::read_to_string(self.sandbox.path("data/last-run")).unwrap();
        let store = self.sandbox.path("data").join(run.trim()).join("store.db");
        let apart = Apart {
            program: env!("CARGO_BIN_EXE_tickwire").into(),
            arguments: vec!["answer".into()],
            store: serde_json::json!({ "Embedded": { "path": store } }).to_string(),
        };
        Explorer::apart(apart, limits)
    }

    fn ask(&self, explorer: &Explorer, sql: &str) -> Result<Vec<Vec<Value>>, ExploreError> {
        self.runtime.block_on(async { explorer.query(sql).await?.all().await })
    }
}

#[test]
fn a_process_of_its_own_gives_the_answer_and_its_errors() {
    let questions = Questions::of_the_sample();
    let explorer = questions.explorer(LIMITS);
    let counted = questions
        .ask(&explorer, "SELECT count(*) AS n, 'é' AS t, 1.5 AS f, true AS b, NULL AS z FROM volatility");
    let counted = counted.unwrap().remove(0);
    assert!(matches!(counted[0], Value::Int(n) if n > 100), "{counted:?}");
    assert_eq!(counted[1..4], [Value::Text("é".into()), Value::Float(1.5), Value::Bool(true)]);
    let error = questions.ask(&explorer, "SELECT nothing\nFROM volatility").unwrap_err();
    assert!(matches!(error, ExploreError::Sql { place: Some(_), .. }), "{error}");
    let error = questions.ask(&explorer, "DROP TABLE volatility").unwrap_err();
    assert!(matches!(error, ExploreError::NotReadOnly { .. }), "{error}");
}

#[test]
fn rows_and_bytes_of_an_answer_have_an_end() {
    let questions = Questions::of_the_sample();
    let cut = |sql: &str, limits: Limits| {
        let explorer = questions.explorer(limits);
        questions.runtime.block_on(async {
            let mut answer = explorer.query(sql).await.unwrap();
            (answer.all().await.unwrap().len(), answer.is_cut())
        })
    };
    assert_eq!(cut("SELECT * FROM volatility", Limits { rows: Some(7), ..LIMITS }), (7, true));
    let (rows, is_cut) =
        cut("SELECT concat(symbol, close) AS x FROM stock_prices", Limits { bytes: Some(2_000), ..LIMITS });
    assert!(is_cut && (1..200).contains(&rows), "{rows}");
    let error =
        questions.ask(&questions.explorer(LIMITS), &blown_up(7).replace("length(x5) AS length", "x5"));
    assert!(matches!(error, Err(ExploreError::TooWide { .. })), "{error:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_question_that_takes_too_much_memory_is_ended_by_its_limit() {
    let questions = Questions::of_the_sample();
    let explorer = questions.explorer(LIMITS);
    for sql in [
        blown_up(10),
        "SELECT array_agg(a.close) FROM stock_prices a, stock_prices b, stock_prices c".to_owned(),
        "SELECT string_agg(a.symbol || b.symbol, ',') FROM stock_prices a, stock_prices b, stock_prices c".to_owned(),
        format!("SELECT replace('{}', 'a', (SELECT string_agg(symbol, '') FROM stock_prices)) || 'x'", "a".repeat(60_000)),
        "WITH RECURSIVE c(x) AS (SELECT 'aaaaaaaaaaaaaaaa' UNION ALL SELECT x || x FROM c) SELECT count(*) FROM c".into(),
    ] {
        let error = questions.ask(&explorer, &sql).unwrap_err();
        let start: String = sql.chars().take(80).collect();
        assert!(
            matches!(error, ExploreError::TooLarge { limit } if limit == LIMITS.memory),
            "{start}: {error}"
        );
    }
    assert_eq!(questions.ask(&explorer, "SELECT 1").unwrap(), [[Value::Int(1)]]);
}

#[test]
fn a_question_whose_time_is_over_is_killed_and_gives_its_place_back() {
    let questions = Questions::of_the_sample();
    let explorer = questions.explorer(Limits { time: Duration::from_secs(1), ..LIMITS });
    let error = questions.ask(&explorer, ENDLESS).unwrap_err();
    assert!(matches!(error, ExploreError::TooSlow { .. }), "{error}");
    // Another explorer waits for the same place with more time.
    wait_for("the place", || match questions.ask(&explorer, "SELECT 1") {
        Ok(rows) => {
            assert_eq!(rows, [[Value::Int(1)]]);
            Some(())
        }
        Err(ExploreError::Busy { .. } | ExploreError::TooSlow { .. }) => None,
        Err(error) => panic!("{error}"),
    });
}

#[test]
fn a_question_ends_when_who_asked_goes_away() {
    let questions = Questions::of_the_sample();
    let explorer = questions.explorer(Limits { time: Duration::from_secs(3_600), ..LIMITS });
    let is_busy = || matches!(questions.ask(&explorer, "SELECT 1"), Err(ExploreError::Busy { .. }));
    // Its columns are known at once, its rows never.
    let mut answer = questions.runtime.block_on(explorer.query(ENDLESS)).unwrap();
    assert!(is_busy());
    let waiting = questions.runtime.spawn(async move { answer.all().await.map(drop) });
    assert!(is_busy());
    waiting.abort();
    // The place is given back once the process is gone, an hour before its time.
    wait_for("the place", || questions.ask(&explorer, "SELECT 1").ok());
}

#[test]
fn no_depth_of_nesting_is_a_fault_of_the_program() {
    let questions = Questions::of_the_sample();
    let explorer = questions.explorer(LIMITS);
    for sql in [
        format!("SELECT {}1{}", "(".repeat(900), ")".repeat(900)),
        format!("SELECT {}true", "NOT ".repeat(1_900)),
        format!("SELECT close{} FROM stock_prices", " + close".repeat(990)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(450)),
        format!("SELECT {}1{}", "abs(".repeat(600), ")".repeat(600)),
    ] {
        let start: String = sql.chars().take(30).collect();
        let answer = questions.ask(&explorer, &sql);
        assert!(
            !matches!(answer, Err(ExploreError::Crashed | ExploreError::Busy { .. })),
            "{start}: {answer:?}"
        );
    }
}

/// The processes that a process has started, with `answer` among their arguments.
#[cfg(target_os = "linux")]
fn questions_of(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let after = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after.split_whitespace();
        let (state, by) = (fields.next(), fields.next().and_then(|by| by.parse::<u32>().ok()));
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if by == Some(parent) && state != Some("Z") && line.ends_with(b"\0answer\0") {
            found.push(id);
        }
    }
    found
}

/// What a process has open, by its numbers.
#[cfg(target_os = "linux")]
fn open_in(process: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    entries.filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.to_str()?.to_owned())).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_question_has_limits_and_no_keys_sockets_or_asker_of_another() {
    let sandbox = Sandbox::new().with("POLYGON_API_KEY", "key-4711-of-prices");
    let mut up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate --news none");
    let address = up.address();
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        wait_for("a place for the question", || {
            runtime.block_on(async {
                let url = format!("http://{address}/api/v1/query");
                let answer = net::http().unwrap().get(url).query(&[("sql", ENDLESS)]).send().await;
                // The end of the process that asks ends this too.
                answer.map_or(Some(()), |answer| (answer.status() == 422).then_some(()))
            })
        });
    });
    let child = wait_for("the question's process", || questions_of(up.id()).first().copied());
    let of = |name: &str| std::fs::read(format!("/proc/{child}/{name}")).unwrap_or_default();
    wait_for("its limits", || {
        let limits = String::from_utf8(of("limits")).unwrap();
        let is_limited =
            |name: &str| limits.lines().any(|line| line.starts_with(name) && !line.contains("unlimited"));
        ["Max data size", "Max cpu time", "Max core file size"]
            .iter()
            .all(|name| is_limited(name))
            .then_some(())
    });
    for name in ["environ", "cmdline"] {
        let bytes = of(name);
        assert!(!bytes.windows(8).any(|part| part == b"key-4711"), "{name} holds a key");
        assert!(!bytes.windows(6).any(|part| part == b"RECURS"), "{name} holds the question");
    }
    let theirs = open_in(up.id());
    for open in open_in(child) {
        let is_inherited = open.starts_with("socket:") && theirs.contains(&open);
        assert!(!is_inherited && !open.contains("log.db"), "{open}");
    }
    up.kill();
    wait_for("the question's end", || (!Path::new(&format!("/proc/{child}/exe")).exists()).then_some(()));
    asking.join().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn the_token_of_a_store_reaches_a_question_by_a_pipe_only() {
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sandbox = Sandbox::new()
        .with("TICKWIRE_LOG", "kafka")
        .with("TICKWIRE_PRICES", "simulate")
        .with("TICKWIRE_STORE", "influxdb")
        .with("TICKWIRE_INFLUXDB__URL", format!("http://{}", silent.local_addr().unwrap()))
        .with("INFLUXDB_TOKEN", "key-4711-of-the-store");
    let mut asking = sandbox.start("query SHOW/**/TABLES");
    // Kept open: a connection that is closed ends the question with an error.
    let _connection = silent.accept().unwrap();
    // A process that ends while it is looked at is looked for again.
    let held = wait_for("the question's process", || {
        let child = questions_of(asking.id()).first().copied()?;
        let read = |name: &str| std::fs::read(format!("/proc/{child}/{name}")).ok();
        Some([read("environ")?, read("cmdline")?]).filter(|held| held.iter().all(|bytes| !bytes.is_empty()))
    });
    for bytes in held {
        assert!(!bytes.windows(8).any(|part| part == b"key-4711"), "a key is shown");
    }
    asking.kill();
}

#[test]
fn the_pipeline_goes_on_beside_a_question_that_takes_everything() {
    let sandbox = Sandbox::new();
    let up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    let address = up.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = |sql: &str| {
        runtime.block_on(async {
            let url = format!("http://{address}/api/v1/query");
            let answer = net::http().unwrap().get(url).query(&[("sql", sql)]).send().await.ok()?;
            Some((answer.status().as_u16(), answer.text().await.ok()?))
        })
    };
    let (status, said) = wait_for("an answer", || asked(&blown_up(10)).filter(|(status, _)| *status != 503));
    assert_eq!(status, 422, "{said}");
    assert_words!(said);
    let (status, said) =
        wait_for("a place", || asked("SELECT 1 AS one").filter(|(status, _)| *status != 503));
    assert_eq!((status, said.contains("[[1]]")), (200, true), "{said}");
    // It is the process that it was: what it has taken at most is nothing of that.
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string(format!("/proc/{}/status", up.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let most: u64 = most.split_whitespace().next().unwrap().parse().unwrap();
        assert!(most < 700 << 10, "{most} kB");
    }
}
