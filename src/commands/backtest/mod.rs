//! `tickwire backtest`: an event study over files, or over what the store holds.

mod history;
mod outputs;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::bail;
use model::{AssetClass, time};
use study::report::Report;
use study::{Clock, Options};

use crate::cli::BacktestArgs;
use crate::config::Config;
use history::History;

/// Studies, prints the report, and writes what was asked for.
pub async fn run(config: &Config, args: BacktestArgs) -> anyhow::Result<()> {
    let mut history = History::read(config, &args).await?;
    history.only(&args.symbols)?;
    let clock = if args.as_of_arrival { Clock::Arrival } else { Clock::Event };
    let options = Options { clock, ..Options::default() };
    let study = study::study(&history.bars, &history.articles, &options);
    let of_symbol = |symbol: &study::SymbolStudy| {
        let windows = history.windows.get(&symbol.symbol).map_or(&[][..], Vec::as_slice);
        let class = AssetClass::of(&symbol.symbol);
        (symbol.symbol.clone(), study::compare(class, windows, &symbol.splits, options.confidence))
    };
    let comparisons: BTreeMap<_, _> = study.symbols.iter().map(of_symbol).collect();
    let report = Report {
        of: history.span(),
        options: &options,
        study: &study,
        comparisons: &comparisons,
        articles: &history.articles,
    };
    write!(std::io::stdout().lock(), "{}", study::report::text(&report))?;
    outputs::write(&report, &args)?;
    history.unread.end()
}

impl History {
    /// Leaves only these symbols; none named are all.
    fn only(&mut self, symbols: &[String]) -> anyhow::Result<()> {
        if symbols.is_empty() {
            return Ok(());
        }
        let known: BTreeSet<&str> = self
            .bars
            .iter()
            .map(|bar| bar.symbol.as_str())
            .chain(self.articles.iter().filter_map(|article| article.symbol.as_deref()))
            .collect();
        if let Some(unknown) = symbols.iter().find(|symbol| !known.contains(symbol.as_str())) {
            let known: Vec<_> = known.into_iter().take(60).collect();
            bail!("there is no bar and no article of {unknown}; known are: {}", known.join(", "));
        }
        self.bars.retain(|bar| symbols.contains(&bar.symbol));
        self.articles.retain(|article| article.symbol.as_ref().is_some_and(|of| symbols.contains(of)));
        self.windows.retain(|symbol, _| symbols.contains(symbol));
        Ok(())
    }

    /// From when to when there are bars, in words.
    fn span(&self) -> String {
        let starts = || self.bars.iter().map(|bar| bar.start_timestamp);
        match starts().min().zip(starts().max()) {
            Some((first, last)) => format!("Bars from {} to {}", time::rfc3339(first), time::rfc3339(last)),
            None => "No bars".into(),
        }
    }
}
