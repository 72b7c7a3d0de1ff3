//! Jobs that choose columns of one hop window of measures over bars, as
//! `volatility` does: computed without a query planner, from what each bar adds.
//!
//! The SQL decides ([`of_sql`]): a job of any other form, or with a measure that
//! is not known here, takes the general way of [`crate::plan`]. What a bar adds
//! to the sums of its windows is worked out once ([`terms`]), and a window adds
//! that up in time order, as the measure's own file in `udfs/` does: the rows
//! are the same, bit for bit, which tests hold both ways to. Windows of hours add
//! up whole [`stretches`], and come to the same but for the last digits.

mod history;
mod measures;
mod of_sql;
mod stream;
mod stretches;
mod terms;
#[cfg(test)]
mod tests;
mod track;

use model::schema::Value;
use model::time::Millis;

use crate::job::Hop;
use measures::Measure;
use terms::Sums;

pub use history::{Disordered, Windows, in_any_order, in_order};
pub(crate) use stream::Tracks;

/// A job of this form: its window, and what each of its columns shows.
#[derive(Clone, Debug)]
pub struct Rolling {
    hop: Hop,
    shown: Vec<Shown>,
}

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Symbol,
    WindowStart,
    WindowEnd,
    Measure(Measure),
}

impl Rolling {
    /// The measures that are shown, in the order of the columns.
    fn measures(&self) -> impl Iterator<Item = Measure> {
        self.shown.iter().filter_map(|shown| match shown {
            Shown::Measure(measure) => Some(*measure),
            _ => None,
        })
    }

    /// A row as values of the job's columns, from the start of its window and its
    /// measures in the order of the columns; NaN is none.
    pub fn row(&self, symbol: &str, start: Millis, measured: &[f64]) -> Vec<Value> {
        let mut measured = measured.iter();
        let value = |shown: &Shown| match shown {
            Shown::Symbol => Value::Text(symbol.to_owned()),
            Shown::WindowStart => Value::Int(start),
            Shown::WindowEnd => Value::Int(start + self.hop.size),
            Shown::Measure(measure) => measure.as_value(measured.next().copied().unwrap_or(f64::NAN)),
        };
        self.shown.iter().map(value).collect()
    }

    /// The measures of one window, put behind `measured`.
    fn measure(&self, bars: &track::Slice<'_>, measured: &mut Vec<f64>) {
        let sums = Sums::over(bars);
        measured.extend(self.measures().map(|measure| measure.over(&sums, bars)));
    }
}
