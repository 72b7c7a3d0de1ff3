//! Whether the bands keep their promise: over fixed seeds they hold what was
//! planted about as often as they say, and find nothing where nothing is.

use study::{Estimate, MeanPath};

use crate::harness::{SYMBOL, study};
use crate::market::{NOTHING, Plant, play};

const SEEDS: u64 = 100;
/// At the news, in the middle of the drift, at its end, and long after.
const CHECKED: [i64; 4] = [1, 15, 30, 60];

fn mean_path(seed: u64, plant: Plant) -> MeanPath {
    let (bars, articles) = play(seed, plant);
    let study = study(&bars, &articles);
    let mean = study.symbol(SYMBOL).unwrap().mean.clone();
    assert!(mean.events > 15, "seed {seed} leaves {} events", mean.events);
    mean
}

fn estimate(path: &MeanPath, minute: i64) -> Estimate {
    path.minute(minute).and_then(|minute| minute.cumulative).unwrap()
}

#[test]
fn the_band_of_95_percent_holds_what_was_planted_in_at_least_86_of_100_seeds() {
    let plant = Plant { jump: 0.004, spread: 0.002, drift: 0.000_06 };
    let paths: Vec<_> = (0..SEEDS).map(|seed| mean_path(seed, plant)).collect();
    for minute in CHECKED {
        let holds = |path: &&MeanPath| {
            let (low, high) = estimate(path, minute).band.unwrap();
            (low..=high).contains(&plant.by(minute))
        };
        let held = paths.iter().filter(holds).count();
        let found = paths.iter().filter(|path| estimate(path, minute).rejects_zero()).count();
        println!(
            "minute {minute}: the band holds the planted effect in {held} of {SEEDS}, leaves out 0 in {found}"
        );
        assert!(held >= 86, "minute {minute}: only {held} of {SEEDS}");
        assert!(found >= 86, "minute {minute}: an effect this large was found in only {found} of {SEEDS}");
    }
}

#[test]
fn where_nothing_was_planted_at_most_13_of_100_seeds_say_otherwise() {
    let paths: Vec<_> = (1_000..1_000 + SEEDS).map(|seed| mean_path(seed, NOTHING)).collect();
    for minute in CHECKED {
        let rejected = paths.iter().filter(|path| estimate(path, minute).rejects_zero()).count();
        println!("minute {minute}: rejected in {rejected} of {SEEDS}");
        assert!(rejected <= 13, "minute {minute}: {rejected} of {SEEDS}");
    }
    let led = paths.iter().filter(|path| path.run_up().unwrap().rejects_zero()).count();
    println!("run-up: rejected in {led} of {SEEDS}");
    assert!(led <= 13, "run-up: {led} of {SEEDS}");
}

#[test]
fn the_band_of_a_single_event_holds_it_too() {
    let (mut held, mut all) = (0, 0);
    for seed in 2_000..2_010 {
        let (bars, articles) = play(seed, NOTHING);
        let study = study(&bars, &articles);
        for path in study.symbol(SYMBOL).unwrap().used() {
            let (low, high) = path.minute(60).unwrap().band.unwrap();
            (held, all) = (held + usize::from((low..=high).contains(&0.0)), all + 1);
        }
    }
    println!("single events: {held} of {all}");
    assert!(held as f64 > 0.9 * all as f64, "{held} of {all}");
}
