//! Reads the prices and volumes of bars from Parquet: row groups in parallel, column by column.
//!
//! A row that passes simple checks is taken directly from the columns. Any other is read as in
//! `parquet_rows`, which determines what is wrong with it.

use std::cell::OnceCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, Schema, TimestampMillisecondType};
use arrow::error::ArrowError;
use model::bar::check_figures;
use model::time::MINUTE;
use model::{Bar, Candle, Candles, symbol};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use rayon::prelude::*;

use crate::bar::{CLOSE, END, HIGH, LOW, OPEN, RECEIVED, START, SYMBOL, VOLUME};
use crate::candles::{Lines, Piece};
use crate::csv_rows::unreadable_from;
use crate::parquet_columns::{Cells, Columns};
use crate::parquet_rows::{Batches, decoded};
use crate::{BadRow, FileError, epoch, parquet_rows, value};

/// How many rows are decoded at once.
const ROWS_A_BATCH: usize = 16 * 1_024;
/// The minimum number of rows of a piece, so that it contains many bars of each symbol.
const ROWS_A_PIECE: u64 = 256 * 1_024;

/// The row groups of a file.
#[doc(hidden)]
pub struct RowGroups {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    columns: Columns,
    next: usize,
    read: u64,
}

impl RowGroups {
    pub(crate) fn open(path: &Path, file: File) -> Result<RowGroups, FileError> {
        let broken = |source| FileError::Parquet { path: path.to_owned(), source };
        let builder = parquet_rows::open::<Bar>(path, file)?;
        let columns = Columns::find::<Bar>(path, builder.schema(), builder.parquet_schema())?;
        // With a dictionary each symbol is checked once a batch instead of once a row.
        let schema = with_dictionary(builder.schema(), columns.name(SYMBOL));
        let options = ArrowReaderOptions::new().with_schema(schema);
        let metadata = decoded(|| {
            ArrowReaderMetadata::try_new(builder.metadata().clone(), options).or_else(|_| {
                let as_they_are = ArrowReaderOptions::new().with_schema(builder.schema().clone());
                ArrowReaderMetadata::try_new(builder.metadata().clone(), as_they_are)
            })
        });
        let metadata = metadata.map_err(broken)?;
        Ok(RowGroups { path: path.to_owned(), metadata, columns, next: 0, read: 0 })
    }

    /// The next row groups, at least one for each processor, each with the number of its first
    /// row.
    fn next_groups(&mut self) -> Vec<(usize, u64)> {
        let groups = self.metadata.metadata().row_groups();
        let (mut found, from) = (Vec::new(), self.read);
        while let Some(group) = groups.get(self.next)
            && (self.read - from < ROWS_A_PIECE || found.len() < rayon::current_num_threads())
        {
            found.push((self.next, self.read + 1));
            self.next += 1;
            self.read += u64::try_from(group.num_rows()).unwrap_or(0);
        }
        found
    }

    fn read(&self, group: usize, first_line: u64) -> (Candles, Vec<BadRow>, bool) {
        let mut candles = Candles::default();
        let (mut refused, mut line) = (Vec::new(), first_line);
        let result = self.batches(group).and_then(|batches| {
            for batch in batches {
                let batch = batch?;
                self.take(&batch, line, &mut candles, &mut refused)?;
                line += batch.num_rows() as u64;
            }
            Ok(())
        });
        if let Err(error) = &result {
            refused.push(unreadable_from(line, error));
        }
        (candles, refused, result.is_err())
    }

    fn batches(&self, group: usize) -> Result<Batches, ArrowError> {
        // Opened again, because the readers of one file handle share its position.
        let file = File::open(&self.path)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(self.columns.mask.clone())
            .with_row_groups(vec![group])
            .with_batch_size(ROWS_A_BATCH);
        Ok(Batches::of(builder)?)
    }

    fn take(
        &self,
        batch: &RecordBatch,
        first_line: u64,
        candles: &mut Candles,
        refused: &mut Vec<BadRow>,
    ) -> Result<(), ArrowError> {
        let row_by_row = OnceCell::new();
        let columns = self.columns_of(batch)?;
        let figures = Figures::of(&columns, candles);
        candles.reserve(batch.num_rows());
        for at in 0..batch.num_rows() {
            if let Some((place, candle)) = figures.as_ref().and_then(|figures| figures.good(at)) {
                candles.push(place, candle);
                continue;
            }
            let cells: &Vec<Cells> = match row_by_row.get() {
                Some(cells) => cells,
                None => {
                    let made = self.columns.cells(batch)?;
                    row_by_row.get_or_init(|| made)
                }
            };
            match parquet_rows::read::<Bar>(first_line + at as u64, cells, at) {
                Ok(bar) => {
                    let place = candles.place_of(&bar.value.symbol);
                    candles.push(place, Candle::from(&bar.value));
                }
                Err(bad) => refused.push(bad),
            }
        }
        Ok(())
    }
}

