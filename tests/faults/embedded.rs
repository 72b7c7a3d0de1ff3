//! The pipeline in one process over its data folder, under faults of every kind.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::account::{Fault, Progress, Reconciliation, Stage, Step, schedule};
use crate::harness::Sandbox;
use crate::scene::Play;

/// Markets are few, because each is computed and run once without any fault.
const MARKETS: u64 = 4;
/// Schedules of every test run.
const SHORT: u64 = 20;
/// How many schedules the long run plays, when asked otherwise.
const SCHEDULES: &str = "FAULT_SCHEDULES";
/// Which schedule alone it plays, when asked to: one that was found to fail.
const SEED: &str = "FAULT_SEED";

static PLAYS: [LazyLock<Play>; MARKETS as usize] = [
    LazyLock::new(|| Play::of(0)),
    LazyLock::new(|| Play::of(1)),
    LazyLock::new(|| Play::of(2)),
    LazyLock::new(|| Play::of(3)),
];

fn play_of(seed: u64) -> &'static Play {
    &PLAYS[(seed % MARKETS) as usize]
}

/// What came of some schedules.
#[derive(Default)]
struct Table {
    schedules: usize,
    faults: BTreeMap<&'static str, usize>,
    sum: Reconciliation,
}

impl Table {
    /// Plays the schedules of `seeds`; each must end with everything accounted for.
    fn play(seeds: impl Iterator<Item = u64>) -> Table {
        let mut table = Table::default();
        for seed in seeds {
            let steps = schedule(seed);
            let outcome = play_of(seed).under(&steps);
            let account = outcome.account;
            assert!(account.is_right(), "seed {seed}, {steps:?}:\n{account}");
            table.schedules += 1;
            table.sum.add(&account);
            for fault in outcome.struck {
                *table.faults.entry(name(fault)).or_default() += 1;
            }
        }
        table
    }

    fn print(&self) {
        let mut text = format!("| schedules | {} |\n", self.schedules);
        for (fault, count) in &self.faults {
            text += &format!("| {fault} | {count} |\n");
        }
        text += &self.sum.rows();
        // Not `println!`, which the test runner keeps to itself.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill => "killed",
        Fault::TearLog(_) => "killed within a write to the log",
        Fault::LoseStore => "killed, the store lost",
        Fault::Terminate => "terminated under load",
        Fault::Second => "a second instance started",
        Fault::Freeze => "frozen",
        Fault::FullDisk(_) => "the disk full",
        Fault::NearlyFullDisk(_) => "the disk nearly full",
        Fault::Idle(_) => "connections left idle",
        Fault::Asked(_) => "asked by another site, and too much",
        Fault::Change(_) => "the watchlist changed by several at once",
        Fault::Poison(_) => "poison in every topic",
        Fault::StepClock(_) => "the clock stepped",
        Fault::HoldStore => "the store held by another",
        Fault::Outside => "the server of the store away",
    }
}

/// The pipeline under one fault, each time it is so far in each of these topics.
fn survives(fault: Fault, shares: &[f64]) {
    let stage = |(at, share): (usize, &f64)| {
        let topic = ["stock-prices", "volatility", "signals"][at % 3];
        let of = if at % 2 == 0 { Progress::Appended } else { Progress::Committed };
        Step { stage: Stage { of, topic, share: *share }, fault }
    };
    let steps: Vec<Step> = shares.iter().enumerate().map(stage).collect();
    let outcome = play_of(0).under(&steps);
    assert!(outcome.account.is_right(), "{steps:?}:\n{}", outcome.account);
    assert!(!outcome.struck.is_empty(), "the pipeline was done before any fault came");
}

#[test]
fn killed_at_every_stage_nothing_is_lost_twice_or_wrong() {
    survives(Fault::Kill, &[0.0, 0.1, 0.3, 0.5, 0.9, 1.0]);
}

#[test]
fn terminated_under_load_it_ends_in_order_and_goes_on() {
    survives(Fault::Terminate, &[0.2, 0.5]);
}

#[test]
fn a_second_instance_is_refused_and_the_first_goes_on() {
    survives(Fault::Second, &[0.3]);
}

#[test]
fn on_a_full_disk_it_ends_with_the_remedy_and_goes_on_once_there_is_room() {
    survives(Fault::FullDisk(300), &[0.0]);
    survives(Fault::FullDisk(1_200), &[0.0]);
}

