//! The past of the watchlist, as `watchlist-history` keeps it.

use super::Past;
use crate::log::{Log, LogError};
use crate::topic::WATCHLIST_HISTORY;

/// The last `count` versions, the newest first.
///
/// # Errors
/// When the log cannot be read.
pub async fn history(log: &dyn Log, count: usize) -> Result<Vec<Past>, LogError> {
    let mut past: Vec<Past> = Vec::new();
    for extent in log.extents(&WATCHLIST_HISTORY).await? {
        // However the versions are spread, the last ones are among the last of each partition.
        let from = extent.first.max(extent.next.saturating_sub(count as u64));
        let records = log.read(&WATCHLIST_HISTORY, extent.partition, from, count).await?;
        past.extend(records.iter().filter_map(|record| serde_json::from_slice(&record.value).ok()));
    }
    past.sort_by_key(|past| std::cmp::Reverse(past.version));
    past.dedup_by_key(|past| past.version);
    past.truncate(count);
    Ok(past)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::EmbeddedLog;
    use crate::watchlist::{Entry, put};

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
    }
}
