//! Appends under a name, in transactions: whoever takes the name next shuts out the
//! one before.
//!
//! Kafka knows each name (`transactional.id`) by an epoch. Taking the name raises the
//! epoch and aborts what the holder before had under way; from then on the broker
//! refuses everything of that holder, also when it was paused for an hour and knows of
//! nothing. Readers pass over what was aborted (`isolation.level` is
//! `read_committed`), so nothing of a holder that was shut out is ever read. Positions
//! are committed within the transactions, and are refused alike.
//!
//! What waits together goes into one transaction, so a service that appends much
//! pays for few of them.
//!
//! A transaction is acknowledged before its markers are in the partitions, and until they
//! are Kafka refuses the next one of the same `transactional.id`; the client then waits 20
//! milliseconds. So a name under which much is appended has two ids that take turns: a
//! transaction begins once the one before is acknowledged, on the other id. Taking the
//! name takes both ids, and begins with the first: of two that take it at the same time,
//! the one that has the second id alone cannot append.

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

/// Requests that wait together share a transaction, up to this many records.
const GROUP: usize = 20_000;
/// Requests that may wait before whoever appends has to.
const WAITING: usize = 1_024;

/// How long acknowledged records may be held by the client before a commit flushes them.
const SETTLES: Duration = Duration::from_millis(100);

/// The right to append under a name, until another takes it.
#[derive(Clone)]
pub(super) struct Fenced {
    name: String,
    requests: mpsc::Sender<Request>,
    shut_out: watch::Receiver<bool>,
}

/// How many ids (`transactional.id`) a name has, whose transactions take turns.
#[derive(Clone, Copy)]
pub(super) enum Turns {
    /// For one append, such as a change of a list: another client costs more than it saves.
    One = 1,
    /// For one append after the other.
    Two = 2,
}

/// What is asked for, and where the answer goes.
struct Request {
    work: Work,
    reply: oneshot::Sender<Result<(), LogError>>,
}

enum Work {
    Append(Vec<Append>),
    Commit(Arc<StreamConsumer<Context>>, Vec<Position>),
}

/// Why a transaction did not come to its end.
enum Trouble {
    /// Another has taken the name.
    ShutOut,
    /// It may go the next time.
    Passes(KafkaError),
    /// It never will.
    Refused(LogError),
}

impl Fenced {
    /// Takes the name: shuts out whoever has it, and waits until what that one had
    /// committed can be read. All that take a name must name the same `turns`.
    pub(super) async fn take(shared: &Arc<Shared>, name: &str, turns: Turns) -> Result<Fenced, LogError> {
        let mut clients = Vec::new();
        for number in 1..=turns as u8 {
            let id = if number == 1 { name.to_owned() } else { format!("{name}.{number}") };
            clients.push(open(shared, &shared.config.fenced(&id)).await?);
        }
        let (requests, inbox) = mpsc::channel(WAITING);
        let (shut, shut_out) = watch::channel(false);
        let writer = Writer { shared: shared.clone(), name: name.to_owned(), clients, turn: 0 };
        // A task of its own: whoever asks may be dropped at any moment, and a transaction
        // that was begun has to be ended.
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

    /// Waits until another has taken the name.
    pub(super) async fn shut_out(&self) {
        if self.shut_out.clone().wait_for(|shut| *shut).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether another is known to have taken the name.
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

/// Waits until the client has let go of every record that was acknowledged.
///
/// An acknowledgement is handed over a moment before the client counts its record as
/// done. A commit that falls into this moment finds something to flush, and rdkafka then
/// waits for a tenth of a second, whatever happens meanwhile.
fn settle(client: &Client) {
    let begun = Instant::now();
    while client.in_flight_count() > 0 && begun.elapsed() < SETTLES {
        std::thread::sleep(SETTLES / 1_000);
    }
}

struct Writer {
    shared: Arc<Shared>,
    name: String,
    /// One for each id.
    clients: Vec<Client>,
    /// Which of them has the next transaction.
    turn: usize,
}

impl Writer {
    async fn write_until_closed(mut self, mut inbox: mpsc::Receiver<Request>, shut: watch::Sender<bool>) {
        while let Some(first) = inbox.recv().await {
            // Those who were answered together ask together again, each in its own task.
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
        // Requests that still wait find the name taken: their answers are dropped.
        let clients = self.clients;
        // Their end waits for their threads.
        let _ = tokio::task::spawn_blocking(move || drop(clients)).await;
    }

    /// Writes requests as one transaction; each alone where together they cannot be.
    /// Says whether another has taken the name.
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

    /// Repeats what passes, for as long as the settings say: a service waits without end,
    /// a command does not. The error is `None` where another has taken the name.
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

    /// One transaction; says in `committing` whether its commit may have been asked for
    /// without the answer being known.
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

    /// Repeats a step of a transaction until it is done, or can only be given up.
    async fn finish(
        &self,
        step: impl Fn(&Client) -> KafkaResult<()> + Clone + Send + Sync + 'static,
    ) -> KafkaResult<()> {
        loop {
            let (client, step) = (self.client().clone(), step.clone());
            let Err(error) = blocking(move || step(&client)).await else { return Ok(()) };
            let again = match &error {
                KafkaError::Transaction(error) => error.is_retriable() && !error.txn_requires_abort(),
                // The flush before a commit.
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
