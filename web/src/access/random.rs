//! Identities that cannot be guessed, and what is kept of them.

use sha2::{Digest as _, Sha256};

/// What is kept of an identity: who reads it cannot use it.
pub(super) type Digest = [u8; 32];

/// 256 bits from the system, in hexadecimal.
///
/// # Errors
/// When the system has no randomness to give.
pub(super) fn identity() -> Result<String, std::io::Error> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(std::io::Error::other)?;
    Ok(hexadecimal(&bits))
}

/// SHA-256; an identity of 256 bits needs nothing slower.
pub(super) fn digest(identity: &str) -> Digest {
    Sha256::digest(identity.as_bytes()).into()
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
