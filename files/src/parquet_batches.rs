//! Batches of a Parquet file, whose decoder panics over some damaged pages.

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

/// The batches of a file; none after one that cannot be read.
pub(crate) struct Batches(Option<ParquetRecordBatchReader>);

impl Batches {
    pub(crate) fn of(builder: ParquetRecordBatchReaderBuilder<File>) -> Result<Batches, ParquetError> {
        decoded(|| builder.build()).map(|reader| Batches(Some(reader)))
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.0.take()?;
        let batch = decoded(|| Ok(reader.next().transpose()?)).map_err(ArrowError::from).transpose()?;
        // After a panic nobody knows what the reader holds.
        if batch.is_ok() {
            self.0 = Some(reader);
        }
        Some(batch)
    }
}

/// What is decoded, with a panic of the decoder as what it is: a file that is damaged.
pub(crate) fn decoded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    keep_decoder_panics_quiet();
    let outer = DECODING.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(outer);
    outcome.unwrap_or_else(|panic| Err(ParquetError::General(format!("damaged inside: {}", words(&*panic)))))
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// What they say becomes an error; a trace above it would look like a fault of ours.
fn keep_decoder_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !DECODING.get() {
                loud(panic);
            }
        }));
    });
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("its pages contradict each other")
}
