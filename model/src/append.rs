//! A message on its way to a topic.

use bytes::Bytes;
use serde::Serialize;

use crate::topic::Topic;

/// A record to be appended.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where to.
    pub topic: Topic,
    /// Chooses the partition, unless `partition` does.
    pub key: String,
    /// The JSON text.
    pub value: Bytes,
    /// A partition by number, as heartbeats need.
    pub partition: Option<u32>,
}

impl Append {
    /// `message` as JSON under `key`.
    ///
    /// # Panics
    /// If the message cannot be written as JSON; our messages have text keys and
    /// finite numbers, for which that cannot happen.
    pub fn json(topic: Topic, key: &str, message: &impl Serialize) -> Append {
        let value = serde_json::to_vec(message).expect("messages are plain structs with text keys");
        Append { topic, key: key.to_owned(), value: value.into(), partition: None }
    }

    /// The same record, for one partition by number.
    pub fn into_partition(self, partition: u32) -> Append {
        Append { partition: Some(partition), ..self }
    }
}
