//! Appends records through Kafka's producer client, in order, and waits for the acknowledgement
//! of each.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::Notify;

use super::connectivity::{Connectivity, Context, may_pass};

/// How long to wait when the queue of the client is full.
const FULL: Duration = Duration::from_millis(20);
/// How long an acknowledgement may take before a warning is logged.
const SLOW: Duration = Duration::from_secs(10);

/// A record with the name and the partition of its Kafka topic.
pub(super) struct Placed<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u32,
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
}

/// The producer client that appends, replaced after a fatal error.
pub(super) struct Appender {
    config: ClientConfig,
    connectivity: Arc<Connectivity>,
    client: RwLock<Client>,
}

pub(super) type Client = Arc<ThreadedProducer<Deliveries>>;

impl Appender {
    pub(super) fn new(config: ClientConfig, connectivity: Arc<Connectivity>) -> KafkaResult<Appender> {
        let client = RwLock::new(connect(&config, &connectivity)?);
        Ok(Appender { config, connectivity, client })
    }

    /// The current client.
    pub(super) fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends records in order and waits for all acknowledgements, without a limit while Kafka
    /// is unreachable. Returns the index and the error of each record that was refused.
    pub(super) async fn send(&self, records: &[Placed<'_>]) -> Vec<(usize, KafkaError)> {
        let client = self.client();
        let failed = send(&client, &self.connectivity, records).await;
        if failed.is_empty() {
            self.connectivity.found();
        }
        self.renew_if_broken(&client);
        failed
    }

    /// Replaces a client that has failed fatally, as after an out-of-sequence error.
    fn renew_if_broken(&self, used: &Client) {
        let Some((code, reason)) = used.client().fatal_error() else { return };
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&client, used) {
            return;
        }
        tracing::warn!(%code, "Kafka's client failed ({reason}); a new client sends the records that were not acknowledged.");
        match connect(&self.config, &self.connectivity) {
            Ok(another) => *client = another,
            Err(error) => tracing::error!(%error, "A new Kafka client cannot be created."),
        }
    }
}

/// Sends records in order and waits until each is acknowledged or refused; returns the index
/// and the error of each refused record.
pub(super) async fn send(
    client: &Client,
    connectivity: &Connectivity,
    records: &[Placed<'_>],
) -> Vec<(usize, KafkaError)> {
    let batch = Arc::new(Batch::of(records.len()));
    for (at, record) in records.iter().enumerate() {
        let mut sending = BaseRecord::with_opaque_to(record.topic, Box::new((batch.clone(), at)))
            .partition(record.partition as i32)
            .key(record.key)
            .payload(record.value);
        while let Err((error, unsent)) = client.send(sending) {
            if error.rdkafka_error_code() != Some(Code::QueueFull) {
                batch.done(at, Err(error));
                break;
            }
            sending = unsent;
            tokio::time::sleep(FULL).await;
        }
    }
    while tokio::time::timeout(SLOW, batch.all_done.notified()).await.is_err() {
        connectivity.lost("appending", &format!("{} records wait", batch.left.load(SeqCst)));
    }
    batch.failed()
}

/// Whether records that were refused with `error` are to be sent again.
pub(super) fn is_to_repeat(error: &KafkaError) -> bool {
    let codes = [
        Code::Fatal,
        Code::Inconsistent,
        Code::PurgeQueue,
        Code::PurgeInflight,
        Code::OutOfOrderSequenceNumber,
        Code::UnknownProducerId,
        Code::InvalidProducerEpoch,
        Code::InvalidProducerIdMapping,
    ];
    may_pass(error) || error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

pub(super) fn connect(config: &ClientConfig, connectivity: &Arc<Connectivity>) -> KafkaResult<Client> {
    config.create_with_context(Deliveries(Context(connectivity.clone()))).map(Arc::new)
}

/// The records of one `send`, with the outcome of each.
pub(super) struct Batch {
    left: AtomicUsize,
    failed: Mutex<Vec<(usize, KafkaError)>>,
    all_done: Notify,
}

impl Batch {
    fn of(records: usize) -> Batch {
        let batch =
            Batch { left: AtomicUsize::new(records), failed: Mutex::default(), all_done: Notify::new() };
        if records == 0 {
            batch.all_done.notify_one();
        }
        batch
    }

    fn done(&self, at: usize, outcome: Result<(), KafkaError>) {
        if let Err(error) = outcome {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).push((at, error));
        }
        if self.left.fetch_sub(1, SeqCst) == 1 {
            self.all_done.notify_one();
        }
    }

    fn failed(&self) -> Vec<(usize, KafkaError)> {
        let mut failed = std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner));
        failed.sort_by_key(|(at, _)| *at);
        failed
    }
}

/// Receives the delivery reports of the client.
pub(super) struct Deliveries(Context);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        self.0.log(level, facility, words);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<(Arc<Batch>, usize)>;

    fn delivery(&self, result: &DeliveryResult<'_>, of: Self::DeliveryOpaque) {
        let (batch, at) = *of;
        batch.done(at, result.as_ref().map(drop).map_err(|(error, _)| error.clone()));
    }
}
