//! A progress bar for long work: on a terminal only, and never in the way of output.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` steps, or one that only counts where `total` is not known.
/// It hides itself when standard error is no terminal.
pub fn bar(what: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg} {wide_bar} {human_pos}/{human_len} {eta}"),
        None => (ProgressBar::new_spinner(), "{msg} {human_pos} {per_sec}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(what)
}
