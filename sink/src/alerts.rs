//! Alerts as points: one an episode, which its closing writes again.

use model::alert;
use model::topic::ALERTS;
use store::Measurement;

use crate::table::Table;

/// A point a symbol, rule and opening.
pub(crate) fn table() -> Table {
    let measurement = Measurement {
        name: ALERTS.measurement(),
        columns: alert::columns(),
        tags: vec!["symbol".into(), "rule".into()],
        time: "opened".into(),
        version: None,
    };
    Table::new(ALERTS, measurement, Vec::new(), None)
}
