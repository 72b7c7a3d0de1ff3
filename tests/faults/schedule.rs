//! Seeded schedules: which fault comes when.

use crate::draws::Draws;
use crate::page::COSTLY;

/// How far the pipeline has come when the fault comes: a share of what a topic
/// holds at the end of an undisturbed run, or of what the sink commits of it.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    pub of: Progress,
    pub topic: &'static str,
    pub share: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Appended,
    Committed,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `kill -9`.
    Kill,
    /// `kill -9`, with a write to the log of which so many bytes reached the disk.
    TearLog(usize),
    /// `kill -9`, and the store is lost.
    LoseStore,
    /// SIGTERM under load.
    Terminate,
    /// A second instance is started by mistake, then the first is killed.
    Second,
    /// The process is frozen, looked at, thawed, and killed.
    Freeze,
    /// No file may grow beyond so many kilobytes.
    FullDisk(u32),
    /// The wall clock is put on or back by so many seconds.
    StepClock(i64),
    /// Somebody else holds the store's file until the log has everything.
    HoldStore,
    /// `kill -9`; then no file may grow by more than so many kilobytes.
    NearlyFullDisk(u32),
    /// So many connections are opened at the page, and left.
    Idle(usize),
    /// A browser asks on behalf of another site, and questions take all that there is.
    Asked(&'static str),
    /// So many change the watchlist at the same time.
    Change(usize),
    /// `kill -9`; then something else puts records onto every topic, chosen by this seed.
    Poison(u64),
    /// What the test does to a server until the log has everything; then `kill -9`.
    Outside,
}

/// One start of the pipeline and what happens to it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub stage: Stage,
    pub fault: Fault,
}

const TOPICS: [&str; 6] = ["stock-prices", "news-articles", "volatility", "news-impact", "movers", "signals"];

/// Three to six steps.
pub fn schedule(seed: u64) -> Vec<Step> {
    // Apart from the seeds of markets.
    let mut draws = Draws::new(seed ^ 0x5c4e_d01e);
    (0..3 + draws.below(4)).map(|_| step(&mut draws)).collect()
}

fn step(draws: &mut Draws) -> Step {
    let of = if draws.chance(0.5) { Progress::Appended } else { Progress::Committed };
    let stage = Stage { of, topic: draws.one_of(&TOPICS), share: draws.uniform() };
    let fault = match draws.below(18) {
        0..4 => Fault::Kill,
        4 => Fault::TearLog(1 + draws.below(10_000)),
        5 => Fault::LoseStore,
        6 => Fault::Terminate,
        7 => Fault::Second,
        8 => Fault::Freeze,
        9 => Fault::FullDisk(100 + draws.below(2_000) as u32),
        10 => Fault::StepClock(draws.one_of(&[-86_400, -3_600, -61, 61, 3_600, 86_400])),
        11 => Fault::HoldStore,
        12 => Fault::NearlyFullDisk(draws.below(400) as u32),
        13 => Fault::Idle(40 + draws.below(560)),
        14 => Fault::Asked(draws.one_of(&COSTLY)),
        15 => Fault::Change(3 + draws.below(3)),
        _ => Fault::Poison(draws.below(1 << 20) as u64),
    };
    Step { stage, fault }
}
