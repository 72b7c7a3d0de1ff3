//! The writer thread of the embedded log: it appends, commits offsets and deletes, several
//! requests per transaction.

use std::collections::BTreeMap;
use std::sync::mpsc;

use model::time::{self, Millis};
use model::topic::{LETTERS_BYTES, LETTERS_LONGER, Stay, Topic};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{oneshot, watch};

use super::file::{LogFile, extents, offset_at, topic_id};
use crate::{Append, LogError, Position, partition_of};

/// A request to the thread, with the channel for its result.
pub(super) enum Request {
    Append(Vec<Append>, oneshot::Sender<Result<(), LogError>>),
    Commit(String, Vec<Position>, oneshot::Sender<Result<(), LogError>>),
    Trim(Millis, oneshot::Sender<Result<u64, LogError>>),
    /// Ends the thread; requests after this one are not answered.
    Close,
}

/// The largest number of requests in one transaction.
const GROUP: usize = 256;

pub(super) fn write_until_closed(
    file: &LogFile,
    connection: &mut Connection,
    partitions: u32,
    inbox: &mpsc::Receiver<Request>,
    bump: &watch::Sender<u64>,
) {
    let mut closing = false;
    while !closing && let Ok(first) = inbox.recv() {
        let (mut group, mut next) = (Vec::new(), Some(first));
        while let Some(request) = next {
            closing = matches!(request, Request::Close);
            if closing {
                break;
            }
            group.push(request);
            next = if group.len() < GROUP { inbox.try_recv().ok() } else { None };
        }
        write_group(file, connection, partitions, group);
        bump.send_modify(|version| *version += 1);
    }
}

/// Writes a group of requests in one transaction, with one sync of the disk. If that fails,
/// each request gets its own transaction, so that one bad request does not fail the others.
fn write_group(file: &LogFile, connection: &mut Connection, partitions: u32, group: Vec<Request>) {
    let alone = group.len() == 1;
    let together: Option<Vec<u64>> = if alone {
        None
    } else {
        transaction(connection, |connection| {
            group.iter().map(|request| apply(connection, partitions, request)).collect()
        })
        .ok()
    };
    for (at, request) in group.into_iter().enumerate() {
        let outcome = match &together {
            Some(outcomes) => Ok(outcomes[at]),
            None => transaction(connection, |connection| apply(connection, partitions, &request)),
        };
        let outcome = file.run(|| outcome);
        // A dropped receiver means that the caller no longer waits.
        match request {
            Request::Append(_, reply) | Request::Commit(_, _, reply) => drop(reply.send(outcome.map(drop))),
            Request::Trim(_, reply) => drop(reply.send(outcome)),
            Request::Close => {}
        }
    }
}

