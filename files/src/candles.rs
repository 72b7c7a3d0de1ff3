//! Bars by their figures alone, a large piece of a file at a time.

use std::path::Path;
use std::sync::Arc;

use model::{Bar, Candle, Candles};

use crate::input::{self, Input};
use crate::parquet_candles::RowGroups;
use crate::{BadRow, BarRows, FileError, parts, rows_of};

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
pub struct CandlePieces(Box<dyn Iterator<Item = Piece> + Send>);

/// Opens a file of minute bars for their figures alone. Rows are read and checked
/// as [`crate::bars`] does; Parquet on all processors at once.
///
/// # Errors
/// As for [`crate::bars`].
pub fn candles(path: &Path) -> Result<CandlePieces, FileError> {
    if !path.is_dir() {
        return Ok(CandlePieces(one_file(path)?));
    }
    // Fails where no part can be read.
    drop(crate::bars(path)?);
    let folder = path.to_owned();
    let pieces = parts::of(path)?.into_iter().flat_map(move |part| {
        let name: Arc<str> = parts::name_in(&folder, &part).into();
        let pieces: Box<dyn Iterator<Item = Piece> + Send> = match one_file(&part) {
            Ok(pieces) => pieces,
            Err(FileError::Empty { .. }) => Box::new(std::iter::empty()),
            Err(error) => {
                let refused = vec![parts::refused(name.clone(), &error)];
                Box::new(std::iter::once(Piece { candles: Vec::new(), refused }))
            }
        };
        pieces.map(move |mut piece| {
            piece.refused.iter_mut().for_each(|bad| bad.part = Some(name.clone()));
            piece
        })
    });
    Ok(CandlePieces(Box::new(pieces)))
}

fn one_file(path: &Path) -> Result<Box<dyn Iterator<Item = Piece> + Send>, FileError> {
    match input::open(path)? {
        Input::Parquet(file) => Ok(Box::new(RowGroups::open(path, file)?)),
        text => {
            let mut rows = rows_of::<Bar>(path, text)?;
            Ok(Box::new(std::iter::from_fn(move || of_rows(rows.by_ref().take(ROWS_A_PIECE)))))
        }
    }
}

impl Iterator for CandlePieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        self.0.next()
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
