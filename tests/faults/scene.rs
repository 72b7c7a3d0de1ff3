//! One market, played through whole processes under a schedule of faults.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use log::{EmbeddedLog, Log};
use model::Topic;
use testkit::influxd::{Influxd, ORG};
use testkit::proxy::{Network, Proxy};
use tokio::runtime::Runtime;

use crate::account::{Beside, Fault, Progress, Reconciliation, Stage, Step, Undisturbed};
use crate::embedded::{Clock, Draws};
use crate::harness::{Running, Sandbox, wait_for};
use crate::market::Market;
use crate::page::{Page, most_memory};
use crate::poison::poison;

const UP: &str =
    "up --listen 127.0.0.1:0 --prices replay:bars.csv --news replay:news.csv --speed max --exit-when-done";

/// The log has everything that the source issues.
const ALL_PRICES: Stage = Stage { of: Progress::Appended, topic: "stock-prices", share: 1.0 };

/// What a process may take beside questions that take everything, in KiB.
const MOST_MEMORY: u64 = 700 << 10;

/// A market with what an undisturbed computation makes of it, and how many
/// records an undisturbed run writes to each topic.
pub struct Play {
    /// The name of the run in the data folder.
    pub run: String,
    market: Market,
    undisturbed: Undisturbed,
    lengths: BTreeMap<String, u64>,
    variables: Vec<(&'static str, String)>,
}

/// What a test does to a server, and undoes.
type Outside<'a> = &'a dyn Fn();

/// How a schedule ended.
pub struct Outcome {
    pub account: Reconciliation,
    /// The faults that came before the pipeline was done.
    pub struck: Vec<Fault>,
}

impl Play {
    /// The market of a seed, computed and run once without any fault.
    pub fn of(seed: u64) -> Play {
        let market = Market::new(seed);
        let sandbox = desk_of(&market);
        let undisturbed = Undisturbed::of(&sandbox);
        sandbox.out(UP);
        let account = Reconciliation::at_the_end(&sandbox, &market, &undisturbed);
        assert!(account.is_right(), "without any fault:\n{account}");
        let lengths = Look::at(&folder_of(&sandbox).unwrap()).unwrap().lengths();
        let run = std::fs::read_to_string(sandbox.path("data/last-run")).unwrap().trim().to_owned();
        Play { run, market, undisturbed, lengths, variables: Vec::new() }
    }

    /// From now on with a variable in the environment of every command.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    /// Plays the market under `steps`, then once more to the end.
    pub fn under(&self, steps: &[Step]) -> Outcome {
        self.under_outside(steps, &|| (), &|| ())
    }

    /// The same, with what [`Fault::Outside`] does and undoes.
    pub fn under_outside(&self, steps: &[Step], fault: Outside, over: Outside) -> Outcome {
        let sandbox = desk_of(&self.market);
        let sandbox = self.variables.iter().fold(sandbox, |sandbox, (name, value)| sandbox.with(name, value));
        let (sandbox, clock) = Clock::over(sandbox);
        let mut scene = Scene {
            play: self,
            sandbox,
            clock,
            outside: [fault, over],
            struck: Vec::new(),
            beside: Beside::default(),
            words: 0,
        };
        for step in steps {
            scene.play(*step);
            let account = Reconciliation::between(&scene.sandbox, &self.market, &scene.beside);
            assert!(account.is_right(), "after {step:?}:\n{account}");
        }
        let ended = scene.sandbox.run(UP);
        assert_eq!(ended.code, Some(0), "after {steps:?}: {}", ended.errors);
        let account =
            Reconciliation::at_the_end_beside(&scene.sandbox, &self.market, &self.undisturbed, &scene.beside);
        Outcome { account, struck: scene.struck }
    }
}

fn desk_of(market: &Market) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("bars.csv", &market.prices);
    sandbox.file("news.csv", &market.news);
    sandbox
}

