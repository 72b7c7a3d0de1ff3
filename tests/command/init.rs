//! `tickwire init` against a real InfluxDB: what it makes, that it makes it once,
//! and what it says when it cannot.

use std::collections::BTreeMap;
use std::fs;

use net::http;
use testkit::influxd::Influxd;

use crate::harness::{Sandbox, assert_words};

const INIT: &str = "init --secrets secrets";

/// Every file that the services find, below the folder of secrets.
const FILES: [&str; 9] = [
    "admin/influxdb-token",
    "admin/passwords",
    "arroyo/arroyo.toml",
    "deployer/arroyo-api-key",
    "grafana/admin-password",
    "grafana/influxdb-token",
    "sink/influxdb-token",
    "web/influxdb-token",
    "web/password-hash",
];

fn sandbox(url: &str) -> Sandbox {
    Sandbox::new().with("TICKWIRE_INFLUXDB__URL", url)
}

fn secrets(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let read = |file: &&str| fs::read_to_string(sandbox.path("secrets").join(file)).ok();
    FILES.iter().filter_map(|file| Some(((*file).to_owned(), read(file)?))).collect()
}

/// The status of writing a point with a token.
async fn write(server: &Influxd, token: &str, bucket: &str) -> u16 {
    let url = format!("{}/api/v2/write?org=tickwire&bucket={bucket}", server.url);
    let request = http().unwrap().post(url).header("authorization", format!("Token {token}"));
    request.body("m value=1").send().await.unwrap().status().as_u16()
}

/// Whether a token sees a bucket.
async fn sees(server: &Influxd, token: &str, bucket: &str) -> bool {
    bucket_of(server, token, bucket).await["name"] == bucket
}

