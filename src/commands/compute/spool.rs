//! Rows that wait until those of all symbols before theirs are written: a little
//! in memory, much in a temporary file.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use engine::{Rolling, Windows};
use model::schema::Value;
use model::time::Millis;
use tempfile::SpooledTempFile;

/// What is kept in memory before a file is made.
const IN_MEMORY: usize = 64 << 20;
/// What a symbol collects before it is put with the rest.
const A_CHUNK: usize = 16 << 10;
/// Numbers are of eight bytes.
const WIDTH: usize = 8;

/// Chunks of all symbols, one after another.
pub struct Spool(Mutex<io::Result<SpooledTempFile>>);

/// What one symbol has in a spool.
#[derive(Default)]
pub struct Share {
    /// Where each chunk lies, and its length.
    chunks: Vec<(u64, usize)>,
    /// What is not there yet.
    waiting: Vec<u8>,
    /// Numbers a row.
    row: usize,
}

impl Default for Spool {
    fn default() -> Spool {
        Spool(Mutex::new(Ok(SpooledTempFile::new(IN_MEMORY))))
    }
}

impl Share {
    /// Takes windows in.
    pub fn take(&mut self, spool: &Spool, windows: &Windows<'_>) {
        for (start, measured) in windows.starts().iter().zip(windows.measured()) {
            self.row = 1 + measured.len();
            self.waiting.extend(start.to_le_bytes());
            measured.iter().for_each(|value| self.waiting.extend(value.to_le_bytes()));
        }
        if self.waiting.len() >= A_CHUNK {
            self.put(spool);
        }
    }

    fn put(&mut self, spool: &Spool) {
        let mut held = spool.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What fails is told when all is finished.
        let Ok(file) = held.as_mut() else { return };
        let put = file.seek(SeekFrom::End(0)).and_then(|at| file.write_all(&self.waiting).map(|()| at));
        match put {
            Ok(at) => self.chunks.push((at, self.waiting.len())),
            Err(error) => *held = Err(error),
        }
        self.waiting.clear();
    }
}

impl Spool {
    /// Everything is in it: gives the rows of all symbols, in their order.
    pub fn finish(
        self,
        rolling: &Rolling,
        mut shares: BTreeMap<String, Share>,
    ) -> anyhow::Result<Spooled<'_>> {
        shares.values_mut().for_each(|share| share.put(&self));
        let file = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let file =
            file.context("rows cannot be kept in the folder for temporary files: TMPDIR names another")?;
        Ok(Spooled { rolling, file, shares })
    }
}

/// A finished spool.
pub struct Spooled<'a> {
    rolling: &'a Rolling,
    file: SpooledTempFile,
    shares: BTreeMap<String, Share>,
}

impl Spooled<'_> {
    /// Gives every row, ordered by symbol and window.
    pub fn each(mut self, mut write: impl FnMut(Vec<Value>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        for (symbol, share) in &self.shares {
            for (at, length) in &share.chunks {
                bytes.resize(*length, 0);
                self.file.seek(SeekFrom::Start(*at))?;
                self.file.read_exact(&mut bytes).context("rows cannot be read back from a temporary file")?;
                for row in bytes.chunks_exact(share.row * WIDTH) {
                    let mut numbers =
                        row.chunks_exact(WIDTH).map(|number| number.try_into().unwrap_or_default());
                    let start = numbers.next().map_or(0, Millis::from_le_bytes);
                    let measured: Vec<f64> = numbers.map(f64::from_le_bytes).collect();
                    write(self.rolling.row(symbol, start, &measured))?;
                }
            }
        }
        Ok(())
    }
}