impl RowGroups {
    /// The known columns that a bar is made of, symbols with their type in the file.
    fn columns_of(&self, batch: &RecordBatch) -> Result<Vec<Cells>, ArrowError> {
        let of = |known| match known {
            SYMBOL => Ok(match self.columns.raw(batch, SYMBOL) {
                Some(array) => Cells::Array(array.clone(), false),
                None => Cells::Missing,
            }),
            _ => self.columns.cells_of(batch, known),
        };
        (0..=RECEIVED).map(of).collect()
    }
}

impl Iterator for RowGroups {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let groups = self.next_groups();
        if groups.is_empty() {
            return None;
        }
        let read: Vec<_> =
            groups.into_par_iter().map(|(group, first)| (first, self.read(group, first))).collect();
        let mut piece = Piece::default();
        for (first, (candles, refused, broken)) in read {
            piece.candles.push(candles);
            piece.lines.push(Lines::From(first));
            piece.refused.extend(refused);
            if broken {
                // As when reading row by row: nothing after the error is read.
                self.next = self.metadata.metadata().num_row_groups();
                break;
            }
        }
        Some(piece)
    }
}

/// The schema with one text column read as a dictionary.
fn with_dictionary(schema: &Schema, column: Option<&str>) -> Arc<Schema> {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            if Some(field.name().as_str()) == column =>
        {
            Arc::new(field.as_ref().clone().with_data_type(symbols_type()))
        }
        _ => field.clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn symbols_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The columns of a batch, if their types allow taking rows directly. Optional columns are not
/// included, because they cannot make a row invalid.
struct Figures<'a> {
    symbols: &'a [i32],
    /// For each entry of the dictionary its index among the symbols; `None` if it is not a
    /// symbol.
    places: Vec<Option<u32>>,
    start: &'a [i64],
    end: Option<&'a [i64]>,
    received: Option<&'a [i64]>,
    prices: [&'a [f64]; 5],
}

impl<'a> Figures<'a> {
    fn of(columns: &'a [Cells], candles: &mut Candles) -> Option<Figures<'a>> {
        let whole = |known: usize| columns[known].array().filter(|array| array.null_count() == 0);
        let times = |known: usize| {
            let array = whole(known)?;
            let ints = array.as_primitive_opt::<Int64Type>().map(|array| array.values().as_ref());
            ints.or_else(|| Some(array.as_primitive_opt::<TimestampMillisecondType>()?.values().as_ref()))
        };
        let floats = |known: usize| Some(whole(known)?.as_primitive_opt::<Float64Type>()?.values().as_ref());
        // A missing optional column has a default; a present one must have a value in every
        // row.
        let optional = |known: usize| match &columns[known] {
            cells if cells.are_missing() => Some(None),
            _ => times(known).map(Some),
        };
        let symbols = whole(SYMBOL)?.as_dictionary_opt::<Int32Type>()?;
        let texts = symbols.values().as_string_opt::<i32>()?;
        // Texts that may mean a missing value or were numbers are handled row by row.
        let place = |text: Option<&str>| {
            let symbol = text?.trim();
            let is_plain =
                symbol::check(symbol).is_ok() && symbol.bytes().any(|byte| byte.is_ascii_uppercase());
            (is_plain && value::is_text(symbol)).then(|| candles.place_of(symbol))
        };
        Some(Figures {
            symbols: symbols.keys().values(),
            places: texts.iter().map(place).collect(),
            start: times(START)?,
            end: optional(END)?,
            received: optional(RECEIVED)?,
            prices: [floats(OPEN)?, floats(HIGH)?, floats(LOW)?, floats(CLOSE)?, floats(VOLUME)?],
        })
    }

    /// A row with the index of its symbol, if nothing is wrong with it.
    fn good(&self, at: usize) -> Option<(u32, Candle)> {
        let place = self.places[usize::try_from(self.symbols[at]).ok()?]?;
        let [open, high, low, close, volume] = self.prices.map(|prices| prices[at]);
        let start_timestamp = self.start[at];
        let end = self.end.map_or(start_timestamp.saturating_add(MINUTE), |end| end[at]);
        let received_timestamp = self.received.map_or(end, |received| received[at]);
        if ![start_timestamp, end, received_timestamp].into_iter().all(epoch::is_plain) {
            return None;
        }
        let candle = Candle { start_timestamp, received_timestamp, open, high, low, close, volume };
        check_figures(&candle, end).is_ok().then_some((place, candle))
    }
}
