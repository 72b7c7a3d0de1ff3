//! Numbers and counts as a reader takes them.

use crate::{Clock, Comparison, Estimate, Share, SymbolStudy};
use model::time;

use crate::report::Report;

/// A log return as percent, with its sign.
pub fn percent(value: f64) -> String {
    // Rounded away, minus zero would still show its sign.
    format!("{:+.3}", (value * 1e5).round() / 1e3 + 0.0)
}

/// A mean as percent.
pub fn mean(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| "–".into(), |estimate| percent(estimate.mean))
}

/// A band as percent.
pub fn band(estimate: Option<Estimate>) -> String {
    match estimate.and_then(|estimate| estimate.band) {
        Some((low, high)) => format!("{} to {}", percent(low), percent(high)),
        None => "–".into(),
    }
}

/// Abnormal volume as a multiple of the usual.
pub fn times(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| "–".into(), |estimate| format!("{:.2}", estimate.mean.exp()))
}

/// How many articles of a symbol there are, and what became of them.
pub fn articles(symbol: &SymbolStudy) -> String {
    let left_out = symbol.left_out();
    let mut words = format!("{}, {} used", counted(symbol.reactions.len(), "article"), symbol.used().count());
    if !left_out.is_empty() {
        let reasons: Vec<_> = left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        words.push_str(&format!(", {} left out: {}", left_out.values().sum::<usize>(), reasons.join("; ")));
    }
    if symbol.repeated > 0 {
        words.push_str(&format!("; {} more came again and counted once", symbol.repeated));
    }
    words
}

/// What the splits of a symbol mean for the study; none where it has none.
pub fn splits(symbol: &SymbolStudy) -> Option<String> {
    let seen: Vec<_> =
        symbol.splits.iter().map(|split| format!("{split} at {}", time::rfc3339(split.at))).collect();
    (!seen.is_empty())
        .then(|| format!("Split {}: windows that hold it are kept out of all statistics.", seen.join(", ")))
}

/// The run-up of a mean path; none without articles.
pub fn run_up(estimate: Option<Estimate>) -> Option<String> {
    let estimate = estimate?;
    let verdict = match estimate.rejects_zero() {
        true => ": the price had moved before the news",
        false => "",
    };
    let (mean, band) = (mean(Some(estimate)), band(Some(estimate)));
    Some(format!("In the half hour before publication {mean} % (band {band}){verdict}."))
}

/// Shares of windows with jumps; none where there are no windows.
pub fn jumps(compared: &Comparison) -> Option<String> {
    let (with, without) = (share(&compared.with_news), share(&compared.without_news));
    let any = compared.with_news.windows + compared.without_news.windows > 0;
    let splits = match compared.splits {
        0 => String::new(),
        count => format!(" {} with a split left out.", counted(count, "window")),
    };
    any.then(|| format!("Windows with jumps: with news {with}; without {without}.{splits}"))
}

fn share(share: &Share) -> String {
    let Some(part) = share.share() else { return "no window".into() };
    let band = share.band.map(|(low, high)| format!(" (band {:.1} to {:.1})", 100.0 * low, 100.0 * high));
    let realized = share.realized.map(|mean| format!(", mean volatility {:.3} %", 100.0 * mean));
    let (band, realized) = (band.unwrap_or_default(), realized.unwrap_or_default());
    format!("{:.1} % of {}{band}{realized}", 100.0 * part, share.windows)
}

/// What the whole report is of.
pub fn heading(report: &Report<'_>) -> String {
    let study = report.study;
    let articles: usize = study.symbols.iter().map(|symbol| symbol.reactions.len()).sum();
    let clock = match report.options.clock {
        Clock::Event => "by publication",
        Clock::Arrival => "by arrival: as of when bars and articles were first seen",
    };
    let mut words = format!(
        "{}: {}, {}, {clock}.",
        report.of,
        counted(study.symbols.len(), "symbol"),
        counted(articles, "article")
    );
    if study.without_symbol > 0 {
        words.push_str(&format!(
            " {} without a symbol left out: no price can be set beside them.",
            counted(study.without_symbol, "more article")
        ));
    }
    words
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