fn transaction<T>(
    connection: &mut Connection,
    step: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let value = step(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn apply(connection: &Connection, partitions: u32, request: &Request) -> rusqlite::Result<u64> {
    match request {
        Request::Append(records, _) => append(connection, partitions, records).map(|()| 0),
        Request::Commit(reader, positions, _) => commit(connection, reader, positions).map(|()| 0),
        Request::Trim(before, _) => trim(connection, *before),
        Request::Close => Ok(0),
    }
}

fn append(connection: &Connection, partitions: u32, records: &[Append]) -> rusqlite::Result<()> {
    let now = time::now();
    let mut ends: BTreeMap<(i64, u32), i64> = BTreeMap::new();
    let mut insert = connection.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    // Consecutive records mostly have the same topic.
    let mut last: Option<(&Topic, i64)> = None;
    for record in records {
        let topic = match last {
            Some((same, topic)) if *same == record.topic => topic,
            _ => make_topic(connection, &record.topic)?,
        };
        last = Some((&record.topic, topic));
        let partition = match record.partition {
            Some(partition) => partition,
            None if record.topic.is_compacted() => 0,
            None => partition_of(&record.key, partitions),
        };
        let next = match ends.get(&(topic, partition)) {
            Some(next) => *next,
            None => end_of(connection, topic, partition)?,
        };
        if record.topic.is_compacted() {
            connection
                .prepare_cached("DELETE FROM records WHERE topic = ?1 AND partition = ?2 AND key = ?3")?
                .execute(params![topic, partition, record.key])?;
        }
        insert.execute(params![topic, partition, next, now, record.key, record.value.as_ref()])?;
        ends.insert((topic, partition), next + 1);
    }
    for ((topic, partition), next) in ends {
        connection
            .prepare_cached(
                "INSERT INTO ends VALUES (?1, ?2, 0, ?3)
                 ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next",
            )?
            .execute(params![topic, partition, next])?;
    }
    Ok(())
}

fn make_topic(connection: &Connection, topic: &Topic) -> rusqlite::Result<i64> {
    if let Some(id) = topic_id(connection, topic.name())? {
        return Ok(id);
    }
    connection.execute("INSERT INTO topics (name) VALUES (?1)", [topic.name()])?;
    Ok(connection.last_insert_rowid())
}

fn end_of(connection: &Connection, topic: i64, partition: u32) -> rusqlite::Result<i64> {
    let end = connection
        .prepare_cached("SELECT next FROM ends WHERE topic = ?1 AND partition = ?2")?
        .query_row(params![topic, partition], |row| row.get(0))
        .optional()?;
    Ok(end.unwrap_or(0))
}

fn commit(connection: &Connection, reader: &str, positions: &[Position]) -> rusqlite::Result<()> {
    let mut upsert =
        connection.prepare_cached("INSERT OR REPLACE INTO readers VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for at in positions {
        upsert.execute(params![reader, at.topic.name(), at.partition, at.offset as i64, at.note])?;
    }
    Ok(())
}

/// Deletes records that were appended before `before`, as far as the retention of their topic
/// allows. The last record of a partition stays, because producers derive their position from
/// it, and compacted topics keep their keys. Readers do not hold records back: one that is
/// never started again would keep everything. A reader reports what it missed.
fn trim(connection: &Connection, before: Millis) -> rusqlite::Result<u64> {
    let mut removed = 0;
    let topics: Vec<(i64, String)> = connection
        .prepare_cached("SELECT id, name FROM topics")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, name) in topics {
        let topic = Topic::new(name.clone());
        let before = match topic.stay() {
            _ if topic.is_compacted() => continue,
            Stay::ForEver => continue,
            Stay::Data => before,
            Stay::Letters => before.saturating_sub(LETTERS_LONGER),
        };
        for extent in extents(connection, &name)? {
            let mut keep = offset_at(connection, &name, extent.partition, before)?;
            if topic.stay() == Stay::Letters {
                keep = keep.max(over(connection, id, extent.partition, LETTERS_BYTES)?);
            }
            let keep = keep.min(extent.next.saturating_sub(1));
            removed += connection
                .prepare_cached("DELETE FROM records WHERE topic = ?1 AND partition = ?2 AND offset < ?3")?
                .execute(params![id, extent.partition, keep as i64])? as u64;
            connection
                .prepare_cached("UPDATE ends SET first = max(first, ?3) WHERE topic = ?1 AND partition = ?2")?
                .execute(params![id, extent.partition, keep as i64])?;
        }
    }
    Ok(removed)
}

/// The offset from which on a partition holds at most `most` bytes.
fn over(connection: &Connection, topic: i64, partition: u32, most: u64) -> rusqlite::Result<u64> {
    let mut newest_first = connection.prepare_cached(
        "SELECT offset, length(value) FROM records
         WHERE topic = ?1 AND partition = ?2 ORDER BY offset DESC",
    )?;
    let mut rows = newest_first.query(params![topic, partition])?;
    let mut bytes: u64 = 0;
    while let Some(row) = rows.next()? {
        bytes = bytes.saturating_add(row.get::<_, i64>(1)? as u64);
        if bytes > most {
            return Ok(row.get::<_, i64>(0)? as u64 + 1);
        }
    }
    Ok(0)
}
