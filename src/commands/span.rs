//! A span of time as `--from` and `--to` name it.

use anyhow::{Context, bail};
use model::time::{self, Millis};

/// A time that was typed for `flag`.
///
/// # Errors
/// When it is none.
pub fn time_of(flag: &'static str, typed: &str) -> anyhow::Result<Millis> {
    time::parse(typed).context(flag)
}

/// From and to, between which something lies.
///
/// # Errors
/// When nothing does.
pub fn checked(from: Millis, to: Millis) -> anyhow::Result<(Millis, Millis)> {
    if from >= to {
        bail!(
            "--from is {}, and nothing lies between it and --to, {}: --to is the first moment that is left out",
            time::rfc3339(from),
            time::rfc3339(to)
        );
    }
    Ok((from, to))
}