#[test]
fn on_a_disk_that_is_nearly_full_it_ends_with_the_remedy_and_goes_on() {
    survives(Fault::NearlyFullDisk(0), &[0.2]);
    survives(Fault::NearlyFullDisk(100), &[0.5]);
}

#[test]
fn connections_that_are_opened_and_left_hold_nothing_up() {
    survives(Fault::Idle(600), &[0.0, 0.3]);
}

#[test]
fn a_question_of_another_site_or_for_all_memory_holds_nothing_up() {
    survives(Fault::Asked("query?sql=SELECT%201"), &[0.0, 0.3]);
}

#[test]
fn of_changes_made_at_once_each_that_was_acknowledged_is_kept() {
    survives(Fault::Change(6), &[0.0, 0.0, 0.2]);
}

#[test]
fn poison_in_every_topic_is_set_aside_and_loses_nothing_else() {
    for seed in [1, 2, 5] {
        survives(Fault::Poison(seed), &[0.0, 0.4, 0.8]);
    }
}

#[test]
fn a_clock_that_is_put_on_or_back_changes_no_result() {
    if Command::new("cc").arg("--version").output().is_err() || !cfg!(target_os = "linux") {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: the clock is stepped on Linux, with a C compiler, only");
        return;
    }
    survives(Fault::StepClock(7_200), &[0.2]);
    survives(Fault::StepClock(-7_200), &[0.2, 0.6]);
}

#[test]
fn a_store_that_another_holds_is_waited_for() {
    survives(Fault::HoldStore, &[0.1]);
}

#[test]
fn a_write_that_was_torn_is_passed_over_and_a_store_that_was_lost_is_filled_again() {
    survives(Fault::TearLog(3_000), &[0.5, 0.8]);
    survives(Fault::LoseStore, &[0.5, 0.8]);
}

#[test]
fn under_twenty_seeded_schedules_every_event_is_accounted_for() {
    Table::play(0..SHORT).print();
}

#[test]
#[ignore = "takes a quarter of an hour: cargo test --test faults -- --ignored under_hundreds"]
fn under_hundreds_of_seeded_schedules_every_event_is_accounted_for() {
    let number = |name: &str| std::env::var(name).ok().map(|typed| typed.parse::<u64>().unwrap());
    match number(SEED) {
        Some(seed) => Table::play(seed..seed + 1).print(),
        None => Table::play(SHORT..SHORT + number(SCHEDULES).unwrap_or(300)).print(),
    }
}

// A wall clock that can be put on and back, for whole processes: a small library
// in C that is loaded before the system's, on Linux with a C compiler.

/// Adds the seconds in the file named by `CLOCK_STEPS` to what the clock says.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long long *seconds;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_STEPS");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) seconds = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && seconds) now->tv_sec += *seconds;
    return outcome;
}
"#;

/// The clock of one desk's processes.
pub struct Clock(PathBuf);

impl Clock {
    /// Puts every command of `sandbox` under a clock that can be stepped; none where
    /// that cannot be done.
    pub fn over(sandbox: Sandbox) -> (Sandbox, Option<Clock>) {
        let (source, library, steps) =
            (sandbox.path("clock.c"), sandbox.path("clock.so"), sandbox.path("clock"));
        std::fs::write(&source, SOURCE).unwrap();
        std::fs::write(&steps, 0_i64.to_ne_bytes()).unwrap();
        let made = cfg!(target_os = "linux")
            && Command::new("cc")
                .args(["-shared", "-fPIC", "-o"])
                .args([&library, &source])
                .status()
                .is_ok_and(|status| status.success());
        if !made {
            return (sandbox, None);
        }
        let sandbox = sandbox
            .with("LD_PRELOAD", library.to_string_lossy())
            .with("CLOCK_STEPS", steps.to_string_lossy());
        (sandbox, Some(Clock(steps)))
    }

    /// From now on the clock is off by `seconds`.
    pub fn step(&self, seconds: i64) {
        // In place: the file is mapped.
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().write(true).open(&self.0).unwrap();
        file.write_all(&seconds.to_ne_bytes()).unwrap();
    }
}

// Random choices by seed: the same schedule on every machine.

/// One stream of choices.
pub struct Draws(ChaCha8Rng);

impl Draws {
    pub fn new(seed: u64) -> Draws {
        Draws(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From 0, included, to 1, excluded.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u32() as f64) / (f64::from(u32::MAX) + 1.0)
    }

    /// One of 0 .. `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }

    /// Whether something of probability `p` happens.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
