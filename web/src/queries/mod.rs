//! Questions in SQL over what is stored, for the Explore page and for programs.

mod api;
mod kept;

pub(crate) use api::routes;

use std::time::Duration;

use model::schema::{Column, Value};
use query::explore::{ExploreError, Limits};

use crate::AppState;

/// What a query of the page or of a program may take.
pub const LIMITS: Limits = Limits {
    time: Duration::from_secs(15),
    rows: Some(50_000),
    bytes: Some(32 << 20),
    memory: 256 << 20,
    at_once: 2,
};

/// What a page shows of an answer at most, in bytes.
const ON_A_PAGE: usize = 2 << 20;

/// The first rows of an answer.
pub(crate) struct First {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there would be more.
    pub(crate) cut: bool,
}

/// The first `most` rows of the answer to `sql`; the query is ended with them.
pub(crate) async fn first(site: &AppState, sql: &str, most: usize) -> Result<First, ExploreError> {
    let mut answer = site.explorer.first(sql, most, ON_A_PAGE).await?;
    let rows = answer.all().await?;
    Ok(First { columns: answer.columns().to_vec(), rows, cut: answer.is_cut() })
}
