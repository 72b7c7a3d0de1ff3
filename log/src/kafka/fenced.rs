//! Appends in transactions under a name, so that a new holder of the name fences the earlier
//! one.
//!
//! Kafka keeps an epoch for each name (`transactional.id`). A new holder raises the epoch,
//! which aborts the open transaction of the earlier holder; from then on the broker refuses
//! every request of that holder, even if it was paused for an hour and does not know. Readers
//! skip aborted records (`isolation.level` is `read_committed`), so records of a fenced holder
//! are never read. Offsets are committed in the same transactions and are refused in the same
//! way.
//!
//! Waiting requests share one transaction, which bounds the number of transactions of a busy
//! service.
//!
//! A transaction is acknowledged before its markers are written to the partitions. Until they
//! are, Kafka refuses the next transaction of the same `transactional.id`, and the client waits
//! 20 ms before it retries. A name with many appends therefore has two ids in turn: the next
//! transaction begins on the other id as soon as the previous one is acknowledged. A new holder
//! takes both ids, the first one first: if two processes take the name at the same time, the
//! one that has only the second id cannot append.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;
use tokio::sync::{mpsc, oneshot, watch};

use super::appender::{Client, connect, is_to_repeat, send};
use super::connectivity::Context;
use super::reader::offsets;
use super::shared::{REQUEST, Shared, TRY_AGAIN, blocking};
use crate::{Append, LogError, Position};

/// The largest number of records in a transaction that several requests share.
const GROUP: usize = 20_000;
/// The capacity of the request queue; further callers wait.
const WAITING: usize = 1_024;

/// How long a commit waits for the client to release acknowledged records.
const SETTLES: Duration = Duration::from_millis(100);

/// The right to append under a name, until another process takes it.
#[derive(Clone)]
pub(super) struct Fenced {
    name: String,
    requests: mpsc::Sender<Request>,
    shut_out: watch::Receiver<bool>,
}

/// The number of `transactional.id`s of a name, which are used in turn.
#[derive(Clone, Copy)]
pub(super) enum Turns {
    /// For a single append, such as a change of a list: a second client costs more than it
    /// saves.
    One = 1,
    /// For repeated appends.
    Two = 2,
}

/// A request to the writer task, with the channel for its result.
struct Request {
    work: Work,
    reply: oneshot::Sender<Result<(), LogError>>,
}

enum Work {
    Append(Vec<Append>),
    Commit(Arc<StreamConsumer<Context>>, Vec<Position>),
}

/// Why a transaction failed.
enum Trouble {
    /// Another process has taken the name.
    ShutOut,
    /// The error is transient.
    Passes(KafkaError),
    /// The error is permanent.
    Refused(LogError),
}

impl Fenced {
    /// Takes the name: fences the current holder, and waits until its committed records can be
    /// read. All processes that take a name must use the same `turns`.
    pub(super) async fn take(shared: &Arc<Shared>, name: &str, turns: Turns) -> Result<Fenced, LogError> {
        let mut clients = Vec::new();
        for number in 1..=turns as u8 {
            let id = if number == 1 { name.to_owned() } else { format!("{name}.{number}") };
            clients.push(open(shared, &shared.config.fenced(&id)).await?);
        }
        let (requests, inbox) = mpsc::channel(WAITING);
        let (shut, shut_out) = watch::channel(false);
        let writer = Writer { shared: shared.clone(), name: name.to_owned(), clients, turn: 0 };
        // A task of its own, because the caller may be dropped at any time and a transaction
        // that was begun must be ended.
        tokio::spawn(writer.write_until_closed(inbox, shut));
        Ok(Fenced { name: name.to_owned(), requests, shut_out })
    }

    pub(super) async fn append(&self, records: Vec<Append>) -> Result<(), LogError> {
        self.request(Work::Append(records)).await
    }

    pub(super) async fn commit(
        &self,
        client: &Arc<StreamConsumer<Context>>,
        positions: Vec<Position>,
    ) -> Result<(), LogError> {
        self.request(Work::Commit(client.clone(), positions)).await
    }

