//! The report's files.

use std::fs;
use std::path::Path;

use anyhow::Context;
use files::{Format, TableWriter};
use study::report::{MINUTES, Report};
use study::tables::{self, Table};

use crate::cli::BacktestArgs;

/// Writes the files that `args` ask for, and says where they are.
pub fn write(report: &Report<'_>, args: &BacktestArgs) -> anyhow::Result<()> {
    if let Some(folder) = &args.out_dir {
        fs::create_dir_all(folder).with_context(|| unwritable(folder))?;
        whole(&folder.join("report.txt"), &study::report::text(report))?;
        whole(&folder.join("report.html"), &study::report::page(report)?)?;
        table(&folder.join("mean-paths.csv"), &tables::mean_paths(report.paths()))?;
        table(&folder.join("articles.csv"), &tables::articles(&report.study.symbols, &MINUTES))?;
        let compared = report.comparisons.iter().map(|(symbol, compared)| (symbol.as_str(), compared));
        table(&folder.join("windows.csv"), &tables::comparisons(compared))?;
        eprintln!("Written into {}", folder.display());
    }
    if let Some(file) = &args.html {
        whole(file, &study::report::page(report)?)?;
    }
    if let Some(file) = &args.csv {
        table(file, &tables::mean_paths(report.paths()))?;
    }
    Ok(())
}

fn table(file: &Path, table: &Table) -> anyhow::Result<()> {
    let mut writer = TableWriter::create(Some(Format::Csv), &table.columns, Some(file))?;
    for row in &table.rows {
        writer.write_row(row)?;
    }
    Ok(writer.finish()?)
}

fn whole(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| unwritable(file))
}

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written: check its folder, its rights and the room on its disk", path.display())
}
