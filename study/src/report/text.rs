//! The report as text.

use std::fmt::Write;

use crate::MeanPath;

use crate::report::{ALL, MINUTES, Report, words};

/// The report for a terminal.
pub fn text(report: &Report<'_>) -> String {
    let mut out = format!(
        "{}\nReturns are in percent, cumulative since the last price before publication, and abnormal: \
         over what quiet sessions brought at the same clock time. Bands: {} %.\n",
        words::heading(report),
        100.0 * report.options.confidence
    );
    if report.study.symbols.len() > 1 && report.study.pooled.events > 0 {
        let _ = writeln!(out, "\n{ALL}: {} articles used", report.study.pooled.events);
        path(&mut out, &report.study.pooled);
    }
    for symbol in &report.study.symbols {
        let _ = writeln!(out, "\n{}: {}", symbol.symbol, words::articles(symbol));
        if let Some(splits) = words::splits(symbol) {
            let _ = writeln!(out, "  {splits}");
        }
        if symbol.mean.events > 0 {
            path(&mut out, &symbol.mean);
        }
        if let Some(jumps) = report.comparisons.get(&symbol.symbol).and_then(words::jumps) {
            let _ = writeln!(out, "  {jumps}");
        }
    }
    out
}

fn path(out: &mut String, path: &MeanPath) {
    let _ = writeln!(out, "  minute      mean              band         volume ×  articles");
    for minute in MINUTES.iter().filter_map(|&minute| path.minute(minute)) {
        let Some(cumulative) = minute.cumulative else { continue };
        let _ = writeln!(
            out,
            "  {:>6}  {:>8}  {:>20}  {:>9}  {:>8}",
            minute.minute,
            words::mean(Some(cumulative)),
            words::band(Some(cumulative)),
            words::times(minute.abnormal_volume),
            cumulative.count
        );
    }
    if let Some(run_up) = words::run_up(path.run_up()) {
        let _ = writeln!(out, "  {run_up}");
    }
}
