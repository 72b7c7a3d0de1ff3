//! The life of an episode: one rule on one symbol, value by value.
//!
//! Above its threshold t with hysteresis h, an episode opens with a value > t
//! and closes with one ≤ t − h; below, with a value < t and one ≥ t + h. A
//! crossing is a passage from beyond t − h to beyond t + h, or back, however
//! many windows lie between; what stays within the band is on the side that it
//! came from.

use control::rules::Rule;
use model::alert::Comparison;
use model::time::Millis;
use serde::{Deserialize, Serialize};

/// An episode as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// The end of the window that opened it.
    pub(crate) opened: Millis,
    /// The signal then.
    pub(crate) value: f64,
    /// The signal farthest beyond the threshold so far.
    pub(crate) extreme: f64,
    /// The threshold then.
    pub(crate) threshold: f64,
}

/// The side of the threshold on which a signal was seen last, beyond the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Above,
    Below,
}

/// What a value comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    /// An episode opens.
    Opens(Episode),
    /// The open one closes.
    Closes(Episode),
    /// The signal has passed to this side: an episode of one window.
    Crosses(Episode, Side),
}

/// Where a rule stands with a symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The episode under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Episode>,
    /// Of a rule about crossings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) side: Option<Side>,
}

impl Standing {
    /// Takes the signal of the window that ends at `at`.
    pub(crate) fn step(&mut self, rule: &Rule, value: f64, at: Millis) -> Option<Turn> {
        let Rule { threshold, hysteresis, .. } = *rule;
        let episode = || Episode { opened: at, value, extreme: value, threshold };
        let (beyond, back) = match rule.comparison {
            Comparison::Above => (value > threshold, value <= threshold - hysteresis),
            Comparison::Below => (value < threshold, value >= threshold + hysteresis),
            Comparison::Crosses => return self.cross(rule, value).map(|side| Turn::Crosses(episode(), side)),
        };
        match &mut self.open {
            None if beyond => {
                self.open = Some(episode());
                self.open.map(Turn::Opens)
            }
            None => None,
            Some(_) if back => self.open.take().map(Turn::Closes),
            Some(open) => {
                open.extreme = match rule.comparison {
                    Comparison::Below => open.extreme.min(value),
                    _ => open.extreme.max(value),
                };
                None
            }
        }
    }

    /// The side to which the signal has passed, if it has.
    fn cross(&mut self, rule: &Rule, value: f64) -> Option<Side> {
        let side = if value > rule.threshold + rule.hysteresis {
            Side::Above
        } else if value < rule.threshold - rule.hysteresis {
            Side::Below
        } else {
            return None;
        };
        self.side.replace(side).filter(|before| *before != side).map(|_| side)
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.side.is_none()
    }
}
