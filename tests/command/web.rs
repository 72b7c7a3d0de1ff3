//! Who may reach the page: set by commands, kept in the data folder.

use crate::harness::{Sandbox, assert_words, sample_bars, wait_for};

const PASSWORD: &str = "correct horse battery\n";

#[test]
fn other_machines_are_listened_to_with_a_password_only() {
    let sandbox = Sandbox::new();
    let open = sandbox.printed(&["up --listen 0.0.0.0:0 --prices simulate"]);
    assert!(!sandbox.path("data").exists(), "refused before anything was made");
    assert_words!(open + &sandbox.run_with("web set-password", "short\n").printed);
    sandbox.out_of("web set-password", PASSWORD);
    let up = sandbox.start("up --listen 0.0.0.0:0 --prices simulate");
    up.said("at http://0.0.0.0");
}

#[test]
fn commands_go_through_an_owner_that_asks_for_a_password() {
    let sandbox = Sandbox::new();
    sandbox.out_of("web set-password", PASSWORD);
    let up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    let address = up.address();
    sandbox.out("watch add AAPL");
    assert!(sandbox.out("watch list").contains("AAPL"));
    let answer = get(&address, "/api/v1/watchlist", "");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");

    let token = sandbox.out("web token add notebook");
    let header = format!("authorization: Bearer {}\r\n", token.trim());
    assert!(get(&address, "/api/v1/watchlist", &header).contains("AAPL"));
    assert!(sandbox.out("web token list").starts_with("notebook "));
    sandbox.out("web token remove notebook");
    assert!(get(&address, "/api/v1/watchlist", &header).starts_with("HTTP/1.1 401 "));
    assert_words!(sandbox.printed(&["web token remove notebook"]));
}

#[test]
fn names_sign_in_by_their_passwords_and_no_longer_once_they_are_removed() {
    let sandbox = Sandbox::new();
    sandbox.out_of("web set-password", PASSWORD);
    let lines = [
        "web set-password --read-only",
        "web set-password --name anna",
        "web set-password --name command",
        "web set-password --name owner --read-only",
        "web set-password --name",
        "web remove-password --name bob",
        "web --listen nowhere",
    ];
    assert_words!(lines.map(|line| sandbox.run_with(line, PASSWORD).printed).concat());
    assert_eq!(sandbox.out("web people"), "owner  owner\nviewer  viewer\nanna  owner\n");
    sandbox.out("web remove-password --name anna");
    assert_eq!(sandbox.out("web people"), "owner  owner\nviewer  viewer\n");
    let kept = std::fs::read_to_string(sandbox.path("data/people")).unwrap();
    assert!(kept.starts_with("viewer viewer $argon2id$") && !kept.contains("horse"), "{kept}");
}

#[cfg(unix)]
#[test]
fn what_is_secret_is_readable_by_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.out_of("web set-password", PASSWORD);
    sandbox.out("web token add notebook");
    let up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    up.address();
    for file in ["password", "api-tokens", "simulated/owner-token"] {
        let mode = std::fs::metadata(sandbox.path("data").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let kept = std::fs::read_to_string(sandbox.path("data/password")).unwrap();
    assert!(kept.starts_with("$argon2id$") && !kept.contains("horse"), "{kept}");
}

/// One request, and the whole answer.
fn get(address: &str, path: &str, header: &str) -> String {
    use std::io::{Read, Write};
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

// The live page of a first start, as a browser's requests see it.

fn page_at(url: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        net::http().unwrap().get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
    })
}

#[test]
fn a_first_start_serves_a_page_that_says_that_it_simulates() {
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let said = running.said("http://");
    assert_words!(said);
    let address = said.split("http://").nth(1).unwrap().split_whitespace().next().unwrap();
    let page = wait_for("the page", || page_at(&format!("http://{address}/")));
    assert!(page.contains("Tickwire") && !page.contains("~clock"));
    let page = wait_for("a page with symbols", || {
        page_at(&format!("http://{address}/")).filter(|page| page.contains("AAPL"))
    });
    assert!(page.to_lowercase().contains("simulat"));
}

#[test]
fn the_series_of_a_symbol_fill_from_an_empty_folder() {
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    let series = wait_for("two sessions of bars and windows", || {
        let text = page_at(&format!("http://{address}/api/v1/series?symbol=AAPL"))?;
        let series: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rows =
            |name: &str| series[name]["rows"].as_array().or(series[name].as_array()).map_or(0, Vec::len);
        (rows("bars") > 700 && rows("volatility") > 700).then_some(series)
    });
    assert!(series["cursor"].is_string() || series["cursor"].is_object(), "{}", series["cursor"]);
}

