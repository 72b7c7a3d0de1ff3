//! Leases on Kafka: of all processes that ask for a lease by name, one holds it at a time.
//!
//! Kafka assigns the single partition of a topic to one member of a consumer group; that member
//! holds the lease. No record of the partition is read. A member that sends no heartbeat for
//! ten seconds loses the partition to the next one.
//!
//! A member that was only paused does not notice this. The holder therefore appends under the
//! name of the lease (see [`super::fenced`]), which fences the earlier holder. For a store
//! without such fences each holder has a fencing number, greater than the one before, which it
//! appends to the topic `leases`.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::time::{self, Millis};
use model::topic::{LEASES, SERVICE_STATUS};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::KafkaLog;
use super::connectivity::Context;
use super::fenced::{Fenced, Turns};
use super::shared::Shared;
use crate::{Append, Fence, Lease, LogError, SharedLog, each_record};

/// How often the consumer is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a member may be silent before the lease passes to another one.
pub(super) const SESSION: Duration = Duration::from_secs(10);
/// How long a rebalance waits for the holder to finish its work.
const HANDING_OVER: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Held,
    Lost,
}

/// A held lease; dropping it releases the lease.
pub(super) struct KafkaLease {
    state: watch::Receiver<State>,
    _polling: PollThread,
    fence: Fenced,
    log: SharedLog,
}

/// The record of a holder in the topic `leases`.
#[derive(Serialize, Deserialize)]
struct LeaseRecord {
    /// The fencing number; greater than that of every earlier holder.
    number: u64,
    /// When the lease was taken, by the wall clock of the holder (ms).
    at: Millis,
    /// The version of Tickwire that the holder runs.
    version: String,
}

/// Whether the lease is certainly held.
struct Certainty {
    /// When the consumer was last polled; old after the process was paused.
    polled: Mutex<Instant>,
    /// Whether the group has confirmed the assignment, and has not withdrawn it since.
    confirmed: AtomicBool,
}

impl Certainty {
    fn note_poll(&self) {
        *self.polled.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn holds(&self) -> bool {
        let polled = *self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        polled.elapsed() < SESSION && self.confirmed.load(SeqCst)
    }
}

impl KafkaLease {
    /// Waits for the lease, then fences the earlier holder and takes a number.
    pub(super) async fn acquire(shared: &Arc<Shared>, name: &str) -> Result<KafkaLease, LogError> {
        let (sender, mut state) = watch::channel(State::Waiting);
        let given_back = Arc::new(AtomicBool::new(false));
        let certainty =
            Arc::new(Certainty { polled: Mutex::new(Instant::now()), confirmed: AtomicBool::new(false) });
        let member = Member {
            context: Context(shared.connectivity.clone()),
            state: sender,
            given_back: given_back.clone(),
            certainty: certainty.clone(),
        };
        let failed = |error| shared.failed("asking for a lease", error);
        let client: BaseConsumer<Member> =
            shared.config.lease(name).create_with_context(member).map_err(failed)?;
        client.subscribe(&[&shared.topics.name(&SERVICE_STATUS)]).map_err(failed)?;
        let (back, polling) = (given_back.clone(), certainty.clone());
        let thread = std::thread::Builder::new()
            .name(format!("lease-{name}"))
            .spawn(move || {
                while !back.load(SeqCst) {
                    // Only the callbacks matter; transient errors are retried, others reach
                    // them.
                    drop(client.poll(POLL_INTERVAL));
                    polling.note_poll();
                }
            })
            .map_err(|_| LogError::Closed)?;
        let waiting = PollThread { given_back, thread: Some(thread) };
        let soon = tokio::time::timeout(HANDING_OVER / 10, state.wait_for(|now| *now == State::Held));
        if soon.await.is_err() {
            tracing::info!(
                service = name,
                "Waiting for the lease: another instance has it, or had it until a moment ago."
            );
            state.wait_for(|now| *now == State::Held).await.map_err(|_| LogError::Closed)?;
        }
        let fence = Fenced::take(shared, &format!("lease-{name}"), Turns::Two).await?;
        let number = number(shared, &fence, name).await?;
        tracing::debug!(service = name, number, "The lease is held.");
        let out = fence.clone();
        let holder = Fence::new(number, move || certainty.holds() && !out.is_shut_out());
        let log =
            Arc::new(KafkaLog { shared: shared.clone(), fence: Some(fence.clone()), holder: Some(holder) });
        Ok(KafkaLease { state, _polling: waiting, fence, log })
    }
}

/// Appends a number greater than that of every earlier holder. The fence has been taken
/// already, so that no earlier holder can append one any more.
async fn number(shared: &Arc<Shared>, fence: &Fenced, name: &str) -> Result<u64, LogError> {
    let mut before = 0;
    each_record(&KafkaLog::of(shared.clone()), &LEASES, |record| {
        if record.key == name {
            match serde_json::from_slice::<LeaseRecord>(&record.value) {
                Ok(taken) if taken.number <= MAX_NUMBER => before = before.max(taken.number),
                Ok(taken) => crate::warn_skipped(&record, &format!("lease number {}", taken.number)),
                Err(error) => crate::warn_skipped(&record, &error),
            }
        }
    })
    .await?;
    // At least the current time, so that numbers keep rising if the topic is recreated.
    let at = time::now();
    let number = (before + 1).max(u64::try_from(at).unwrap_or_default());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    fence.append(vec![Append::json(LEASES, name, &LeaseRecord { number, at, version })]).await?;
    Ok(number)
}

/// The largest valid number: numbers are times in ms, or follow one, so none exceeds the year
/// 9999.
const MAX_NUMBER: u64 = 253_402_300_800_000;

#[async_trait]
impl Lease for KafkaLease {
    async fn lost(&self) {
        let mut state = self.state.clone();
        tokio::select! {
            _ = state.wait_for(|now| *now == State::Lost) => {}
            () = self.fence.shut_out() => {}
        }
    }

    fn log(&self) -> Option<SharedLog> {
        Some(self.log.clone())
    }
}

/// The thread that polls the consumer; dropping this ends it.
struct PollThread {
    given_back: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for PollThread {
    fn drop(&mut self) {
        self.given_back.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The callbacks of a member of the group.
struct Member {
    context: Context,
    state: watch::Sender<State>,
    given_back: Arc<AtomicBool>,
    certainty: Arc<Certainty>,
}

impl Member {
    fn hold(&self, partitions: i32) {
        self.state.send_if_modified(|now| {
            let before = *now;
            match (*now, partitions) {
                (State::Waiting, 1..) => *now = State::Held,
                // The member was expelled after a silence; another one may hold the lease.
                (State::Held, 0) => *now = State::Lost,
                _ => {}
            }
            *now != before
        });
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        self.context.log(level, facility, words);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else { return };
        // An outage of Kafka affects every member alike; who holds the lease is decided when it
        // ends.
        if client.assignment_lost() {
            self.certainty.confirmed.store(false, SeqCst);
        }
        if partitions.count() == 0 || client.assignment_lost() || self.given_back.load(SeqCst) {
            return;
        }
        self.state.send_replace(State::Lost);
        let until = Instant::now() + HANDING_OVER;
        while !self.given_back.load(SeqCst) && Instant::now() < until {
            std::thread::sleep(POLL_INTERVAL);
            self.certainty.note_poll();
        }
    }

    fn post_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        if let Err(error) = client.pause(partitions) {
            tracing::debug!(%error, "The partition of the lease cannot be paused.");
        }
        if partitions.count() > 0 {
            self.certainty.confirmed.store(true, SeqCst);
        }
        self.hold(partitions.count() as i32);
    }
}
