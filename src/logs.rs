//! Log lines: structured, to standard error, chosen by `RUST_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Libraries that write requests and frames into their finest log lines, keys
/// and all: nobody gets to read those.
const KEPT_QUIET: [&str; 6] =
    ["hyper", "hyper_util", "reqwest", "rustls", "tokio_tungstenite", "tungstenite"];

/// Libraries whose finest lines bury everything else: they are heard when asked by name.
const WORDY: [&str; 3] = ["datafusion", "sqlparser", "h2"];

/// Starts logging; everything at `info` and above unless `RUST_LOG` says otherwise.
pub fn start(format: LogFormat) {
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(&chosen))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// What was chosen, without finer lines of the libraries that are kept quiet.
fn filter(chosen: &str) -> EnvFilter {
    let is_quiet =
        |directive: &&str| KEPT_QUIET.iter().any(|quiet| directive.trim_start().starts_with(quiet));
    let others: Vec<_> = chosen.split(',').filter(|directive| !is_quiet(directive)).collect();
    let filter = EnvFilter::try_new(others.join(",")).ok().filter(|_| !chosen.trim().is_empty());
    let wordy = WORDY.iter().filter(|wordy| !chosen.contains(**wordy));
    let quiet = KEPT_QUIET.iter().chain(wordy).filter_map(|quiet| format!("{quiet}=info").parse().ok());
    quiet.fold(filter.unwrap_or_else(|| EnvFilter::new("info")), EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_would_write_keys_stay_quiet_whatever_is_chosen() {
        for chosen in
            ["trace", "tungstenite=trace", "debug,tungstenite::protocol=trace,reqwest=debug", "", "x=y=z"]
        {
            let filter = filter(chosen).to_string();
            assert!(filter.contains("tungstenite=info") && !filter.contains("tungstenite=trace"), "{filter}");
            assert!(!filter.contains("protocol") && !filter.contains("reqwest=debug"), "{filter}");
        }
        assert!(filter("debug").to_string().contains("datafusion=info"));
        assert!(filter("debug,datafusion=trace").to_string().contains("datafusion=trace"));
        assert!(filter("debug,web=trace").to_string().contains("web=trace"));
        assert!(filter("").to_string().contains("info"));
    }
}
