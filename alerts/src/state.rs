//! What the alerts have come to, kept in the log: for each partition of the signals a
//! head, with the offset up to which it holds, and the symbols in parts, so that no
//! record grows with the number of symbols.
//!
//! Head and parts are appended together, so they are of one moment: to the log in a
//! folder in one transaction, to Kafka in one transaction of the lease.

use std::collections::{BTreeMap, BTreeSet};

use log::{Append, Log, LogError, Record, SharedLog, each_record};
use model::topic::ALERT_STATE;

use crate::error::AlertsError;
use crate::held::Held;
use crate::partition::Partition;

/// In how many parts the symbols of a partition are kept.
pub(crate) const PARTS: u32 = 128;

/// Symbols of one part, by name.
type Part = BTreeMap<String, Held>;

/// The partitions as they were noted last. What is no state is passed over: the one
/// before it counts, where the log still has it.
pub(crate) async fn read(log: &dyn Log) -> Result<BTreeMap<u32, Partition>, AlertsError> {
    let mut heads: BTreeMap<u32, Partition> = BTreeMap::new();
    let mut parts: BTreeMap<(u32, u32), Part> = BTreeMap::new();
    each_record(log, &ALERT_STATE, |record| match read_one(&record) {
        Ok(Noted::Head(partition, head)) => drop(heads.insert(partition, *head)),
        Ok(Noted::Part(place, part)) => drop(parts.insert(place, part)),
        Err(reason) => log::passed_over(&record, &reason),
    })
    .await?;
    for ((partition, _), part) in parts {
        // A state of before has everything in its head.
        if let Some(head) = heads.get_mut(&partition).filter(|head| head.in_parts) {
            head.symbols.extend(part);
        }
    }
    Ok(heads)
}

enum Noted {
    Head(u32, Box<Partition>),
    Part((u32, u32), Part),
}

fn read_one(record: &Record) -> Result<Noted, String> {
    let no_key = || format!("the key `{}` names no partition", record.key);
    let no_state = |error: serde_json::Error| format!("no state of alerts: {error}");
    match record.key.split_once('/') {
        None => {
            let partition = record.key.parse().map_err(|_| no_key())?;
            Ok(Noted::Head(partition, Box::new(serde_json::from_slice(&record.value).map_err(no_state)?)))
        }
        Some((partition, part)) => {
            let partition = partition.parse().map_err(|_| no_key())?;
            let part = part.parse().ok().filter(|&part| part < PARTS).ok_or_else(no_key)?;
            Ok(Noted::Part((partition, part), serde_json::from_slice(&record.value).map_err(no_state)?))
        }
    }
}

/// Notes partitions that have moved, with those of their parts that have changed.
pub(crate) async fn write(
    log: &SharedLog,
    partitions: &mut BTreeMap<u32, Partition>,
    moved: &BTreeSet<u32>,
) -> Result<(), LogError> {
    let mut notes = Vec::new();
    for (number, state) in partitions.iter_mut().filter(|(number, _)| moved.contains(number)) {
        for part in state.changed_parts() {
            notes.push(Append::json(ALERT_STATE, &format!("{number}/{part}"), &state.part(part)));
        }
        notes.push(Append::json(ALERT_STATE, &number.to_string(), &state.head()));
    }
    log.append(notes).await
}
