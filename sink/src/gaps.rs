//! The gaps of the prices as points, so that dashboards show what is missing.

use model::gap;
use model::topic::GAPS;
use store::Measurement;

use crate::table::Table;

/// A point a symbol and start of a gap; a later record takes the place of an
/// earlier one, as gaps grow and are filled.
pub(crate) fn table() -> Table {
    let measurement = Measurement {
        name: GAPS.measurement(),
        columns: gap::columns(),
        tags: vec!["symbol".into()],
        time: "from".into(),
        version: None,
    };
    Table::new(GAPS, measurement, Vec::new(), None)
}
