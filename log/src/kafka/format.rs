//! In which format a log on Kafka is written, and with how many partitions: one record
//! beside the data, so that a program that does not know the format, or would spread
//! keys otherwise, leaves the log alone.
//!
//! | format | what a reader must know |
//! | --- | --- |
//! | 1 | the log of versions that wrote no record of the format |
//! | 2 | services append in transactions: not every offset holds a record |

use std::sync::Arc;

use model::topic::LOG_FORMAT;
use serde::{Deserialize, Serialize};

use super::KafkaLog;
use super::shared::Shared;
use crate::{Append, LogError, each_record};

/// The format that this program writes; a higher one is refused.
const FORMAT: u32 = 2;
/// The one key of the topic.
const KEY: &str = "log";

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    format: u32,
    /// How many partitions data topics have.
    partitions: u32,
    /// Which version noted it.
    version: String,
}

impl Shared {
    /// Makes sure, once, that this program may use the log.
    pub(super) async fn check_format(self: &Arc<Self>) -> Result<(), LogError> {
        self.format_checked.get_or_try_init(|| async { self.noted_format().await.map(drop) }).await.copied()
    }

    /// Makes sure of it and notes the format, where it is not noted or an earlier one is.
    pub(super) async fn note_format(self: &Arc<Self>) -> Result<(), LogError> {
        let ours = Written {
            format: FORMAT,
            partitions: self.config.partitions,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let noted = self.noted_format().await?;
        if noted.is_some_and(|noted| noted.format == FORMAT) {
            return Ok(());
        }
        self.append(&[Append::json(LOG_FORMAT, KEY, &ours)]).await
    }

    async fn noted_format(self: &Arc<Self>) -> Result<Option<Written>, LogError> {
        let mut noted: Option<Written> = None;
        each_record(&KafkaLog::of(self.clone()), &LOG_FORMAT, |record| {
            match serde_json::from_slice(&record.value) {
                Ok(written) if record.key == KEY => noted = Some(written),
                Ok(Written { .. }) => {}
                Err(error) => crate::passed_over(&record, &error),
            }
        })
        .await?;
        let Some(written) = noted else { return Ok(None) };
        let servers = self.connectivity.servers().to_owned();
        if written.format > FORMAT {
            let Written { format: found, version, .. } = written;
            return Err(LogError::KafkaNewer { servers, found, version, known: FORMAT });
        }
        if written.partitions != self.config.partitions {
            let (found, asked) = (written.partitions, self.config.partitions);
            return Err(LogError::KafkaRepartitioned { servers, found, asked });
        }
        Ok(Some(written))
    }
}
