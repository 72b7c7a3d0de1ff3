//! Compiles the files of `sql/` into the program; a new job needs only a new file there.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    // Read at run time: a cached build script may run for another checkout.
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = Path::new(&here).join("../sql");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder sql/ lies beside engine/")
        .map(|entry| entry.expect("sql/ can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_stem().expect("it ends in .sql").to_string_lossy().into_owned();
        writeln!(list, "({name:?}, include_str!({:?})),", file.display().to_string())
            .expect("a string grows");
    }
    list.push(']');
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("sql_files.rs"), list).expect("OUT_DIR can be written");
}
