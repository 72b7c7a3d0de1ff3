//! Which rules were in force when: each version from the moment that it
//! entered the log, so that the answer is the same whenever it is asked.

use std::collections::BTreeMap;

use control::foreign::MOST_VERSIONS;
use control::kept::Standing;
use control::rules::{KEY, Rule, Rules};
use log::{Log, LogError};
use model::time::Millis;
use model::topic::{ALERT_RULES, ALERT_RULES_HISTORY, Topic};
use serde::Deserialize;

/// Records read at once.
const AT_ONCE: usize = 100;

/// The versions of the rules with the times of their appends.
#[derive(Default)]
pub(crate) struct Schedule {
    versions: BTreeMap<u64, (Millis, Rules)>,
    next: BTreeMap<(Topic, u32), u64>,
    /// The list as it stands: what says that it is newer is not believed.
    standing: Standing<Rule>,
    current: u64,
}

/// What the history and the topic itself have in common.
#[derive(Deserialize)]
struct Version {
    version: u64,
    entries: Vec<Rule>,
}

impl Schedule {
    /// Reads what has come since the last call. The history has every version
    /// that retention has left; the topic itself has the last one in any case.
    pub(crate) async fn read_on(&mut self, log: &dyn Log) -> Result<(), LogError> {
        for topic in [ALERT_RULES_HISTORY, ALERT_RULES] {
            for extent in log.extents(&topic).await? {
                let next = self.next.entry((topic.clone(), extent.partition)).or_insert(extent.first);
                while *next < extent.next {
                    let records = log.read(&topic, extent.partition, *next, AT_ONCE).await?;
                    *next = records.last().map_or(extent.next, |last| last.offset + 1);
                    for record in records {
                        if topic == ALERT_RULES && record.key != KEY {
                            continue;
                        }
                        match serde_json::from_slice::<Version>(&record.value) {
                            Ok(Version { version, entries }) if version <= MOST_VERSIONS => {
                                let rules = Rules { version, entries };
                                self.versions.entry(version).or_insert((record.appended_at, rules));
                            }
                            Ok(Version { version, .. }) => {
                                log::passed_over(&record, &format!("version {version} of the alert rules"));
                            }
                            Err(error) => log::passed_over(&record, &error),
                        }
                    }
                }
            }
        }
        self.current = self.standing.read_on(log).await?.version;
        Ok(())
    }

    /// The rules that are in force for what was appended at `at`, if they are
    /// newer than `version`. Of two appends in one millisecond, the rules count
    /// as the later.
    pub(crate) fn newer_than(&self, version: u64, at: Millis) -> Option<&Rules> {
        // The list and its history are appended together, and may show one after the other.
        let believed = self.current.saturating_add(1);
        let newer = self.versions.range(version.saturating_add(1)..).rev();
        let newer = newer.filter(|(version, _)| **version <= believed);
        newer.map(|(_, held)| held).find(|(appended, _)| *appended < at).map(|(_, rules)| rules)
    }
}