/// The folder of the last run, once there is one.
fn folder_of(sandbox: &Sandbox) -> Option<PathBuf> {
    let run = std::fs::read_to_string(sandbox.path("data/last-run")).ok()?;
    Some(sandbox.path("data").join(run.trim()))
}

struct Scene<'a> {
    play: &'a Play,
    sandbox: Sandbox,
    clock: Option<Clock>,
    outside: [Outside<'a>; 2],
    struck: Vec<Fault>,
    beside: Beside,
    /// How many words of poison there have been.
    words: usize,
}

impl Scene<'_> {
    fn play(&mut self, Step { stage, fault }: Step) {
        if let Fault::FullDisk(kilobytes) = fault {
            return self.fill_the_disk(kilobytes, fault);
        }
        let needs_page = matches!(fault, Fault::Idle(_) | Fault::Asked(_) | Fault::Change(_));
        let mut running = self.sandbox.start(UP);
        if matches!(fault, Fault::Terminate | Fault::Second | Fault::Freeze) {
            // It owns its folder and listens to signals.
            running.address();
        }
        let page = needs_page.then(|| Page::at(running.address()));
        if !self.reach(&mut running, stage) {
            return;
        }
        match fault {
            Fault::Kill
            | Fault::TearLog(_)
            | Fault::LoseStore
            | Fault::NearlyFullDisk(_)
            | Fault::Poison(_) => {}
            Fault::Idle(count) => self.leave_idle(page.as_ref().unwrap(), count, &mut running),
            Fault::Asked(path) => self.ask_too_much(page.as_ref().unwrap(), path, &mut running),
            Fault::Change(count) => self.change_at_once(page.as_ref().unwrap(), count, &mut running),
            Fault::Terminate => running.signal("TERM"),
            Fault::Second => self.start_a_second(&mut running),
            Fault::Freeze => self.freeze(&running),
            Fault::StepClock(seconds) => {
                let Some(clock) = &self.clock else { return };
                clock.step(seconds);
                self.reach(&mut running, Stage { share: 1.0, ..stage });
            }
            Fault::HoldStore => self.hold_the_store(&mut running),
            Fault::Outside => {
                let [fault, over] = self.outside;
                fault();
                self.reach(&mut running, ALL_PRICES);
                over();
            }
            Fault::FullDisk(_) => {}
        }
        match fault {
            Fault::Terminate => assert_eq!(running.ended(), Some(0)),
            _ => running.kill(),
        }
        self.struck.push(fault);
        let folder = folder_of(&self.sandbox).unwrap();
        match fault {
            Fault::TearLog(bytes) => tear(&folder.join("log.db-wal"), bytes),
            Fault::LoseStore => lose(&folder),
            Fault::NearlyFullDisk(kilobytes) => self.leave_room(&folder, kilobytes),
            Fault::Poison(seed) => self.poison(&folder, seed),
            _ => {}
        }
    }

    /// Waits until the pipeline is so far; not once it is done before.
    fn reach(&self, running: &mut Running, stage: Stage) -> bool {
        let wanted = self.play.lengths.get(stage.topic).copied().unwrap_or_default() as f64 * stage.share;
        let mut look = None;
        wait_for("the stage of the fault", || {
            if running.has_ended().is_some() {
                return Some(false);
            }
            look = look.take().or_else(|| Look::at(&folder_of(&self.sandbox)?));
            (look.as_ref()?.reached(stage)? as f64 >= wanted).then_some(true)
        })
    }

    fn fill_the_disk(&mut self, kilobytes: u32, fault: Fault) {
        if self.is_stopped_by_the_disk(kilobytes) {
            self.struck.push(fault);
        }
    }

    fn is_stopped_by_the_disk(&self, kilobytes: u32) -> bool {
        let ended = self.sandbox.run_within(kilobytes, UP);
        if ended.code != Some(0) {
            assert_eq!(ended.code, Some(1), "{}", ended.errors);
            assert!(ended.errors.contains("room"), "the remedy is not named: {}", ended.errors);
        }
        ended.code != Some(0)
    }

    /// A disk with room for a little more than what is there.
    fn leave_room(&self, folder: &Path, kilobytes: u32) {
        let sizes = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.metadata().unwrap().len());
        let longest = sizes.max().unwrap_or_default().div_ceil(1_024) as u32;
        self.is_stopped_by_the_disk(longest + kilobytes);
    }

    fn poison(&mut self, folder: &Path, seed: u64) {
        let log = EmbeddedLog::open(&folder.join("log.db"), 1).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let put = async {
            let all = poison(&log, &mut Draws::new(seed), &mut self.words).await;
            let (poison, appends): (Vec<_>, Vec<_>) = all.into_iter().unzip();
            log.append(appends).await.unwrap();
            self.beside.poison.extend(poison);
        };
        runtime.block_on(put);
    }

    fn leave_idle(&self, page: &Page, count: usize, running: &mut Running) {
        let _idle = page.left_idle(count);
        wait_for("the page beside idle connections", || {
            (page.is_well() || running.has_ended().is_some()).then_some(())
        });
        self.reach(running, ALL_PRICES);
    }

    fn ask_too_much(&self, page: &Page, path: &str, running: &mut Running) {
        page.is_asked_too_much(path);
        self.reach(running, ALL_PRICES);
        if let Some(most) = most_memory(running.id()) {
            assert!(most < MOST_MEMORY, "{most} KiB");
        }
    }

    /// Half of them are commands, the others clients of the page.
    fn change_at_once(&mut self, page: &Page, count: usize, running: &mut Running) {
        let before = self.beside.changes.added.len();
        let symbols: Vec<String> = (before..before + count).map(|number| format!("ADDED{number}")).collect();
        let sandbox = &self.sandbox;
        let added = std::thread::scope(|scope| {
            let one = |(at, symbol): (usize, &String)| {
                let (address, symbol) = (page.address().to_owned(), symbol.clone());
                scope.spawn(move || match at % 2 {
                    0 => sandbox.run(&format!("watch add {symbol}")).code == Some(0),
                    _ => Page::at(address).adds(&symbol),
                })
            };
            let all: Vec<_> = symbols.iter().enumerate().map(one).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<bool>>()
        });
        self.beside.changes.added.extend(symbols.into_iter().zip(added));
        self.reach(running, ALL_PRICES);
    }

    /// The first stands still meanwhile, so that it cannot be done before.
    fn start_a_second(&self, running: &mut Running) {
        running.signal("STOP");
        if running.has_ended().is_none() {
            let said = self.sandbox.refused(UP);
            assert!(said.contains(&running.id().to_string()), "{said}");
        }
        running.signal("CONT");
    }

    fn freeze(&self, running: &Running) {
        running.signal("STOP");
        let account = Reconciliation::between(&self.sandbox, &self.play.market, &self.beside);
        assert!(account.is_right(), "beside a frozen pipeline:\n{account}");
        running.signal("CONT");
    }

    fn hold_the_store(&self, running: &mut Running) {
        let path = folder_of(&self.sandbox).unwrap().join("store.db");
        let held = rusqlite::Connection::open(path).unwrap();
        held.busy_timeout(crate::harness::PATIENCE).unwrap();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.reach(running, ALL_PRICES);
        held.execute_batch("ROLLBACK").unwrap();
    }
}

