//! `tickwire compute`: a SQL job in batch over files.

mod history;
mod spool;

use engine::{Job, Rolling};
use files::TableWriter;
use model::schema::Value;

use super::rows::{self, Taken};
use super::sessions::Sessions;
use crate::cli::{ComputeArgs, OutputArgs};

/// Runs the job and writes its rows, ordered by symbol and window.
///
/// # Errors
/// Among others, after the rows are written, when a file could not be read to its end.
pub async fn run(args: ComputeArgs) -> anyhow::Result<()> {
    let job = Job::named(&args.job)?;
    // Read even where the job has no use for them: a wrong name is told about at once.
    let (articles, unread) = match &args.news {
        Some(file) => {
            let taken = rows::articles(file)?;
            (taken.rows, taken.unread)
        }
        None => Default::default(),
    };
    if let Some(rolling) = Rolling::of(&job).filter(|_| !args.as_of_arrival) {
        let (computed, bars_unread) = history::run(&rolling, &args.bars)?;
        let mut table = Output::create(&job, &args)?;
        computed.each(|row| table.write(row))?;
        table.finish()?;
        return bars_unread.or(unread).end();
    }
    let Taken { rows: bars, unread: bars_unread } = rows::bars(&args.bars)?;
    let computed = match args.as_of_arrival {
        true => engine::compute_as_of_arrival(&job, bars, articles).await?,
        false => engine::compute(&job, bars, articles).await?,
    };
    let mut table = Output::create(&job, &args)?;
    computed.into_iter().try_for_each(|row| table.write(row))?;
    table.finish()?;
    bars_unread.or(unread).end()
}

/// The table that is written, with sessions where they are asked for.
struct Output {
    table: TableWriter,
    sessions: Option<Sessions>,
}

impl Output {
    fn create(job: &Job, args: &ComputeArgs) -> anyhow::Result<Output> {
        let OutputArgs { format, out } = &args.output;
        let sessions = args.sessions.then(|| Sessions::of(&job.columns)).flatten();
        let columns = job.columns.iter().cloned().chain(sessions.as_ref().map(|_| Sessions::column()));
        let table = TableWriter::create(*format, &columns.collect::<Vec<_>>(), out.as_deref())?;
        Ok(Output { table, sessions })
    }

    fn write(&mut self, mut row: Vec<Value>) -> anyhow::Result<()> {
        row.extend(self.sessions.as_ref().map(|sessions| sessions.label(&row)));
        Ok(self.table.write_row(&row)?)
    }

    fn finish(self) -> anyhow::Result<()> {
        Ok(self.table.finish()?)
    }
}
