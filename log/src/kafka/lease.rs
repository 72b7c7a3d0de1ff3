//! A lease: of all processes that ask for one under a name, one has it at a time.
//!
//! Kafka gives the one partition of a topic to one member of a group; that member
//! has the lease. Nothing is read from the partition. A member that is silent for
//! ten seconds has died, and the next one is given it.
//!
//! A member that was only paused does not know that. So the holder appends under the
//! lease's name (see [`super::fenced`]): taking the lease shuts out the holder before,
//! whatever that one still believes. A store that has no such fence is told by a number:
//! each holder notes one in the topic `leases` that is greater than that before.

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

/// How often the client is looked after.
const TURN: Duration = Duration::from_millis(100);
/// How long a member may be silent before another is given the lease.
pub(super) const SESSION: Duration = Duration::from_secs(10);
/// How long the next holder waits for this one to put its things in order.
const HANDING_OVER: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Held,
    Lost,
}

/// A lease, or the wait for one; given back when it is dropped.
pub(super) struct KafkaLease {
    state: watch::Receiver<State>,
    _turning: Turning,
    fence: Fenced,
    log: SharedLog,
}

/// What a holder notes when it takes the lease.
#[derive(Serialize, Deserialize)]
struct Taken {
    /// Greater than that of every holder before.
    number: u64,
    /// When, by the holder's wall clock.
    at: Millis,
    /// Of which version the holder is.
    version: String,
}

/// How certain it is that the lease is held.
struct Certainty {
    /// When the client was last looked after. A process that was paused finds this old.
    turned: Mutex<Instant>,
    /// Whether the group confirmed the lease within a session.
    confirmed: AtomicBool,
}

impl Certainty {
    fn turn(&self) {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn holds(&self) -> bool {
        let turned = *self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        turned.elapsed() < SESSION && self.confirmed.load(SeqCst)
    }
}

impl KafkaLease {
    /// Waits for the lease.
    pub(super) async fn taken(shared: &Arc<Shared>, name: &str) -> Result<KafkaLease, LogError> {
        let (sender, mut state) = watch::channel(State::Waiting);
        let given_back = Arc::new(AtomicBool::new(false));
        let certainty =
            Arc::new(Certainty { turned: Mutex::new(Instant::now()), confirmed: AtomicBool::new(false) });
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
        let (back, turns) = (given_back.clone(), certainty.clone());
        let turning = std::thread::Builder::new()
            .name(format!("lease-{name}"))
            .spawn(move || {
                while !back.load(SeqCst) {
                    // Its callbacks are what matters; errors pass, or are told by them.
                    drop(client.poll(TURN));
                    turns.turn();
                }
            })
            .map_err(|_| LogError::Closed)?;
        let waiting = Turning { given_back, thread: Some(turning) };
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
        Ok(KafkaLease { state, _turning: waiting, fence, log })
    }
}

/// Notes a number greater than that of every holder before. The fence is taken already:
/// no holder before can note one any more.
async fn number(shared: &Arc<Shared>, fence: &Fenced, name: &str) -> Result<u64, LogError> {
    let mut before = 0;
    each_record(&KafkaLog::of(shared.clone()), &LEASES, |record| {
        if record.key == name {
            match serde_json::from_slice::<Taken>(&record.value) {
                Ok(taken) if taken.number <= MOST => before = before.max(taken.number),
                Ok(taken) => crate::passed_over(&record, &format!("lease number {}", taken.number)),
                Err(error) => crate::passed_over(&record, &error),
            }
        }
    })
    .await?;
    // The time, so that numbers go on rising where the topic was made anew.
    let at = time::now();
    let number = (before + 1).max(u64::try_from(at).unwrap_or_default());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    fence.append(vec![Append::json(LEASES, name, &Taken { number, at, version })]).await?;
    Ok(number)
}

/// Numbers are times or follow one: beyond the year 9999 none is ours.
const MOST: u64 = 253_402_300_800_000;

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

/// The thread that looks after the client; ends when it is dropped.
struct Turning {
    given_back: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Turning {
    fn drop(&mut self) {
        self.given_back.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One member of the group.
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
                // Back after a silence: another one has it by now.
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
        // While Kafka is away, it is away for all: who has the lease shows when it is back.
        if client.assignment_lost() {
            self.certainty.confirmed.store(false, SeqCst);
        }
        if partitions.count() == 0 || client.assignment_lost() || self.given_back.load(SeqCst) {
            return;
        }
        self.state.send_replace(State::Lost);
        let until = Instant::now() + HANDING_OVER;
        while !self.given_back.load(SeqCst) && Instant::now() < until {
            std::thread::sleep(TURN);
            self.certainty.turn();
        }
    }

    fn post_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        if let Err(error) = client.pause(partitions) {
            tracing::debug!(%error, "What is not wanted is fetched.");
        }
        if partitions.count() > 0 {
            self.certainty.confirmed.store(true, SeqCst);
        }
        self.hold(partitions.count() as i32);
    }
}
