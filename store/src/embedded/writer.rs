//! The writer thread of the embedded store: it commits waiting requests together, with one sync
//! of the disk.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};

use model::time::Millis;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::file::{Fault, StoreFile, define, find};
use super::scan;
use super::scan::{parameter, upsert};
use crate::point::{NANOS, Point};
use crate::{Batch, Measurement, StoreError};

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Request {
    Define(Measurement, Reply<()>),
    Write(Arc<Batch>, Reply<()>),
    Trim(String, Millis, Reply<u64>),
    TrimmedAtMost(String, Millis, Reply<()>),
}

/// The largest number of requests in one transaction.
const GROUP: usize = 256;

/// The largest number of points that one transaction deletes.
const TRIMMED_AT_ONCE: u64 = 20_000;

/// The handle of the thread; dropping it waits until all requests are written.
pub(super) struct Writer {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(file: StoreFile, connection: Connection) -> Result<Writer, StoreError> {
        let (requests, inbox) = mpsc::channel();
        let name = file.name();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || WriterThread { file, connection, inserts: HashMap::new() }.run(&inbox))
            .map_err(|error| StoreError::Sqlite {
                path: name,
                source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            })?;
        Ok(Writer { requests: Some(requests), thread: Some(thread) })
    }

    pub(super) async fn ask<T>(&self, build: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        requests.send(build(reply)).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct WriterThread {
    file: StoreFile,
    connection: Connection,
    inserts: Inserts,
}

/// The last used INSERT statement of each measurement.
type Inserts = HashMap<String, (Measurement, String)>;

impl WriterThread {
    fn run(mut self, inbox: &mpsc::Receiver<Request>) {
        while let Ok(first) = inbox.recv() {
            let mut group = vec![first];
            while group.len() < GROUP {
                let Ok(next) = inbox.try_recv() else { break };
                group.push(next);
            }
            self.write_group(group);
        }
    }

    /// If the transaction of a group fails, each request gets its own, so that one bad request
    /// does not fail the others.
    fn write_group(&mut self, group: Vec<Request>) {
        let together = if group.len() > 1 { self.commit(&group).ok() } else { None };
        let mut counts = together.map(Vec::into_iter);
        for request in group {
            let outcome = match &mut counts {
                Some(counts) => Ok(counts.next().unwrap_or_default()),
                None => self.commit(std::slice::from_ref(&request)).map(|counts| counts.iter().sum()),
            };
            let outcome = outcome.map_err(|fault| self.file.name_in(fault));
            // A dropped receiver means that the caller no longer waits.
            match request {
                Request::Define(_, reply)
                | Request::Write(_, reply)
                | Request::TrimmedAtMost(_, _, reply) => drop(reply.send(outcome.map(drop))),
                Request::Trim(_, _, reply) => drop(reply.send(outcome)),
            }
        }
    }

    /// Runs one transaction; returns how many points each request deleted.
    fn commit(&mut self, requests: &[Request]) -> Result<Vec<u64>, Fault> {
        let mut apply_all = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let deleted = requests.iter().map(|request| apply(&transaction, &mut self.inserts, request));
            let deleted = deleted.collect::<Result<_, Fault>>()?;
            transaction.commit()?;
            Ok(deleted)
        };
        let outcome = apply_all();
        if outcome.is_err() {
            // Definitions of this transaction were rolled back.
            self.inserts.clear();
        }
        outcome
    }
}

fn apply(connection: &Connection, inserts: &mut Inserts, request: &Request) -> Result<u64, Fault> {
    match request {
        Request::Define(measurement, _) => {
            define(connection, measurement)?;
            inserts.remove(&measurement.name);
            Ok(0)
        }
        Request::Write(batch, _) => write(connection, inserts, batch).map(|()| 0),
        Request::Trim(measurement, before, _) => trim(connection, measurement, *before),
        Request::TrimmedAtMost(measurement, latest, _) => {
            connection.execute(
                "UPDATE _measurements SET trimmed_before = ?2 WHERE name = ?1 AND trimmed_before > ?2",
                params![measurement, latest],
            )?;
            Ok(0)
        }
    }
}

fn write(connection: &Connection, inserts: &mut Inserts, batch: &Batch) -> Result<(), Fault> {
    for (measurement, points) in &batch.points {
        insert(connection, insert_of(connection, inserts, measurement)?, measurement, points)?;
    }
    for (key, value) in &batch.notes {
        match value {
            Some(value) => connection
                .prepare_cached("INSERT OR REPLACE INTO _notes VALUES (?1, ?2)")?
                .execute(params![key, value])?,
            None => connection.prepare_cached("DELETE FROM _notes WHERE key = ?1")?.execute([key])?,
        };
    }
    Ok(())
}

fn insert_of<'a>(
    connection: &Connection,
    inserts: &'a mut Inserts,
    given: &Measurement,
) -> Result<&'a str, Fault> {
    let known = inserts.get(&given.name).is_some_and(|(known, _)| known == given);
    if !known {
        let stored = find(connection, &given.name)?;
        stored.check_given(given)?;
        inserts.insert(given.name.clone(), (given.clone(), upsert(&stored, given)));
    }
    Ok(&inserts[&given.name].1)
}

fn insert(
    connection: &Connection,
    sql: &str,
    measurement: &Measurement,
    points: &[Point],
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let time_index = measurement.time_index();
    for point in points {
        for (at, value) in point.values.iter().enumerate() {
            if Some(at) == time_index {
                statement.raw_bind_parameter(at + 1, measurement.time_ns(point))?;
            } else {
                statement.raw_bind_parameter(at + 1, parameter(value))?;
            }
        }
        statement.raw_execute()?;
    }
    Ok(())
}

/// Deletes some points before `before` and returns their number; 0 when none is left.
fn trim(connection: &Connection, name: &str, before: Millis) -> Result<u64, Fault> {
    let measurement = find(connection, name)?;
    connection.execute(
        "UPDATE _measurements SET trimmed_before = max(coalesce(trimmed_before, ?2), ?2) WHERE name = ?1",
        params![name, before],
    )?;
    scan::trim(connection, &measurement, before.saturating_mul(NANOS), TRIMMED_AT_ONCE)
}
