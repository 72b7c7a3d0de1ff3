//! How movement and trading are spread over the minutes of a day.

use model::calendar::{Phase, SessionDay};
use model::time::MINUTE;

/// One minute of an ordinary day.
pub(crate) struct Minute {
    pub phase: Phase,
    /// Its share of the day's variance; the shares of a day sum to 1.
    pub variance: f64,
    /// Its share of the day's volume; likewise.
    pub volume: f64,
    /// The probability that the most traded symbols trade in it.
    pub trades: f64,
}

/// The minutes from the start of pre-market to the end of post-market trading.
pub(crate) fn minutes(session: &SessionDay) -> Vec<Minute> {
    let count = |from, to| ((to - from) / MINUTE) as usize;
    let mut minutes = Vec::with_capacity(count(session.pre_open, session.post_close));
    let mut add = |phase, length: usize, shares: [f64; 2], weights: &dyn Fn(usize) -> [f64; 3]| {
        let begun = minutes.len();
        minutes.extend((0..length).map(weights).map(|[volatility, volume, trades]| Minute {
            phase,
            variance: volatility * volatility,
            volume,
            trades,
        }));
        scale(&mut minutes[begun..], shares);
    };
    let regular = count(session.open, session.close);
    let pre = count(session.pre_open, session.open);
    add(Phase::Pre, pre, [0.06, 0.025], &|minute| before_open((pre - minute) as f64));
    add(Phase::Regular, regular, [0.90, 0.94], &|minute| in_session((minute as f64 + 0.5) / regular as f64));
    let post = count(session.close, session.post_close);
    add(Phase::Post, post, [0.04, 0.035], &|minute| after_close(minute as f64));
    minutes
}

/// Scales the minutes of a phase to its share of the day's variance and volume.
fn scale(minutes: &mut [Minute], [variance, volume]: [f64; 2]) {
    let variance = variance / minutes.iter().map(|minute| minute.variance).sum::<f64>();
    let volume = volume / minutes.iter().map(|minute| minute.volume).sum::<f64>();
    for minute in minutes {
        minute.variance *= variance;
        minute.volume *= volume;
    }
}

/// Volatility, volume and probability of a trade at `t` of the session, 0 its
/// open and 1 its close: high at the open, low at noon, high at the close.
fn in_session(t: f64) -> [f64; 3] {
    let from_noon = (2.0 * t - 1.0).powi(2);
    let (opening, closing) = ((-t / 0.06).exp(), ((t - 1.0) / 0.03).exp());
    [
        1.0 + 0.3 * from_noon + 1.6 * opening + 0.4 * closing,
        1.0 + 0.8 * from_noon + 2.2 * opening + 2.8 * closing,
        1.0,
    ]
}

/// The same, so many minutes before the open: trading picks up towards it.
fn before_open(minutes: f64) -> [f64; 3] {
    let nearness = (-minutes / 70.0).exp();
    [0.7 + nearness, 0.03 + nearness, 0.08 + 0.85 * nearness]
}

/// The same, so many minutes after the close: trading dies down.
fn after_close(minutes: f64) -> [f64; 3] {
    let nearness = (-minutes / 45.0).exp();
    [0.5 + nearness, 0.03 + nearness, 0.05 + 0.9 * nearness]
}
