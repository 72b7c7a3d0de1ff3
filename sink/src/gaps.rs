//! Gaps in the prices as points, so that dashboards can show them.

use model::gap;
use model::topic::GAPS;
use store::Measurement;

use crate::table::Table;

/// One point per symbol and start of a gap; a later record of a gap replaces an earlier one,
/// since gaps grow and are filled.
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
