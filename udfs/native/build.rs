//! Build script: makes every file of `udfs/` a module of the crate, with the code that
//! describes and calls its function.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

mod form;

use form::{Definition, FormError, ParsedArgument};

const FORM: &str = "\
A file udfs/<name>.rs is what Arroyo compiles into a plugin:
    /*                              optional: the crates that it needs, as TOML, which
    [dependencies]                  udfs/Cargo.toml then has to name too
    … */
    use arroyo_udf_plugin::udf;     on a line of its own
    #[udf]                          on a line of its own
    pub fn <name>(…) -> Option<T>   or -> T; named as the file
An aggregate takes only Vec<N> or Vec<Option<N>>, a scalar only N, &str, &[u8] or an Option of
these; N is i32, i64, u32, u64, f32 or f64. T is one of these, String or Vec<u8>.";

#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error("{} cannot be read or written: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is not a UDF that Arroyo accepts: {error}.\n\n{FORM}\n", path.display())]
    Refused { path: PathBuf, error: FormError },
    #[error("cargo did not say where the build takes place: {0}")]
    Place(#[from] env::VarError),
}

fn main() {
    if let Err(error) = build() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), BuildError> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", folder.display());

    let examples = folder.join("../docs/examples");
    println!("cargo::rerun-if-changed={}", examples.display());

    let mut all = String::new();
    for (function, doc, folder) in [
        ("all", "Every function of `udfs/`, ordered by name.", &folder),
        (
            "examples",
            "The functions that the documentation shows; no job knows them.\n#[doc(hidden)]",
            &examples,
        ),
    ] {
        let names = modules(folder, &out, &mut all)?;
        let list = names.iter().map(|name| format!("{name}::__UDF")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            all,
            "\n/// {doc}\npub fn {function}() -> &'static [Udf] {{\n    const ALL: &[Udf] = &[{list}];\n    ALL\n}}"
        );
    }
    write(&out.join("all.rs"), &all)
}

/// Generates a module for every file of `folder`; returns their names.
fn modules(folder: &Path, out: &Path, all: &mut String) -> Result<Vec<String>, BuildError> {
    let mut names = Vec::new();
    for file in files(folder)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text =
            fs::read_to_string(&file).map_err(|error| BuildError::File { path: file.clone(), error })?;
        let definition =
            form::read(&name, &text).map_err(|error| BuildError::Refused { path: file.clone(), error })?;
        let module = out.join(format!("{name}.rs"));
        write(&module, &module_text(&name, &file, &definition))?;
        // Arroyo passes vectors by value, even if the function only reads them.
        let _ = writeln!(all, "#[allow(clippy::needless_pass_by_value)]\n#[path = {module:?}]\nmod {name};");
        names.push(name);
    }
    Ok(names)
}

/// The Rust files directly in the folder, sorted by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let unreadable = |error| BuildError::File { path: folder.to_owned(), error };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The file's text, followed by the code that describes and calls the function.
fn module_text(name: &str, file: &Path, definition: &Definition) -> String {
    let Definition { aggregate, arguments, returns, native } = definition;
    let mut descriptions = String::new();
    let mut conversions = String::new();
    for (i, ParsedArgument { name, kind, nullable }) in arguments.iter().enumerate() {
        let _ = writeln!(
            descriptions,
            "        crate::Argument {{ name: {name:?}, kind: crate::Kind::{kind}, nullable: {nullable} }},"
        );
        let _ = writeln!(
            conversions,
            "    let Some(a{i}) = crate::column::argument(&__UDF, {i}, columns) else {{ return crate::Value::Null }};"
        );
    }
    let call_arguments = (0..arguments.len()).map(|i| format!("a{i}")).collect::<Vec<_>>().join(", ");
    format!(
        "{native}
pub(crate) const __UDF: crate::Udf = crate::Udf {{
    name: {name:?},
    aggregate: {aggregate},
    arguments: &[
{descriptions}    ],
    returns: crate::Kind::{returns},
    source: include_str!({file:?}),
    call: __call,
}};

fn __call(columns: &[crate::Column<'_>]) -> crate::Value {{
{conversions}    {name}({call_arguments}).into()
}}
"
    )
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    fs::write(path, text).map_err(|error| BuildError::File { path: path.to_owned(), error })
}
