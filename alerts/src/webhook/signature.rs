//! What a receiver checks: that a request is ours, whole, and new.

use hmac::{Hmac, KeyInit, Mac};
use net::Secret;
use sha2::Sha256;

/// The signature of a body sent at `seconds` since the epoch: `v1=` and, in
/// hexadecimal, HMAC-SHA256 (RFC 2104) over `SECONDS.BODY` with the secret.
pub(crate) fn sign(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    // An HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let code = mac.finalize().into_bytes();
    code.iter().fold("v1=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec-1`
    #[test]
    fn the_signature_is_what_openssl_computes() {
        assert_eq!(
            sign(&Secret::new("whsec-1"), 1_700_000_000, br#"{"a":1}"#),
            "v1=64d1a1c4ef3fa677754396c88fe7bdb6cbbf0962ac835ebc532be882802daac9"
        );
    }
}
