//! Telegraf, from the same topic to a server that only counts.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use model::topic::STOCK_PRICES;

use super::Place;
use super::counting_server::CountingServer;
use crate::figures::{self, Spent};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What it spends until the server has `bars` points.
pub fn run(place: &Place, program: &Path, suffix: &str, bars: usize) -> anyhow::Result<Spent> {
    let server = place.outside.block_on(CountingServer::start())?;
    let mut settings = tempfile::NamedTempFile::new()?;
    let topic = format!("{}{suffix}", STOCK_PRICES.name());
    settings.write_all(text(&place.kafka.bootstrap_servers(), &topic, &server.url).as_bytes())?;
    let begun = Instant::now();
    let telegraf = Telegraf(
        Command::new(program)
            .arg("--config")
            .arg(settings.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("it does not start")?,
    );
    let came = place.outside.block_on(async { tokio::time::timeout(PATIENCE, server.until(bars)).await });
    came.with_context(|| format!("the server got {} points of {bars}", server.lines()))?;
    Ok(Spent { wall: begun.elapsed(), processor: figures::processor_time_of(telegraf.0.id())? })
}

/// Ends with this.
struct Telegraf(Child);

impl Drop for Telegraf {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Batches as large as the sink's and as little compressed, and always enough records under way.
fn text(kafka: &str, topic: &str, server: &str) -> String {
    format!(
        r#"
[agent]
  interval = "1s"
  flush_interval = "100ms"
  metric_batch_size = 10000
  metric_buffer_limit = 200000
  omit_hostname = true

[[inputs.kafka_consumer]]
  brokers = ["{kafka}"]
  version = "3.6.0"
  topics = ["{topic}"]
  consumer_group = "telegraf"
  offset = "oldest"
  max_undelivered_messages = 100000
  max_message_len = 1000000
  name_override = "stock_prices"
  data_format = "json"
  tag_keys = ["symbol"]
  json_string_fields = ["source"]
  json_time_key = "start_timestamp"
  json_time_format = "unix_ms"

[[outputs.influxdb_v2]]
  urls = ["{server}"]
  token = "t"
  organization = "o"
  bucket = "b"
  content_encoding = "identity"
"#
    )
}
