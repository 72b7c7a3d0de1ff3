//! A list in a file or on standard input, as commands take it.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use control::kept::Kept;
use serde::Deserialize;

/// A list as it was typed.
pub struct TypedList<E> {
    /// The version that it was made from, where it says so.
    pub version: Option<u64>,
    pub entries: Vec<E>,
}

impl<E: Kept> TypedList<E> {
    /// Reads and checks it; `-` is standard input.
    pub fn read(file: &Path) -> anyhow::Result<TypedList<E>> {
        let (mut json, name) = (Vec::new(), file.display().to_string());
        if name == "-" {
            std::io::stdin().read_to_end(&mut json).context("standard input cannot be read")?;
        } else {
            json = std::fs::read(file)
                .with_context(|| format!("{name} cannot be read: check its name and its rights"))?;
        }
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let entries = E::parse(&json).with_context(|| format!("the list in {name} is not taken"))?;
        let version = serde_json::from_slice::<Version>(&json).ok().map(|typed| typed.version);
        Ok(TypedList { version, entries })
    }
}
