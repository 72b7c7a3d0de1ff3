//! Appends: handed to the client in order, and done once the broker has
//! acknowledged every one of them.

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

/// How long a full queue is left alone.
const FULL: Duration = Duration::from_millis(20);
/// How long an acknowledgement may take before something is said.
const SLOW: Duration = Duration::from_secs(10);

/// A record with its place among Kafka's topics.
pub(super) struct Placed<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u32,
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
}

/// The one client that appends.
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

    /// The client as it is now.
    pub(super) fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends records in order and waits for them all; however long that takes
    /// while Kafka is away. Returns which of them were refused, and why.
    pub(super) async fn send(&self, records: &[Placed<'_>]) -> Vec<(usize, KafkaError)> {
        let client = self.client();
        let failed = send(&client, &self.connectivity, records).await;
        if failed.is_empty() {
            self.connectivity.found();
        }
        self.renew_if_broken(&client);
        failed
    }

    /// A client that has lost the thread with the broker is of no more use: another takes its place.
    fn renew_if_broken(&self, used: &Client) {
        let Some((code, reason)) = used.client().fatal_error() else { return };
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&client, used) {
            return;
        }
        tracing::warn!(%code, "Kafka's client gave up ({reason}); another goes on with what was not acknowledged.");
        match connect(&self.config, &self.connectivity) {
            Ok(another) => *client = another,
            Err(error) => tracing::error!(%error, "Another client cannot be made."),
        }
    }
}

/// Sends records in order and waits until each is acknowledged or refused; returns
/// which were refused, and why.
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

/// Whether records that were refused for `error` are to be sent again.
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

/// Records that are waited for together.
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

/// Takes acknowledgements.
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
