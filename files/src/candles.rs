//! Bars by their figures alone, a large piece of a file at a time.

use std::path::Path;

use wire::{Candle, Candles};

use crate::parquet_candles::RowGroups;
use crate::{BadRow, BarRows, FileError, Format, bars, open_file};

/// So many rows are a piece, where the file has no pieces of its own.
const ROWS_A_PIECE: usize = 64 * 1_024;

/// A piece of a file.
#[derive(Debug, Default)]
pub struct Piece {
    /// Its bars, in the order of the file.
    pub candles: Vec<Candles>,
    /// The rows that are none.
    pub refused: Vec<BadRow>,
}

/// A file of bars, piece by piece; what is in memory does not depend on its length.
pub enum CandlePieces {
    /// Row by row.
    #[doc(hidden)]
    Rows(BarRows),
    /// Row groups of Parquet, several at once.
    #[doc(hidden)]
    Groups(Box<RowGroups>),
}

/// Opens a file of minute bars for their figures alone. Rows are read and checked
/// as [`bars`] does; Parquet on all processors at once.
///
/// # Errors
/// As for [`bars`].
pub fn candles(path: &Path) -> Result<CandlePieces, FileError> {
    if Format::from_path(path)? != Format::Parquet {
        return Ok(CandlePieces::Rows(bars(path)?));
    }
    let file = open_file(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
    Ok(CandlePieces::Groups(Box::new(RowGroups::open(path, file)?)))
}

impl Iterator for CandlePieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        match self {
            CandlePieces::Groups(groups) => groups.next(),
            CandlePieces::Rows(rows) => of_rows(rows.take(ROWS_A_PIECE)),
        }
    }
}

fn of_rows(rows: impl Iterator<Item = <BarRows as Iterator>::Item>) -> Option<Piece> {
    let (mut candles, mut refused) = (Candles::default(), Vec::new());
    for row in rows {
        match row {
            Ok(row) => {
                let place = candles.place_of(&row.value.symbol);
                candles.push(place, Candle::from(&row.value));
            }
            Err(bad) => refused.push(bad),
        }
    }
    (!candles.is_empty() || !refused.is_empty()).then(|| Piece { candles: vec![candles], refused })
}
