//! Measures over a whole history: as much of the file in memory as is being worked on.

use std::path::Path;

use engine::{Rolling, Unordered, Windows};
use log::time_bounds::RowTimes;
use model::Candles;

use super::spool::{Share, Spool, Spooled};
use crate::commands::rows::{Reading, Unread};

/// Computes a job of measures over a file of bars. Where the bars of a symbol do
/// not come in time order, the file is read again, all of it, and sorted.
pub fn run<'a>(rolling: &'a Rolling, file: &Path) -> anyhow::Result<(Spooled<'a>, Unread)> {
    let mut reading = Reading::of(file, "Computing over bars");
    let mut spool = Spool::default();
    let pieces = told(file, &mut reading)?;
    let in_order = engine::in_order(rolling, pieces, |_| Share::default(), into(&spool));
    let shares = match in_order {
        Ok(shares) => shares,
        Err(Unordered) => {
            reading.again("Sorting bars");
            spool = Spool::default();
            let pieces = told(file, &mut reading)?;
            engine::in_any_order(rolling, pieces, |_| Share::default(), into(&spool))
        }
    };
    let unread = reading.finish()?;
    Ok((spool.finish(rolling, shares)?, unread))
}

/// The pieces of a file, while it is told what is read and what is refused.
fn told(file: &Path, reading: &mut Reading<'_>) -> anyhow::Result<impl Iterator<Item = Vec<Candles>> + Send> {
    let mut times = RowTimes::default();
    Ok(files::candles(file)?.judged(move |at| times.check(at)).map(|piece| {
        piece.refused.iter().for_each(|bad| reading.refused(bad));
        reading.took(piece.candles.iter().map(Candles::len).sum());
        piece.candles
    }))
}

fn into(spool: &Spool) -> impl Fn(&mut Share, &Windows<'_>) + Sync {
    |share, windows| share.take(spool, windows)
}
