//! Where real minute bars lie, beside the checkout.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The file of real minute bars; where it is absent nothing, which is said so that
/// the runner of the tests does not keep it to itself.
pub fn real_bars() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/us-equity-minute-bars.csv");
    if path.is_file() {
        return Some(path);
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED: the real minute bars ({}) are not here", path.display());
    None
}
