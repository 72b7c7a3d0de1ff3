//! What a day brings depends on seed and date alone.

use simulation::World;

use crate::date;

#[test]
fn a_day_is_the_same_whatever_was_asked_before() {
    let day = World::new(5).day(date("2024-03-05")).unwrap();
    let asked = World::new(5);
    for other in ["2025-01-10", "2001-02-01", "2024-03-06", "2024-03-04", "2024-03-05"] {
        asked.day(date(other)).unwrap();
    }
    assert_eq!(asked.day(date("2024-03-05")).unwrap(), day);
}

#[test]
fn another_seed_or_date_is_another_day() {
    let world = World::new(5);
    let day = world.day(date("2024-03-05")).unwrap();
    assert_ne!(World::new(6).day(date("2024-03-05")).unwrap().bars, day.bars);
    assert_ne!(world.day(date("2024-03-06")).unwrap().bars, day.bars);
    // The high bits of the seed count as well.
    assert_ne!(World::new(5 + (1 << 63)).day(date("2024-03-05")).unwrap().bars, day.bars);
}

#[test]
fn there_is_no_day_without_a_session_or_before_the_market_began() {
    let world = World::new(5);
    for none in ["2024-03-09", "2024-12-25", "1999-12-31"] {
        assert!(world.day(date(none)).is_none(), "{none}");
    }
    assert!(world.day(date("2000-01-03")).is_some());
}