    /// Waits until another process has taken the name.
    pub(super) async fn shut_out(&self) {
        if self.shut_out.clone().wait_for(|shut| *shut).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether another process is known to have taken the name.
    pub(super) fn is_shut_out(&self) -> bool {
        *self.shut_out.borrow()
    }

    async fn request(&self, work: Work) -> Result<(), LogError> {
        let (reply, answer) = oneshot::channel();
        let fenced = || LogError::Fenced { name: self.name.clone() };
        self.requests.send(Request { work, reply }).await.map_err(|_| fenced())?;
        answer.await.map_err(|_| fenced())?
    }
}

async fn open(shared: &Arc<Shared>, config: &ClientConfig) -> Result<Client, LogError> {
    let client =
        connect(config, &shared.connectivity).map_err(|error| shared.failed("making a client", error))?;
    let taken = client.clone();
    shared
        .with_retries("taking a name (transactional.id)", move || {
            let client = taken.clone();
            blocking(move || client.init_transactions(REQUEST))
        })
        .await?;
    Ok(client)
}

/// Waits until the client has released every acknowledged record.
///
/// The client reports an acknowledgement slightly before it counts the record as delivered. A
/// commit in between finds a record to flush, and rdkafka then waits for a full 100 ms.
fn settle(client: &Client) {
    let begun = Instant::now();
    while client.in_flight_count() > 0 && begun.elapsed() < SETTLES {
        std::thread::sleep(SETTLES / 1_000);
    }
}

struct Writer {
    shared: Arc<Shared>,
    name: String,
    /// One client per `transactional.id`.
    clients: Vec<Client>,
    /// The index of the client for the next transaction.
    turn: usize,
}

impl Writer {
    async fn write_until_closed(mut self, mut inbox: mpsc::Receiver<Request>, shut: watch::Sender<bool>) {
        while let Some(first) = inbox.recv().await {
            // Callers that were answered together send their next requests together, each in
            // its own task.
            tokio::task::yield_now().await;
            let mut group = vec![first];
            let mut records = group[0].work.records();
            while records < GROUP
                && let Ok(next) = inbox.try_recv()
            {
                records += next.work.records();
                group.push(next);
            }
            if self.write_group(group).await {
                shut.send_replace(true);
                break;
            }
        }
        // Requests that still wait are dropped; their callers see that the name was taken.
        let clients = self.clients;
        // Closing a client waits for its threads.
        let _ = tokio::task::spawn_blocking(move || drop(clients)).await;
    }

    /// Writes requests in one transaction, or each in its own if that fails. Returns whether
    /// another process has taken the name.
    async fn write_group(&mut self, group: Vec<Request>) -> bool {
        let alone = group.len() == 1;
        let works: Vec<&Work> = group.iter().map(|request| &request.work).collect();
        let mut together = Some(self.persistently(&works).await);
        if matches!(together, Some(Err(Some(_)))) && !alone {
            together = None;
        }
        let mut shut_out = matches!(together, Some(Err(None)));
        for request in group {
            let answer = match &mut together {
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => Err(error.take()),
                None if shut_out => Err(None),
                None => self.persistently(&[&request.work]).await,
            };
            shut_out |= matches!(answer, Err(None));
            let fenced = || LogError::Fenced { name: self.name.clone() };
            let _ = request.reply.send(answer.map_err(|error| error.unwrap_or_else(fenced)));
        }
        shut_out
    }

    /// Retries transient errors: a service without limit, a command until its timeout. The
    /// error is `None` if another process has taken the name.
    async fn persistently(&mut self, works: &[&Work]) -> Result<(), Option<LogError>> {
        let shared = self.shared.clone();
        let committing = AtomicBool::new(false);
        let written = shared.within_patience(&committing, self.repeatedly(works, &committing)).await;
        written.unwrap_or_else(|given_up| Err(Some(given_up)))
    }

