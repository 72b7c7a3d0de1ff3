//! Whether Kafka is there: said once when it is lost, once a minute while it is
//! gone, and once when it is back.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// How often the same thing is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// What is known of a Kafka's being there, shared by all clients of one log.
pub(super) struct Connectivity {
    servers: String,
    /// Whether a command asks, which gives up soon; a service waits without end.
    is_command: bool,
    gone: Mutex<Option<Gone>>,
}

struct Gone {
    since: Instant,
    said: Instant,
    /// The client's own words, as for a certificate that is not trusted.
    reason: Option<String>,
}

impl Connectivity {
    pub(super) fn of(servers: &str, is_command: bool) -> Arc<Connectivity> {
        Arc::new(Connectivity { servers: servers.to_owned(), is_command, gone: Mutex::default() })
    }

    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    /// Something could not be done, and will be tried again.
    pub(super) fn lost(&self, doing: &str, why: &dyn Display) {
        let mut gone = self.gone();
        let now = Instant::now();
        let known = gone.get_or_insert_with(|| Gone { since: now, said: now, reason: None });
        let first = known.since == now;
        if first || known.said.elapsed() >= AGAIN {
            known.said = now;
            let reason = known.reason.clone().unwrap_or_else(|| why.to_string());
            let (servers, seconds) = (&self.servers, known.since.elapsed().as_secs());
            if self.is_command {
                tracing::warn!(
                    servers,
                    seconds,
                    "Kafka does not answer ({doing}: {reason}). It is asked again for a few seconds."
                );
                return;
            }
            tracing::warn!(
                servers,
                seconds,
                "Kafka does not answer ({doing}: {reason}). What is to be written waits, nothing is lost; check that it runs and that kafka.bootstrap_servers is right."
            );
        }
    }

    /// Something could be done.
    pub(super) fn found(&self) {
        if let Some(gone) = self.gone().take() {
            let seconds = gone.since.elapsed().as_secs();
            tracing::info!(servers = self.servers, seconds, "Kafka answers again.");
        }
    }

    /// The client's own words since it was lost.
    pub(super) fn reason(&self) -> Option<String> {
        self.gone().as_ref()?.reason.clone()
    }

    fn told(&self, reason: &str) {
        if let Some(gone) = &mut *self.gone() {
            gone.reason = Some(reason.to_owned());
        }
    }

    fn gone(&self) -> std::sync::MutexGuard<'_, Option<Gone>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every client of ours calls back.
#[derive(Clone)]
pub(super) struct Context(pub(super) Arc<Connectivity>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "Kafka's client: {words}");
            }
            // Of a lost connection we tell ourselves, in fewer words.
            _ => tracing::debug!(facility, "Kafka's client: {words}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "Kafka's client: {reason}");
        let all_down = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        if all_down {
            self.0.lost("connecting", &reason);
        } else {
            self.0.told(reason);
        }
    }
}

impl ConsumerContext for Context {}

/// Whether it may go away by itself, so that trying again is right.
pub(super) fn may_pass(error: &KafkaError) -> bool {
    let Some(code) = error.rdkafka_error_code() else {
        return matches!(error, KafkaError::Canceled);
    };
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
            | Code::Authentication
            | Code::SSL
            | Code::UnknownBroker
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotController
            | Code::RebalanceInProgress
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::UnstableOffsetCommit
            | Code::SaslAuthenticationFailed
            | Code::BrokerDestroy
            | Code::DestroyBroker
    )
}
