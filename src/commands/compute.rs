//! `tickwire compute`: a SQL job in batch over files.

use engine::Job;
use files::TableWriter;

use super::rows;
use crate::cli::{ComputeArgs, OutputArgs};

/// Runs the job and writes its rows, ordered by symbol and window.
pub async fn run(args: ComputeArgs) -> anyhow::Result<()> {
    let job = Job::named(&args.job)?;
    let bars = rows::bars(&args.bars)?;
    let articles = args.news.as_deref().map(rows::articles).transpose()?.unwrap_or_default();
    let computed = engine::compute(&job, bars, articles).await?;
    let mut table = writer(&args.output, &job.columns)?;
    for row in &computed {
        table.write_row(row)?;
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
