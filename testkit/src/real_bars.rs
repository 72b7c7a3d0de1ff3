//! The recorded minute bars that the golden tests read.

use std::path::{Path, PathBuf};

/// The file of recorded minute bars in `tests/data/`, whose README names their origin.
#[must_use]
pub fn real_bars() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/us-equity-minute-bars.csv")
}
