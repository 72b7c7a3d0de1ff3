//! Records that others put onto topics of ours, told once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use model::topic::Topic;

use crate::Record;

/// Records that were told of are remembered up to this number, so that a flood of
/// them does not grow without end.
const REMEMBERED: usize = 10_000;

/// Tells of a record that is passed over, once in the life of the process.
pub fn passed_over(record: &Record, reason: &dyn std::fmt::Display) {
    static TOLD: Mutex<BTreeSet<(Topic, u32, u64)>> = Mutex::new(BTreeSet::new());
    let Record { topic, partition, offset, .. } = record;
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if !told.insert((topic.clone(), *partition, *offset)) {
        return;
    }
    if told.len() > REMEMBERED {
        told.pop_first();
    }
    drop(told);
    tracing::warn!(
        %topic,
        partition,
        offset,
        %reason,
        "Passing over a record that does not belong there; something else writes to this topic."
    );
}
