//! `tickwire export`: a measurement out of the store, beside a running `up` too.

use anyhow::bail;
use files::TableWriter;
use store::Query;

use super::progress;
use super::sessions::Sessions;
use super::span;
use crate::cli::{ExportArgs, OutputArgs};
use crate::config::Config;
use crate::run::Run;

/// So many rows are read at once.
const PAGE: usize = 10_000;

/// Writes the measurement's rows, ordered by symbol and time.
pub async fn run(config: &Config, args: ExportArgs) -> anyhow::Result<()> {
    let run = Run::find(config, &args.data)?;
    let store = run.store_to_read()?;
    let measurements = store.measurements().await?;
    let Some(measurement) = measurements.iter().find(|known| known.name == args.measurement) else {
        let known: Vec<_> = measurements.iter().map(|known| known.name.as_str()).collect();
        bail!(
            "there is no measurement `{}` in the run `{}`; there are: {}",
            args.measurement,
            run.name,
            known.join(", ")
        );
    };
    let from = args.from.as_deref().map(|typed| span::time_of("--from", typed)).transpose()?;
    let to = args.to.as_deref().map(|typed| span::time_of("--to", typed)).transpose()?;
    if let (Some(from), Some(to)) = (from, to) {
        span::checked(from, to)?;
    }
    let mut query = Query {
        measurement: measurement.name.clone(),
        tags: args.symbol.iter().map(|symbol| ("symbol".to_owned(), symbol.clone())).collect(),
        from,
        to,
        limit: Some(PAGE),
        ..Query::default()
    };
    let sessions = args.sessions.then(|| Sessions::of(&measurement.columns)).flatten();
    let columns = measurement.columns.iter().cloned().chain(sessions.as_ref().map(|_| Sessions::column()));
    let OutputArgs { format, out } = &args.output;
    let mut table = TableWriter::create(*format, &columns.collect::<Vec<_>>(), out.as_deref())?;
    let bar = progress::bar("Exporting rows", None);
    loop {
        let page = store.read(&query).await?;
        let count = page.rows.len();
        for mut row in page.rows {
            row.extend(sessions.as_ref().map(|sessions| sessions.label(&row)));
            table.write_row(&row)?;
        }
        bar.inc(count as u64);
        if count < PAGE {
            break;
        }
        query.after = page.last_key;
    }
    bar.finish_and_clear();
    Ok(table.finish()?)
}
