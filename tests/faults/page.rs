//! What browsers and other clients do to the page of a running pipeline.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

/// How long any request may take: more than the page allows a question.
const WITHIN: Duration = Duration::from_secs(60);
/// How long somebody waits who then goes away.
const SHORTLY: Duration = Duration::from_millis(200);
/// How often a change is made again from a newer list.
const TRIES: usize = 20;

/// Doubles a text until there is no memory left.
const EATS_MEMORY: &str = "WITH RECURSIVE c(x) AS (SELECT 'aaaaaaaaaaaaaaaa' UNION ALL SELECT x || x FROM c) SELECT count(*) FROM c";
/// Goes on for ever.
const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 AS x UNION ALL SELECT 1 - x FROM c) SELECT count(*) FROM c";
/// What another web site may not have worked out.
pub const COSTLY: [&str; 4] =
    ["query?sql=SELECT%201", "export/stock_prices", "series?symbol=AAPL", "dead-letters.jsonl"];

/// The page at one address.
pub struct Page {
    address: String,
    runtime: Runtime,
    client: reqwest::Client,
}

impl Page {
    pub fn at(address: String) -> Page {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Page { address, runtime, client: net::http().unwrap() }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.address)
    }

    /// The status and the body of an answer; none where the process has ended meanwhile.
    fn answer(&self, request: reqwest::RequestBuilder, within: Duration) -> Option<(u16, String)> {
        self.runtime.block_on(async {
            let answer = request.timeout(within).send().await.ok()?;
            Some((answer.status().as_u16(), answer.text().await.ok()?))
        })
    }

    fn asked(&self, sql: &str, within: Duration) -> Option<(u16, String)> {
        self.answer(self.client.get(self.url("query")).query(&[("sql", sql)]), within)
    }

    /// Whether it answers.
    pub fn is_well(&self) -> bool {
        self.answer(self.client.get(self.url("status")), WITHIN).is_some_and(|(status, _)| status == 200)
    }

    /// Opens `count` connections, half of them with a part of a request, and keeps them.
    /// Those that the page does not take are left out.
    pub fn left_idle(&self, count: usize) -> Vec<TcpStream> {
        let open = |number: usize| {
            let mut stream = TcpStream::connect(&self.address).ok()?;
            if number.is_multiple_of(2) {
                stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: ").ok()?;
            }
            Some(stream)
        };
        (0..count).filter_map(open).collect()
    }

    /// A browser asks on behalf of another web site for `path`, and then somebody asks
    /// questions that take all the memory, and all the time, that there is.
    pub fn is_asked_too_much(&self, path: &str) {
        let foreign = ["cross-site", "no-cors", "image"];
        let names = ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"];
        let request = names
            .iter()
            .zip(foreign)
            .fold(self.client.get(self.url(path)), |request, (name, says)| request.header(*name, says));
        let answer = self.answer(request, WITHIN);
        assert!(
            answer.as_ref().is_none_or(|(status, _)| *status == 403),
            "{path} from another site: {answer:?}"
        );
        // Who asked goes away before there is an answer.
        self.asked(ENDLESS, SHORTLY);
        let answer = self.asked(EATS_MEMORY, WITHIN);
        let is_refused = |(status, _): &(u16, String)| matches!(status, 422 | 503);
        assert!(answer.as_ref().is_none_or(is_refused), "{answer:?}");
    }

    /// Adds a symbol to the watchlist as the page's own client does, from the newest list
    /// each time; whether that was acknowledged.
    pub fn adds(&self, symbol: &str) -> bool {
        let Some((200, list)) = self.answer(self.client.get(self.url("watchlist")), WITHIN) else {
            return false;
        };
        let mut list: Json = serde_json::from_str(&list).unwrap();
        for _ in 0..TRIES {
            list["entries"].as_array_mut().unwrap().push(json!({ "symbol": symbol }));
            let request =
                self.client.put(self.url("watchlist")).header("if-match", format!("\"{}\"", list["version"]));
            let request =
                request.header("content-type", "application/json").body(list["entries"].to_string());
            match self.answer(request, WITHIN) {
                Some((200, _)) => return true,
                Some((412, current)) => {
                    list = serde_json::from_str::<Json>(&current).unwrap()["current"].take();
                }
                None => return false,
                other => panic!("a change of the watchlist: {other:?}"),
            }
        }
        false
    }
}

/// What came of changes that were made at the same time.
#[derive(Default)]
pub struct Changes {
    /// Each symbol that somebody added, and whether that was acknowledged.
    pub added: BTreeMap<String, bool>,
}

/// The most memory that a process has had, in KiB; nothing where the system does not say.
pub fn most_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    most.split_whitespace().next()?.parse().ok()
}