// Questions in SQL over what a run has stored.

#[test]
fn a_query_gives_what_the_export_gives() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let exported = sandbox.out("export volatility --format csv");
    assert_eq!(sandbox.out_of("query -", "SELECT * FROM volatility ORDER BY symbol, window_end"), exported);
    assert_eq!(sandbox.out_of("query - --format json", "SELECT 1 AS n, 'a' AS b"), "{\"n\":1,\"b\":\"a\"}\n");
    sandbox.out_of("query - --out rows.parquet", "SELECT * FROM stock_prices");
    assert!(std::fs::read(sandbox.path("rows.parquet")).unwrap().starts_with(b"PAR1"));
}

#[test]
fn a_mistake_in_a_query_is_shown_at_its_place_and_leaves_no_file() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let mistake =
        sandbox.run_with("query - --out x.csv", "SELECT symbol\nFROM volatility WHERE realised > 0");
    assert!(!sandbox.path("x.csv").exists());
    let change = sandbox.run_with("query -", "DROP TABLE volatility");
    assert_words!(mistake.printed + &change.printed + &sandbox.printed(&["query SELECT --data nowhere"]));
}

// Services by themselves, as far as no server is needed: what they say when
// something does not fit, and what is told of a process that runs.

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn a_service_over_the_embedded_log_and_an_up_over_kafka_say_what_to_run_instead() {
    let services = ["producer", "news-watcher", "engine", "sink", "alerts", "web"];
    let up = Sandbox::new().with("TICKWIRE_LOG", "kafka").printed(&["up"]);
    assert_words!(Sandbox::new().printed(&services) + &up);
}

#[test]
fn health_says_whether_a_process_is_well_and_fails_where_nobody_answers() {
    let sandbox = Sandbox::new().with("TICKWIRE_METRICS__LISTEN", "127.0.0.1:0");
    let up = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    let told = up.said("address=");
    let address = told.split("address=").nth(1).unwrap().trim().to_owned();
    let page = up.address();
    let said = sandbox.refused(&format!("health http://{page}/status"));
    assert!(said.contains("a page for people") && said.contains("/readyz"), "{said}");
    let well = sandbox.out(&format!("health http://{address}/readyz"));
    assert!(well.contains("sink: working") && well.contains("producer: working"), "{well}");
    let numbers = sandbox.out(&format!("health http://{address}/metrics"));
    assert!(numbers.contains("tickwire_working{service=\"engine\"} 1"), "{numbers}");
    drop(up);
    assert_words!(sandbox.refused(&format!("health http://{address}/readyz")));
}

#[test]
fn deploy_prints_the_text_of_every_job_without_a_cluster_and_refuses_what_would_lose_rows() {
    let line = format!("deploy --print --sql {ROOT}/sql --udfs {ROOT}/udfs");
    let sandbox = Sandbox::new()
        .with("TICKWIRE_PRICES", "simulate")
        .with("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", "broker:9092");
    let printed = sandbox.out(&line);
    assert!(printed.contains("'stock-prices-simulated'") && printed.contains("broker:9092"), "{printed}");
    assert!(!printed.contains("{{"), "{printed}");
    assert_words!(sandbox.with("TICKWIRE_KAFKA__PARTITIONS", "4").printed(&[&line]));
}

#[test]
fn deploy_says_where_it_looked_for_a_cluster_that_is_not_there() {
    let sandbox = Sandbox::new().with("TICKWIRE_ARROYO__URL", "http://127.0.0.1:9");
    let line = format!("deploy --dry-run --patience 0 --sql {ROOT}/sql --udfs {ROOT}/udfs");
    assert_words!(sandbox.printed(&[&line]));
}

#[test]
fn a_command_over_a_kafka_that_is_away_says_so_soon() {
    let sandbox = Sandbox::new()
        .with("TICKWIRE_LOG", "kafka")
        .with("TICKWIRE_PRICES", "simulate")
        .with("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9");
    let away = sandbox.refused("topics");
    // Before it come the client's own words, as they happen to be; so do those in brackets.
    let (start, rest) = away.lines().last().unwrap().split_once(" (").unwrap();
    let (_, remedy) = rest.rsplit_once("): ").unwrap();
    assert_words!(format!("{start} (…): {remedy}\n\n{}", sandbox.printed(&["export volatility"])));
}