/// A part of one more write stands at the end.
fn tear(file: &Path, bytes: usize) {
    if let Ok(mut file) = OpenOptions::new().append(true).open(file) {
        file.write_all(&vec![0xa5; bytes]).unwrap();
    }
}

fn lose(folder: &Path) {
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(folder.join(file));
    }
}

/// A look into the log of a run, beside its owner.
struct Look {
    log: EmbeddedLog,
    runtime: Runtime,
}

impl Look {
    fn at(folder: &Path) -> Option<Look> {
        let log = EmbeddedLog::open_to_read(&folder.join("log.db")).ok()?;
        Some(Look { log, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() })
    }

    fn reached(&self, stage: Stage) -> Option<u64> {
        let topic = Topic::new(stage.topic);
        match stage.of {
            Progress::Appended => {
                let extents = self.runtime.block_on(self.log.extents(&topic)).ok()?;
                Some(extents.iter().map(|extent| extent.next).sum())
            }
            Progress::Committed => {
                let committed = self.runtime.block_on(self.log.committed("sink")).ok()?;
                Some(committed.iter().filter(|at| at.topic == topic).map(|at| at.offset).sum())
            }
        }
    }

    fn lengths(&self) -> BTreeMap<String, u64> {
        let topics = self.runtime.block_on(self.log.topics()).unwrap();
        let length = |topic: Topic| {
            let extents = self.runtime.block_on(self.log.extents(&topic)).unwrap();
            (topic.name().to_owned(), extents.iter().map(|extent| extent.next).sum())
        };
        topics.into_iter().map(length).collect()
    }
}

