//! The recorded minute bars that the golden tests read.

use std::path::{Path, PathBuf};

/// The file of recorded minute bars in `tests/data/`, whose README names their origin.
#[must_use]
pub fn real_bars() -> PathBuf {
    recorded("us-equity-minute-bars.csv")
}

/// Recorded minute bars of two crypto pairs, over midnight in UTC.
#[must_use]
pub fn real_crypto_bars() -> PathBuf {
    recorded("crypto-minute-bars.csv")
}

/// Recorded minute bars of a pair of currencies, over a weekend.
#[must_use]
pub fn real_currency_bars() -> PathBuf {
    recorded("currency-minute-bars.csv")
}

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}
