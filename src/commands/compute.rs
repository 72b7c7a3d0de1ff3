//! `tickwire compute`: a SQL job in batch over files.

use engine::Job;
use files::TableWriter;

use super::rows;
use super::sessions::Sessions;
use crate::cli::{ComputeArgs, OutputArgs};

/// Runs the job and writes its rows, ordered by symbol and window.
pub async fn run(args: ComputeArgs) -> anyhow::Result<()> {
    let job = Job::named(&args.job)?;
    let bars = rows::bars(&args.bars)?;
    let articles = args.news.as_deref().map(rows::articles).transpose()?.unwrap_or_default();
    let computed = match args.as_of_arrival {
        true => engine::compute_as_of_arrival(&job, bars, articles).await?,
        false => engine::compute(&job, bars, articles).await?,
    };
    let sessions = args.sessions.then(|| Sessions::of(&job.columns)).flatten();
    let columns = job.columns.iter().cloned().chain(sessions.as_ref().map(|_| Sessions::column()));
    let OutputArgs { format, out } = args.output;
    let mut table = TableWriter::create(format, &columns.collect::<Vec<_>>(), out.as_deref())?;
    for mut row in computed {
        row.extend(sessions.as_ref().map(|sessions| sessions.label(&row)));
        table.write_row(&row)?;
    }
    Ok(table.finish()?)
}
