//! Logs whether Kafka is reachable: once when it stops answering, once a minute while it does
//! not answer, and once when it answers again.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The interval between two warnings of the same outage.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Whether Kafka is reachable, shared by all clients of one log.
pub(super) struct Connectivity {
    servers: String,
    /// Whether the process is a command, which gives up soon; a service retries without limit.
    is_command: bool,
    gone: Mutex<Option<Gone>>,
}

struct Gone {
    since: Instant,
    said: Instant,
    /// The error of the client library, for example about a certificate that is not trusted.
    reason: Option<String>,
}

impl Connectivity {
    pub(super) fn of(servers: &str, is_command: bool) -> Arc<Connectivity> {
        Arc::new(Connectivity { servers: servers.to_owned(), is_command, gone: Mutex::default() })
    }

    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    /// Notes that an operation failed and will be retried.
    pub(super) fn lost(&self, doing: &str, why: &dyn Display) {
        let mut gone = self.gone();
        let now = Instant::now();
        let known = gone.get_or_insert_with(|| Gone { since: now, said: now, reason: None });
        let first = known.since == now;
        if first || known.said.elapsed() >= WARNING_INTERVAL {
            known.said = now;
            let reason = known.reason.clone().unwrap_or_else(|| why.to_string());
            let (servers, seconds) = (&self.servers, known.since.elapsed().as_secs());
            if self.is_command {
                tracing::warn!(
                    servers,
                    seconds,
                    "Kafka does not answer ({doing}: {reason}). Retrying for a few seconds."
                );
                return;
            }
            tracing::warn!(
                servers,
                seconds,
                "Kafka does not answer ({doing}: {reason}). Writes wait and nothing is lost; check that it runs and that kafka.bootstrap_servers is right."
            );
        }
    }

    /// Notes that an operation succeeded.
    pub(super) fn found(&self) {
        if let Some(gone) = self.gone().take() {
            let seconds = gone.since.elapsed().as_secs();
            tracing::info!(servers = self.servers, seconds, "Kafka answers again.");
        }
    }

    /// The error of the client library since the outage began.
    pub(super) fn reason(&self) -> Option<String> {
        self.gone().as_ref()?.reason.clone()
    }

    fn note_reason(&self, reason: &str) {
        if let Some(gone) = &mut *self.gone() {
            gone.reason = Some(reason.to_owned());
        }
    }

    fn gone(&self) -> std::sync::MutexGuard<'_, Option<Gone>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The callbacks of every client.
#[derive(Clone)]
pub(super) struct Context(pub(super) Arc<Connectivity>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "Kafka's client: {words}");
            }
            // Lost connections are logged by [`Connectivity`], with fewer messages.
            _ => tracing::debug!(facility, "Kafka's client: {words}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "Kafka's client: {reason}");
        let all_down = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        if all_down {
            self.0.lost("connecting", &reason);
        } else {
            self.0.note_reason(reason);
        }
    }
}

impl ConsumerContext for Context {}

/// Whether an error is transient, so that the operation is to be retried.
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
