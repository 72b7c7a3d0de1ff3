//! Assigns keys to partitions, and warns of records that do not belong to a topic.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use model::topic::Topic;

use crate::Record;

/// The partition of `key` among `partitions`, by the default partitioner of Kafka's Java client
/// (murmur2): a key has the same partition number in every topic and with every client.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions.max(1)
}

/// MurmurHash2 (Austin Appleby), 32 bits, with the seed that Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// How many warned-of records are remembered, so that the memory of this set stays bounded.
const REMEMBERED: usize = 10_000;

/// Warns that a reader skips a record; once per record in the life of the process.
pub fn warn_skipped(record: &Record, reason: &dyn std::fmt::Display) {
    static WARNED: Mutex<BTreeSet<(Topic, u32, u64)>> = Mutex::new(BTreeSet::new());
    let Record { topic, partition, offset, .. } = record;
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if !warned.insert((topic.clone(), *partition, *offset)) {
        return;
    }
    if warned.len() > REMEMBERED {
        warned.pop_first();
    }
    drop(warned);
    tracing::warn!(
        %topic,
        partition,
        offset,
        %reason,
        "Skipping a record that does not belong to its topic; another program writes to this topic."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from Kafka's own tests of this hash function.
    #[test]
    fn the_hash_is_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn one_partition_takes_every_key() {
        assert_eq!(partition_of("AAPL", 1), 0);
        assert!(partition_of("AAPL", 7) < 7);
    }
}