// The pipeline with its store on a real InfluxDB, behind a network that fails.

/// A server with a bucket for the market, and the proxy before it.
struct Behind {
    // Drives the proxy.
    runtime: Runtime,
    server: Influxd,
    proxy: Proxy,
    play: Play,
    buckets: usize,
}

impl Behind {
    /// None where there is no server on this machine, which is then said.
    fn start(market: u64) -> Option<Behind> {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Influxd::start())?;
        let proxy = runtime.block_on(Proxy::before(server.url.trim_start_matches("http://")));
        let mut play = Play::of(market);
        play.set("TICKWIRE_STORE", "influxdb");
        play.set("TICKWIRE_INFLUXDB__URL", format!("http://{}", proxy.address));
        play.set("TICKWIRE_INFLUXDB__ORG", ORG);
        play.set("TICKWIRE_INFLUXDB__TOKEN", server.token.clone());
        Some(Behind { runtime, server, proxy, play, buckets: 0 })
    }

    /// From now on the store is empty.
    fn use_a_fresh_bucket(&mut self) {
        self.buckets += 1;
        let bucket = format!("events{}", self.buckets);
        let of_the_run = format!("{bucket}_{}", self.play.run.replace('/', "_"));
        self.runtime.block_on(self.server.make_bucket(&of_the_run, None));
        self.play.set("TICKWIRE_INFLUXDB__BUCKET", bucket);
    }

    /// Plays the market; when the sink has committed a share of the prices, `fault`
    /// comes, and goes once the log has everything; then the process is killed.
    fn under(&mut self, shares: &[f64], fault: impl Fn(&Behind), over: impl Fn(&Behind)) -> Outcome {
        self.use_a_fresh_bucket();
        let stage = |share: &f64| Stage { of: Progress::Committed, topic: "stock-prices", share: *share };
        let steps: Vec<Step> =
            shares.iter().map(|share| Step { stage: stage(share), fault: Fault::Outside }).collect();
        let behind: &Behind = self;
        behind.play.under_outside(&steps, &|| fault(behind), &|| over(behind))
    }

    fn survives(&mut self, network: Network) {
        let fault = |behind: &Behind| behind.proxy.becomes(network);
        let over = |behind: &Behind| behind.proxy.becomes(Network::Well);
        let outcome = self.under(&[0.0, 0.5], fault, over);
        assert!(outcome.account.is_right(), "{network:?}:\n{}", outcome.account);
    }
}

#[test]
fn an_influxdb_that_is_busy_hangs_is_slow_cut_off_or_killed_loses_nothing() {
    let Some(mut behind) = Behind::start(1) else { return };
    behind.survives(Network::Answers(503, None));
    behind.survives(Network::Answers(429, Some(1)));
    behind.survives(Network::Hangs);
    behind.survives(Network::Cut);
    behind.survives(Network::Slow);
    let again = |behind: &Behind| behind.runtime.block_on(behind.server.run());
    let outcome = behind.under(&[0.0, 0.5], |behind| behind.server.kill(), again);
    assert!(outcome.account.is_right(), "killed:\n{}", outcome.account);
}
