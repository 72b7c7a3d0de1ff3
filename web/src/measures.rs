//! What the page makes of the columns of `volatility`: which are measures, and
//! in which unit and panel each is shown. A column that is not named here is
//! shown as a measure per bar, so a measure added to the SQL needs nothing here.

use model::Topic;
use model::schema::{Column, ColumnType};
use serde::Serialize;
use store::{SharedStore, StoreError};

/// The result topic whose measures are shown.
pub(crate) fn topic() -> Topic {
    Topic::new("volatility")
}

/// Where in the chart a measure belongs, and thereby its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Panel {
    /// A standard deviation per one-minute bar, shown in percent.
    PerBar,
    /// A total over the window, shown in percent.
    Window,
    /// A share of the window's variance, shown in percent.
    Share,
    /// A signed return over the window, shown in percent; not charted.
    Return,
}

/// A column as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measure {
    /// The column's name.
    pub(crate) name: String,
    /// What a person reads.
    pub(crate) label: String,
    /// What it measures, in a sentence.
    pub(crate) about: String,
    /// Where it is shown.
    pub(crate) panel: Panel,
    /// Digits after the point, in percent.
    pub(crate) decimals: usize,
}

const KNOWN: [(&str, &str, Panel, &str); 9] = [
    (
        "realized",
        "Realized",
        Panel::Window,
        "Total move over the window: root of the summed squared returns.",
    ),
    ("bipower", "Bipower", Panel::Window, "Total move over the window without its jumps."),
    ("parkinson", "Parkinson", Panel::PerBar, "Per bar, from high and low."),
    ("garman_klass", "Garman–Klass", Panel::PerBar, "Per bar, from open, high, low and close."),
    ("rogers_satchell", "Rogers–Satchell", Panel::PerBar, "Per bar, unmoved by a steady drift."),
    (
        "gkyz",
        "GKYZ",
        Panel::PerBar,
        "Per bar: Garman–Klass as Yang and Zhang extended it to the gaps between bars.",
    ),
    ("yang_zhang", "Yang–Zhang", Panel::PerBar, "Per bar, with gaps and unmoved by drift."),
    ("jump_share", "Jump share", Panel::Share, "How much of the window's variance came in jumps."),
    ("log_return", "Return", Panel::Return, "Log return over the window."),
];

/// The measures among the columns of a measurement, in its order.
pub(crate) fn among(columns: &[Column]) -> Vec<Measure> {
    columns
        .iter()
        .filter(|column| column.kind == ColumnType::Float && column.name != "volume")
        .map(|column| Measure::of(&column.name))
        .collect()
}

/// The measures that the store holds; none before the first job has run.
pub(crate) async fn stored(store: &SharedStore) -> Result<Vec<Measure>, StoreError> {
    let name = topic().measurement();
    let measurements = store.measurements().await?;
    let found = measurements.into_iter().find(|measurement| measurement.name == name);
    Ok(found.map(|measurement| among(&measurement.columns)).unwrap_or_default())
}

impl Measure {
    fn of(name: &str) -> Measure {
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        let (label, panel, about) = match known {
            Some((_, label, panel, about)) => ((*label).to_owned(), *panel, *about),
            None => (spoken(name), Panel::PerBar, "Per bar."),
        };
        let decimals = match panel {
            Panel::PerBar => 4,
            Panel::Window | Panel::Return => 3,
            Panel::Share => 0,
        };
        Measure { name: name.to_owned(), label, about: about.to_owned(), panel, decimals }
    }

    /// A value as text in the measure's unit, percent.
    pub(crate) fn text(&self, value: f64) -> String {
        let percent = value * 100.0;
        let sign = if self.panel == Panel::Return && percent > 0.0 { "+" } else { "" };
        format!("{sign}{percent:.*}", self.decimals)
    }
}

/// `close_to_close` as `Close to close`.
fn spoken(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_column_of_doubles_is_a_measure_and_the_others_are_not() {
        let columns = [
            Column::new("symbol", ColumnType::Text),
            Column::new("window_end", ColumnType::Time),
            Column::new("bars", ColumnType::Int),
            Column::new("jump_share", ColumnType::Float),
            Column::new("close_to_close", ColumnType::Float),
            Column::new("volume", ColumnType::Float),
        ];
        let measures = among(&columns);
        let shown: Vec<_> = measures.iter().map(|measure| (measure.label.as_str(), measure.panel)).collect();
        assert_eq!(shown, [("Jump share", Panel::Share), ("Close to close", Panel::PerBar)]);
    }

    #[test]
    fn values_are_shown_in_percent_with_the_digits_that_matter() {
        for (name, value, text) in [
            ("parkinson", 0.000_312_415, "0.0312"),
            ("realized", 0.002_416, "0.242"),
            ("jump_share", 0.284_5, "28"),
            ("log_return", 0.001, "+0.100"),
            ("log_return", -0.001, "-0.100"),
        ] {
            assert_eq!(Measure::of(name).text(value), text, "{name}");
        }
    }
}
