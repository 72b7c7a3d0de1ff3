//! Trading halts.

use model::time::MINUTE;
use simulation::{SYMBOLS, World};

use crate::{days, session_of};

#[test]
fn trading_pauses_for_some_minutes_after_a_violent_move_now_and_then() {
    let mut halts = 0;
    for day in days(&World::new(4), 150) {
        for symbol in SYMBOLS {
            for bars in session_of(&day, symbol).windows(3) {
                let pause = (bars[2].start_timestamp - bars[1].end_timestamp) / MINUTE;
                if pause == 0 {
                    continue;
                }
                halts += 1;
                assert!((5..=20).contains(&pause), "{symbol}: {pause} minutes");
                let moved = (bars[1].close / bars[0].close).ln().abs();
                assert!(moved > 0.015, "{symbol} halts after a move of {moved}");
            }
        }
    }
    assert!((3..=60).contains(&halts), "{halts} halts in 150 sessions");
}
