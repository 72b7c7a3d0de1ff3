//! Compression, where the other side takes it.

use std::io::Write;

use axum::http::header::{self, HeaderMap};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Compresses at `level`, 1 (quick) to 9 (small).
pub(crate) fn compress(text: &[u8], level: u32) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text)?;
    encoder.finish().map(Bytes::from)
}

/// Whether a request takes an answer in gzip.
pub(crate) fn is_taken(asked: &HeaderMap) -> bool {
    asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let refused = parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            named && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn gzip_is_used_where_it_is_taken() {
        let asked = |value: &'static str| {
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
        };
        assert!(is_taken(&asked("br, GZIP;q=0.5")) && is_taken(&asked("gzip")));
        assert!(!is_taken(&asked("br")) && !is_taken(&asked("gzip; q=0")) && !is_taken(&HeaderMap::new()));
    }
}