async fn authorizations(server: &Influxd, token: &str) -> usize {
    let request = http().unwrap().get(format!("{}/api/v2/authorizations", server.url));
    let answer = request.header("authorization", format!("Token {token}")).send().await.unwrap();
    answer.text().await.unwrap().matches("\"permissions\"").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_is_set_up_with_what_each_service_needs_and_a_second_run_changes_nothing() {
    let Some(server) = Influxd::start_bare().await else { return };
    let sandbox = sandbox(&server.url);
    let said = sandbox.out(INIT);
    assert_words!(sandbox.without_folders(&said));
    let made = secrets(&sandbox);
    assert_eq!(made.keys().collect::<Vec<_>>(), FILES.iter().collect::<Vec<_>>());
    for (file, secret) in &made {
        assert!(!said.contains(secret.trim()), "{file} is told");
    }
    assert!(made["admin/passwords"].contains(&made["grafana/admin-password"]));
    assert!(made["web/password-hash"].starts_with("$argon2id$"));
    assert!(made["arroyo/arroyo.toml"].contains(&made["deployer/arroyo-api-key"]));

    let (sink, grafana) = (&made["sink/influxdb-token"], &made["grafana/influxdb-token"]);
    assert_eq!(write(&server, sink, "events_simulated").await, 204);
    assert!(matches!(write(&server, sink, "events").await, 403 | 404));
    for reader in [grafana, &made["web/influxdb-token"]] {
        assert!(matches!(write(&server, reader, "events_simulated").await, 401 | 403 | 404));
        assert!(sees(&server, reader, "events_simulated").await);
        assert!(!sees(&server, reader, "events").await);
    }

    let admin = &made["admin/influxdb-token"];
    let known = authorizations(&server, admin).await;
    sandbox.out(INIT);
    assert_eq!(secrets(&sandbox), made);
    assert_eq!(authorizations(&server, admin).await, known);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_made_again_and_what_it_replaces_is_taken_away() {
    use std::os::unix::fs::PermissionsExt;

    let Some(server) = Influxd::start_bare().await else { return };
    let sandbox = sandbox(&server.url);
    sandbox.out(INIT);
    let first = secrets(&sandbox);
    let path = |file: &str| sandbox.path("secrets").join(file);
    let mode = |file: &str| fs::metadata(path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("sink/influxdb-token"), mode("sink")), (0o640, 0o750));
    assert_eq!((mode("admin/influxdb-token"), mode("admin/passwords")), (0o600, 0o600));

    // A token.
    fs::remove_file(path("sink/influxdb-token")).unwrap();
    sandbox.out(INIT);
    let second = secrets(&sandbox);
    assert_ne!(second["sink/influxdb-token"], first["sink/influxdb-token"]);
    assert_eq!(second["web/influxdb-token"], first["web/influxdb-token"]);
    assert_eq!(write(&server, &first["sink/influxdb-token"], "events_simulated").await, 401);
    assert_eq!(write(&server, &second["sink/influxdb-token"], "events_simulated").await, 204);

    // The token of whoever makes tokens.
    fs::write(path("admin/influxdb-token"), "wrong").unwrap();
    let wrong_token = sandbox.printed(&[INIT]);
    fs::remove_file(path("admin/influxdb-token")).unwrap();
    sandbox.out(INIT);
    assert_eq!(secrets(&sandbox)["sink/influxdb-token"], second["sink/influxdb-token"]);

    // The bucket, and with it what its tokens were for.
    remove_bucket(&server, &first["admin/influxdb-token"], "events_simulated").await;
    sandbox.out(INIT);
    assert_eq!(write(&server, &secrets(&sandbox)["sink/influxdb-token"], "events_simulated").await, 204);

    // Both keys to the server: nobody but its owner can help.
    fs::remove_file(path("admin/influxdb-token")).unwrap();
    fs::remove_file(path("admin/passwords")).unwrap();
    assert_words!(wrong_token + &sandbox.printed(&[INIT]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_follow_from_simulated_to_live_data_and_buckets_to_another_retention() {
    let Some(server) = Influxd::start_bare().await else { return };
    let simulated = sandbox(&server.url);
    simulated.out(INIT);
    let before = secrets(&simulated);
    let live =
        sandbox(&server.url).with("TICKWIRE_PRICES", "polygon").with("TICKWIRE_INFLUXDB__RETENTION", "30");
    let folder = simulated.path("secrets");
    live.out(&format!("init --secrets {}", folder.display()));
    let after = secrets(&simulated);
    assert_eq!(write(&server, &after["sink/influxdb-token"], "events").await, 204);
    assert_eq!(write(&server, &before["sink/influxdb-token"], "events_simulated").await, 401);
    for bucket in ["events", "events_simulated"] {
        assert_eq!(retention(&server, &after["admin/influxdb-token"], bucket).await, 30 * 86_400);
    }
}

#[test]
fn a_server_that_does_not_answer_is_named_and_what_was_made_until_then_is_used_the_next_time() {
    let sandbox = sandbox("http://127.0.0.1:1");
    assert_words!(sandbox.printed(&[INIT]));
    let made = secrets(&sandbox);
    assert!(!made.contains_key("sink/influxdb-token"));
    sandbox.refused(INIT);
    assert_eq!(secrets(&sandbox), made);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let sandbox = sandbox("http://127.0.0.1:1");
    sandbox.file("secrets", "a file");
    assert_words!(sandbox.printed(&[INIT]));
}

async fn remove_bucket(server: &Influxd, token: &str, bucket: &str) {
    let id = bucket_of(server, token, bucket).await["id"].as_str().unwrap().to_owned();
    let request = http().unwrap().delete(format!("{}/api/v2/buckets/{id}", server.url));
    let answer = request.header("authorization", format!("Token {token}")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
}

async fn retention(server: &Influxd, token: &str, bucket: &str) -> u64 {
    bucket_of(server, token, bucket).await["retentionRules"][0]["everySeconds"].as_u64().unwrap()
}

async fn bucket_of(server: &Influxd, token: &str, bucket: &str) -> serde_json::Value {
    let request = http().unwrap().get(format!("{}/api/v2/buckets?name={bucket}", server.url));
    let answer = request.header("authorization", format!("Token {token}")).send().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["buckets"][0].clone()
}
