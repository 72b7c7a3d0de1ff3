//! The past of the watchlist, as `watchlist-history` keeps it.

use log::{Log, LogError};
use model::topic::WATCHLIST_HISTORY;

use super::Past;
use crate::foreign::MOST_VERSIONS;

/// Versions read at once: each holds the whole list, up to a megabyte.
const AT_ONCE: usize = 4;

/// The last `count` versions, the newest first, without their entries: what was
/// changed, by whom and when.
///
/// # Errors
/// When the log cannot be read.
pub async fn history(log: &dyn Log, count: usize) -> Result<Vec<Past>, LogError> {
    let mut past: Vec<Past> = Vec::new();
    each(log, count, |version| past.push(Past { entries: Vec::new(), ..version })).await?;
    past.sort_by_key(|past| std::cmp::Reverse(past.version));
    past.dedup_by_key(|past| past.version);
    past.truncate(count);
    Ok(past)
}

/// One of the last `count` versions, with its entries; none where it lies further back.
///
/// # Errors
/// When the log cannot be read.
pub async fn past(log: &dyn Log, version: u64, count: usize) -> Result<Option<Past>, LogError> {
    let mut found = None;
    let is_it = |past: Past| {
        if past.version == version {
            found = Some(past);
        }
    };
    each(log, count, is_it).await?;
    Ok(found)
}

/// Hands on the last `count` versions of each partition, and maybe others.
async fn each(log: &dyn Log, count: usize, mut take: impl FnMut(Past)) -> Result<(), LogError> {
    for extent in log.extents(&WATCHLIST_HISTORY).await? {
        // However the versions are spread, the last ones are among the last of each partition.
        // A marker of a transaction may follow each, and takes an offset.
        let back = (count as u64).saturating_mul(2);
        let mut from = extent.first.max(extent.next.saturating_sub(back));
        while from < extent.next {
            let records = log.read(&WATCHLIST_HISTORY, extent.partition, from, AT_ONCE).await?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            records
                .iter()
                .filter_map(|record| serde_json::from_slice::<Past>(&record.value).ok())
                .filter(|past| past.version <= MOST_VERSIONS)
                .for_each(&mut take);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watchlist::{Entry, put};
    use log::EmbeddedLog;

    #[tokio::test]
    async fn the_last_versions_come_newest_first_however_they_are_spread() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 3).unwrap();
        for version in 0..8 {
            let entry = Entry { symbol: Some(format!("S{version}")), ..Entry::default() };
            put(&log, version, vec![entry], "test").await.unwrap();
        }
        let past = history(&log, 4).await.unwrap();
        let versions: Vec<_> = past.iter().map(|past| past.version).collect();
        assert_eq!(versions, [8, 7, 6, 5]);
        assert_eq!(past[0].summary, "added S7; removed S6");
        assert!(past.iter().all(|past| past.entries.is_empty()));
        let sixth = super::past(&log, 6, 4).await.unwrap().unwrap();
        assert_eq!(sixth.entries[0].symbol.as_deref(), Some("S5"));
        assert_eq!(super::past(&log, 9, 4).await.unwrap(), None);
    }
}
