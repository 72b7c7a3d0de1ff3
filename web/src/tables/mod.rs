//! Tables as files to download: a measurement, or the answer to a query, as
//! CSV, JSON lines or Parquet, written while it is read.

pub(crate) mod export;
pub(crate) mod known;
mod stream;

pub(crate) use stream::{Downloads, Page, Pages, Part, download, written};

use files::Format;

use crate::error::Failure;
use crate::request;

/// The format that is asked for.
pub(crate) fn format(given: Option<&str>) -> Result<Option<Format>, Failure> {
    let Some(name) = given.filter(|name| !name.is_empty()) else { return Ok(None) };
    let problem = "must be `csv`, `json` (one object a line) or `parquet`";
    name.parse().map(Some).map_err(|_| request::parameter("format", problem))
}
