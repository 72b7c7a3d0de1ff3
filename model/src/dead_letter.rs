//! Dead letters: what did not validate, kept with its reason and its bytes.

use serde::{Deserialize, Serialize};

use crate::append::Append;
use crate::time::Millis;
use crate::topic;

/// One refused event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it came from: a feed, or a file with its line.
    pub source: String,
    /// Which rule it broke.
    pub reason: String,
    /// The event as received.
    pub event: String,
    /// How `event` is written: `text`, or `base64` where the bytes are not UTF-8.
    pub encoding: Encoding,
    /// Length in bytes of the whole event, where only its start is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_length: Option<usize>,
    /// SHA-256 of the whole event, where only its start is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// When it was refused.
    pub received_timestamp: Millis,
}

/// How the bytes of a dead letter are written into JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// UTF-8, as it was.
    Text,
    /// Base64 of the bytes.
    Base64,
}

/// An event longer than this is not kept whole.
pub const WHOLE_LIMIT: usize = 256 * 1024;
/// How much of a longer event is kept.
pub const KEPT: usize = 64 * 1024;

impl DeadLetter {
    /// Keeps `event` with the reason that it was refused for.
    pub fn new(source: impl Into<String>, reason: impl Into<String>, event: &[u8], at: Millis) -> Self {
        use base64::Engine;
        use sha2::Digest;
        let cut = event.len() > WHOLE_LIMIT;
        let kept = if cut { &event[..KEPT] } else { event };
        let (event_text, encoding) = match std::str::from_utf8(kept) {
            Ok(text) => (text.to_owned(), Encoding::Text),
            Err(_) => (base64::engine::general_purpose::STANDARD.encode(kept), Encoding::Base64),
        };
        DeadLetter {
            source: source.into(),
            reason: reason.into(),
            event: event_text,
            encoding,
            full_length: cut.then_some(event.len()),
            sha256: cut
                .then(|| sha2::Sha256::digest(event).iter().map(|byte| format!("{byte:02x}")).collect()),
            received_timestamp: at,
        }
    }

    /// The event as received; none where only its start was kept.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        use base64::Engine;
        match (self.full_length, self.encoding) {
            (Some(_), _) => None,
            (None, Encoding::Text) => Some(self.event.clone().into_bytes()),
            (None, Encoding::Base64) => base64::engine::general_purpose::STANDARD.decode(&self.event).ok(),
        }
    }

    /// The record that carries it to the log.
    pub fn to_append(&self) -> Append {
        Append::json(topic::DEAD_LETTERS, &self.source, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_it_was_and_other_bytes_as_base64() {
        assert_eq!(DeadLetter::new("file", "why", b"a,b", 1).event, "a,b");
        let letter = DeadLetter::new("file", "why", &[0xff, 0x00], 1);
        assert_eq!((letter.event.as_str(), letter.encoding), ("/wA=", Encoding::Base64));
        assert_eq!(letter.bytes(), Some(vec![0xff, 0x00]));
    }

    #[test]
    fn of_a_huge_event_the_start_the_length_and_the_hash_are_kept() {
        let letter = DeadLetter::new("feed", "too long", &vec![b'x'; 1 << 20], 1);
        assert_eq!(letter.event.len(), KEPT);
        assert_eq!((letter.full_length, letter.bytes()), (Some(1 << 20), None));
        assert_eq!(letter.sha256.unwrap().len(), 64);
    }
}
