//! Writes the repository's sample again: `cargo run -p simulation --example sample [FOLDER]`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../sample");
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(shipped), PathBuf::from);
    simulation::sample::write(&folder)
}