    async fn repeatedly(&mut self, works: &[&Work], committing: &AtomicBool) -> Result<(), Option<LogError>> {
        loop {
            match self.transaction(works, committing).await {
                Ok(()) => {
                    self.shared.connectivity.found();
                    self.turn = (self.turn + 1) % self.clients.len();
                    return Ok(());
                }
                Err(Trouble::ShutOut) => return Err(None),
                Err(Trouble::Refused(error)) => return Err(Some(error)),
                Err(Trouble::Passes(error)) => {
                    self.shared.connectivity.lost("appending", &error);
                    self.shared.topics.forget();
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
        }
    }

    fn client(&self) -> &Client {
        &self.clients[self.turn]
    }

    /// Runs one transaction. Sets `committing` while a commit may have been requested whose
    /// result is not known.
    async fn transaction(&self, works: &[&Work], committing: &AtomicBool) -> Result<(), Trouble> {
        let records: Vec<&Append> = works
            .iter()
            .filter_map(|work| match work {
                Work::Append(records) => Some(records),
                Work::Commit(..) => None,
            })
            .flatten()
            .collect();
        let names = self.shared.places(&records).await.map_err(Trouble::Refused)?;
        let placed: Vec<_> = records.iter().map(|record| names.place(record)).collect();
        self.client().begin_transaction().map_err(|error| self.trouble(error))?;
        let done = async {
            let refused = send(self.client(), &self.shared.connectivity, &placed).await;
            if let Some((_, error)) =
                refused.iter().find(|(_, error)| !is_to_repeat(error)).or(refused.first())
            {
                return Err(error.clone());
            }
            for work in works {
                if let Work::Commit(reader, positions) = work {
                    self.send_offsets(reader, positions).await?;
                }
            }
            committing.store(true, SeqCst);
            self.finish(|client| {
                settle(client);
                client.commit_transaction(REQUEST)
            })
            .await
        };
        let Err(error) = done.await else { return Ok(()) };
        let trouble = self.trouble(error);
        if !matches!(trouble, Trouble::ShutOut) {
            self.finish(|client| client.abort_transaction(REQUEST))
                .await
                .map_err(|error| self.trouble(error))?;
            committing.store(false, SeqCst);
        }
        Err(trouble)
    }

    async fn send_offsets(
        &self,
        reader: &Arc<StreamConsumer<Context>>,
        positions: &[Position],
    ) -> KafkaResult<()> {
        let list = offsets(&self.shared, positions)?;
        let reader = reader.clone();
        self.finish(move |client| {
            let group = reader.group_metadata().ok_or(KafkaError::Canceled)?;
            client.send_offsets_to_transaction(&list, &group, REQUEST)
        })
        .await
    }

    /// Retries one step of a transaction until it succeeds or fails permanently.
    async fn finish(
        &self,
        step: impl Fn(&Client) -> KafkaResult<()> + Clone + Send + Sync + 'static,
    ) -> KafkaResult<()> {
        loop {
            let (client, step) = (self.client().clone(), step.clone());
            let Err(error) = blocking(move || step(&client)).await else { return Ok(()) };
            let again = match &error {
                KafkaError::Transaction(error) => error.is_retriable() && !error.txn_requires_abort(),
                // From the flush before a commit.
                KafkaError::Flush(code) => *code == Code::OperationTimedOut,
                _ => false,
            };
            if !again || self.client().client().fatal_error().is_some() {
                return Err(error);
            }
            self.shared.connectivity.lost("ending a transaction", &error);
        }
    }

    fn trouble(&self, error: KafkaError) -> Trouble {
        if self.client().client().fatal_error().is_some() {
            return Trouble::ShutOut;
        }
        let abortable = matches!(&error, KafkaError::Transaction(error) if error.txn_requires_abort());
        if abortable || is_to_repeat(&error) {
            return Trouble::Passes(error);
        }
        Trouble::Refused(self.shared.failed("appending", error))
    }
}

impl Work {
    fn records(&self) -> usize {
        match self {
            Work::Append(records) => records.len(),
            Work::Commit(_, positions) => positions.len(),
        }
    }
}
