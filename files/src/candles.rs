//! Reads the prices and volumes of bars in large pieces, for computations over whole files.

use std::path::Path;
use std::sync::Arc;

use model::time::Millis;
use model::{Bar, Candle, Candles};

use crate::input::{self, Input, name_in, of, refused};
use crate::parquet_candles::RowGroups;
use crate::{BadRow, BarRows, FileError, rows_of};

/// The number of rows of a piece, for formats without row groups.
const ROWS_A_PIECE: usize = 64 * 1_024;

/// A piece of a file.
#[derive(Debug, Default)]
pub struct Piece {
    /// Its bars, in the order of the file.
    pub candles: Vec<Candles>,
    /// The invalid rows.
    pub refused: Vec<BadRow>,
    /// For each of `candles`, the lines of its bars.
    pub(crate) lines: Vec<Lines>,
}

/// The lines of the bars of a piece.
#[derive(Debug)]
pub(crate) enum Lines {
    /// One number for each bar.
    Each(Vec<u64>),
    /// Consecutive numbers from this one on, including those of invalid rows.
    From(u64),
}

type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

/// A check of the start of each bar, called in the order of the file; returns why it is
/// invalid.
type Judge = Box<dyn FnMut(Millis) -> Result<(), String> + Send>;

/// A file of bars, read in pieces; the memory does not depend on its length.
pub struct CandlePieces {
    /// Each with the name of its part, in a folder.
    pieces: Box<dyn Iterator<Item = (Option<Arc<str>>, Piece)> + Send>,
    judge: Option<Judge>,
}

/// Opens a file of minute bars. Rows are read and validated as by [`crate::bars`]; Parquet is
/// decoded on all processors in parallel.
///
/// # Errors
/// As for [`crate::bars`].
pub fn candles(path: &Path) -> Result<CandlePieces, FileError> {
    if !path.is_dir() {
        let pieces = one_file(path)?.map(|piece| (None, piece));
        return Ok(CandlePieces { pieces: Box::new(pieces), judge: None });
    }
    // Fails if no part can be read.
    drop(crate::bars(path)?);
    let folder = path.to_owned();
    let pieces = of(path)?.into_iter().flat_map(move |part| {
        let name: Arc<str> = name_in(&folder, &part).into();
        let pieces: Pieces = match one_file(&part) {
            Ok(pieces) => pieces,
            Err(FileError::Empty { .. }) => Box::new(std::iter::empty()),
            Err(error) => {
                let refused = vec![refused(name.clone(), &error)];
                Box::new(std::iter::once(Piece { refused, ..Piece::default() }))
            }
        };
        pieces.map(move |mut piece| {
            piece.refused.iter_mut().for_each(|bad| bad.part = Some(name.clone()));
            (Some(name.clone()), piece)
        })
    });
    Ok(CandlePieces { pieces: Box::new(pieces), judge: None })
}

fn one_file(path: &Path) -> Result<Pieces, FileError> {
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
        let (part, mut piece) = self.pieces.next()?;
        if let Some(judge) = &mut self.judge {
            piece.judge(part.as_ref(), judge);
        }
        Some(piece)
    }
}

impl CandlePieces {
    /// Also rejects bars for whose starts `judge` returns an error, called in the order of the
    /// file.
    pub fn judged(self, judge: impl FnMut(Millis) -> Result<(), String> + Send + 'static) -> CandlePieces {
        CandlePieces { judge: Some(Box::new(judge)), ..self }
    }
}

impl Piece {
    fn judge(&mut self, part: Option<&Arc<str>>, judge: &mut Judge) {
        let mut found = Vec::new();
        for (candles, lines) in self.candles.iter_mut().zip(&self.lines) {
            let mut wrong = Vec::new();
            for (at, (_, candle)) in candles.rows().iter().enumerate() {
                if let Err(reason) = judge(candle.start_timestamp) {
                    wrong.push((at, reason));
                }
            }
            if wrong.is_empty() {
                continue;
            }
            let mut at = 0;
            let mut places = wrong.iter().map(|(at, _)| *at).peekable();
            candles.retain(|_| {
                let is_wrong = places.next_if_eq(&at).is_some();
                at += 1;
                !is_wrong
            });
            found.extend(wrong.into_iter().map(|(at, reason)| BadRow {
                part: part.cloned(),
                line: lines.of(at, &self.refused),
                reason,
                text: Vec::new(),
                unread: false,
            }));
        }
        if !found.is_empty() {
            self.refused.extend(found);
            self.refused.sort_by_key(|bad| bad.line);
        }
    }
}

impl Lines {
    /// The line of the bar with the index `at` in its batch.
    fn of(&self, at: usize, refused: &[BadRow]) -> u64 {
        match self {
            Lines::Each(lines) => lines.get(at).copied().unwrap_or_default(),
            Lines::From(first) => {
                let mut line = first + at as u64;
                // Each preceding invalid row moves the bars after it by one.
                let mut before: Vec<u64> =
                    refused.iter().map(|bad| bad.line).filter(|line| line >= first).collect();
                before.sort_unstable();
                before.into_iter().for_each(|bad| line += u64::from(bad <= line));
                line
            }
        }
    }
}

fn of_rows(rows: impl Iterator<Item = <BarRows as Iterator>::Item>) -> Option<Piece> {
    let (mut candles, mut refused, mut lines) = (Candles::default(), Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(row) => {
                let place = candles.place_of(&row.value.symbol);
                candles.push(place, Candle::from(&row.value));
                lines.push(row.line);
            }
            Err(bad) => refused.push(bad),
        }
    }
    (!candles.is_empty() || !refused.is_empty()).then(|| Piece {
        candles: vec![candles],
        refused,
        lines: vec![Lines::Each(lines)],
    })
}
