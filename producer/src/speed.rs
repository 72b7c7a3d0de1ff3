//! How fast event time passes.

use std::str::FromStr;
use std::time::Duration;

use model::time::Millis;

/// How fast event time passes, against the wall clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast; finite and above zero.
    Times(f64),
    /// As fast as the log takes it.
    Max,
}

/// A text that is no speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no speed: write a number above zero (60 plays an hour in a minute) or `max`")]
pub struct BadSpeed(String);

impl Speed {
    /// How long a span of event time lasts by the wall clock.
    pub(crate) fn lasts(self, span: Millis) -> Duration {
        match self {
            Speed::Times(times) => {
                let seconds = span.max(0) as f64 / 1_000.0 / times;
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
            Speed::Max => Duration::ZERO,
        }
    }
}

impl Default for Speed {
    fn default() -> Speed {
        Speed::Times(60.0)
    }
}

impl FromStr for Speed {
    type Err = BadSpeed;

    fn from_str(text: &str) -> Result<Speed, BadSpeed> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("max") {
            return Ok(Speed::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
            _ => Err(BadSpeed(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Speed::Times(times) => write!(f, "{times}"),
            Speed::Max => f.write_str("max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE;

    #[test]
    fn a_speed_is_a_number_above_zero_or_max() {
        assert_eq!("60".parse(), Ok(Speed::default()));
        assert_eq!(" 0.5 ".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("MAX".parse(), Ok(Speed::Max));
        for text in ["0", "-1", "nan", "inf", "fast", ""] {
            let error = text.parse::<Speed>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("`max`"), "{error}");
        }
    }

    #[test]
    fn sixty_times_plays_a_minute_in_a_second() {
        assert_eq!(Speed::default().lasts(MINUTE), Duration::from_secs(1));
        assert_eq!(Speed::Max.lasts(MINUTE), Duration::ZERO);
        assert_eq!(Speed::Times(f64::MIN_POSITIVE).lasts(MINUTE), Duration::MAX);
    }
}
