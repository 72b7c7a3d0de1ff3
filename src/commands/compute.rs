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
    let mut table = writer(&args.output, &columns.collect::<Vec<_>>())?;
    for mut row in computed {
        row.extend(sessions.as_ref().map(|sessions| sessions.label(&row)));
        table.write_row(&row)?;
    }
    Ok(table.finish()?)
}

/// Where rows go, and how they are written.
pub fn writer(output: &OutputArgs, columns: &[wire::schema::Column]) -> anyhow::Result<TableWriter> {
    let format = match (output.format, &output.out) {
        (Some(format), _) => format,
        (None, Some(file)) => files::Format::from_path(file)?,
        (None, None) => files::Format::Csv,
    };
    Ok(TableWriter::create(format, columns, output.out.as_deref())?)
}
