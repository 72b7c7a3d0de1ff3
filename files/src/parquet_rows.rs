//! Reads rows of Parquet, in batches.

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::errors::ParquetError;

use crate::columns::{self, FromRow};
use crate::csv_rows::unreadable_from;
use crate::parquet_columns::{Cells, Columns};
use crate::{BadRow, FileError, Placed};

const ROWS_A_BATCH: usize = 1_024;

pub(crate) struct ParquetRows<T> {
    batches: Batches,
    columns: Columns,
    batch: Vec<Cells>,
    rows_in_batch: usize,
    next_in_batch: usize,
    read: u64,
    ended: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T: FromRow> ParquetRows<T> {
    pub(crate) fn open(path: &Path, file: File) -> Result<ParquetRows<T>, FileError> {
        let builder = open::<T>(path, file)?;
        let broken = |source| FileError::Parquet { path: path.to_owned(), source };
        let columns = Columns::find::<T>(path, builder.schema(), builder.parquet_schema())?;
        let builder = builder.with_projection(columns.mask.clone()).with_batch_size(ROWS_A_BATCH);
        let batches = Batches::of(builder).map_err(broken)?;
        Ok(ParquetRows {
            batches,
            columns,
            batch: Vec::new(),
            rows_in_batch: 0,
            next_in_batch: 0,
            read: 0,
            ended: false,
            rows: PhantomData,
        })
    }

    /// Loads the next batch with rows; `None` at the end.
    fn load(&mut self) -> Option<Result<(), ArrowError>> {
        while self.next_in_batch == self.rows_in_batch {
            let batch = self.batches.next()?;
            match batch.and_then(|batch| Ok((batch.num_rows(), self.columns.cells(&batch)?))) {
                Ok((rows, arrays)) => (self.rows_in_batch, self.batch) = (rows, arrays),
                Err(error) => return Some(Err(error)),
            }
            self.next_in_batch = 0;
        }
        Some(Ok(()))
    }
}

impl<T: FromRow> Iterator for ParquetRows<T> {
    type Item = Result<Placed<T>, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let line = self.read + 1;
        match self.load() {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.ended = true;
                return Some(Err(unreadable_from(line, &error)));
            }
            None => return None,
        }
        let read = read(line, &self.batch, self.next_in_batch);
        self.read = line;
        self.next_in_batch += 1;
        Some(read)
    }
}

/// Reads one row from the cells of all known columns.
pub(crate) fn read<T: FromRow>(line: u64, columns: &[Cells], at: usize) -> Result<Placed<T>, BadRow> {
    columns::make(line, columns.iter().map(|cells| cells.at(at)).collect(), |row| row.as_json())
}

/// Opens the file and finds its columns.
pub(crate) fn open<T: FromRow>(
    path: &Path,
    file: File,
) -> Result<ParquetRecordBatchReaderBuilder<File>, FileError> {
    let length = file.metadata().map(|metadata| metadata.len());
    if length.is_ok_and(|length| length == 0) {
        return Err(columns::empty::<T>(path));
    }
    let broken = |source| FileError::Parquet { path: path.to_owned(), source };
    let metadata = decoded(|| metadata_of(&file)).map_err(broken)?;
    let mut columns = metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
    if let Some(codec) = columns.find_map(|column| not_read(column.compression())) {
        return Err(FileError::Codec { path: path.to_owned(), codec });
    }
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
}

/// The name of a compression that the reader is built without.
fn not_read(codec: Compression) -> Option<&'static str> {
    match codec {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::LZ4
        | Compression::LZ4_RAW
        | Compression::ZSTD(_) => None,
        Compression::BROTLI(_) => Some("brotli"),
        Compression::LZO => Some("lzo"),
    }
}

/// The metadata of a file with dictionaries (categoricals) resolved to their values, because
/// the reader supports dictionaries of texts only.
fn metadata_of(file: &File) -> Result<ArrowReaderMetadata, ParquetError> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).or_else(|_| {
        // The Arrow schema stored in the file is only a hint and may contain unsupported types.
        ArrowReaderMetadata::load(file, ArrowReaderOptions::new().with_skip_arrow_metadata(true))
    })?;
    let schema = metadata.schema();
    let is_dictionary = |kind: &DataType| matches!(kind, DataType::Dictionary(..));
    if !schema.fields().iter().any(|field| is_dictionary(field.data_type())) {
        return Ok(metadata);
    }
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Dictionary(_, values) => {
            Arc::new(field.as_ref().clone().with_data_type(values.as_ref().clone()))
        }
        _ => field.clone(),
    });
    let plain = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(plain));
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).or_else(|_| {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)
    })
}

// Record batches. Damaged pages can make the decoder panic; a panic becomes an error.

/// The batches of a file; `None` after one that cannot be read.
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
        // After a panic the reader's state is unknown.
        if batch.is_ok() {
            self.0 = Some(reader);
        }
        Some(batch)
    }
}

/// Runs `decode`; a panic becomes the error of a damaged file.
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

/// The panic becomes an error; its backtrace would look like a fault of Tickwire.
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
