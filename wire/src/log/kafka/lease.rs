//! A lease: of all processes that ask for one under a name, one has it at a time.
//!
//! Kafka gives the one partition of a topic to one member of a group; that member
//! has the lease. Nothing is read from the partition. A member that is silent for
//! ten seconds has died, and the next one is given it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use tokio::sync::watch;

use super::reach::Context;
use super::shared::Shared;
use crate::log::{Lease, LogError};
use crate::topic::SERVICE_STATUS;

/// How often the client is looked after.
const TURN: Duration = Duration::from_millis(100);
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
    given_back: Arc<AtomicBool>,
    turning: Option<JoinHandle<()>>,
}

impl KafkaLease {
    /// Waits for the lease.
    pub(super) async fn taken(shared: &Shared, name: &str) -> Result<KafkaLease, LogError> {
        let (sender, mut state) = watch::channel(State::Waiting);
        let given_back = Arc::new(AtomicBool::new(false));
        let member =
            Member { context: Context(shared.reach.clone()), state: sender, given_back: given_back.clone() };
        let failed = |error| shared.failed("asking for a lease", error);
        let client: BaseConsumer<Member> =
            shared.config.lease(name).create_with_context(member).map_err(failed)?;
        client.subscribe(&[&shared.topics.name(&SERVICE_STATUS)]).map_err(failed)?;
        let back = given_back.clone();
        let turning = std::thread::Builder::new()
            .name(format!("lease-{name}"))
            .spawn(move || {
                while !back.load(SeqCst) {
                    // Its callbacks are what matters; errors pass, or are told by them.
                    drop(client.poll(TURN));
                }
            })
            .map_err(|_| LogError::Closed)?;
        let lease = KafkaLease { state: state.clone(), given_back, turning: Some(turning) };
        let soon = tokio::time::timeout(HANDING_OVER / 10, state.wait_for(|now| *now == State::Held));
        if soon.await.is_err() {
            tracing::info!(
                service = name,
                "Waiting for the lease: another instance has it, or had it until a moment ago."
            );
            state.wait_for(|now| *now == State::Held).await.map_err(|_| LogError::Closed)?;
        }
        Ok(lease)
    }
}

#[async_trait]
impl Lease for KafkaLease {
    async fn lost(&self) {
        let _ = self.state.clone().wait_for(|now| *now == State::Lost).await;
    }
}

impl Drop for KafkaLease {
    fn drop(&mut self) {
        self.given_back.store(true, SeqCst);
        if let Some(turning) = self.turning.take() {
            let _ = turning.join();
        }
    }
}

/// One member of the group.
struct Member {
    context: Context,
    state: watch::Sender<State>,
    given_back: Arc<AtomicBool>,
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
        if partitions.count() == 0 || client.assignment_lost() || self.given_back.load(SeqCst) {
            return;
        }
        self.state.send_replace(State::Lost);
        let until = std::time::Instant::now() + HANDING_OVER;
        while !self.given_back.load(SeqCst) && std::time::Instant::now() < until {
            std::thread::sleep(TURN);
        }
    }

    fn post_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        if let Err(error) = client.pause(partitions) {
            tracing::debug!(%error, "What is not wanted is fetched.");
        }
        self.hold(partitions.count() as i32);
    }
}
