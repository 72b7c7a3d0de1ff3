//! The watch over jobs that run: what fails is started again, and told.

use std::time::{Duration, Instant};

use ops::deployer::{Look, Pace, Watcher};

use crate::harness::Sandbox;

/// A cluster that runs both jobs, and a watch whose clock the test moves.
struct Watch {
    sandbox: Sandbox,
    watcher: Watcher,
    begun: Instant,
}

impl Watch {
    async fn begin() -> Watch {
        let sandbox = Sandbox::new().await;
        sandbox.deploy().await.unwrap();
        sandbox.cluster.take_changes();
        let pace = Pace { restart: [Duration::from_secs(10), Duration::from_secs(600)], ..Pace::default() };
        let watcher = Watcher::new(sandbox.arroyo(), &sandbox.desired().unwrap(), pace);
        Watch { sandbox, watcher, begun: Instant::now() }
    }

    /// A look so many seconds after the watch began.
    async fn look(&mut self, second: u64) -> Look {
        let wall = 1_700_000_000_000 + second as i64 * 1_000;
        self.watcher.look(self.begun + Duration::from_secs(second), wall).await.unwrap()
    }

    fn restarts(&self) -> usize {
        self.sandbox.cluster.take_changes().iter().filter(|change| change.starts_with("restart")).count()
    }
}

#[tokio::test]
async fn a_job_that_failed_is_started_again_and_the_others_are_let_alone() {
    let mut watch = Watch::begin().await;
    assert_eq!(watch.look(0).await.state().text(), "running");
    watch.sandbox.cluster.bring_into("tickwire-live-storm", "Failed");
    let first = watch.look(10).await;
    assert!(first.state().text().contains("storm is Failed (a worker panicked)"), "{}", first.state());
    assert!(watch.sandbox.cluster.take_changes().is_empty(), "a deployment stops jobs for a moment");
    assert!(watch.look(20).await.state().text().contains("is started again"));
    assert_eq!(watch.sandbox.cluster.take_changes(), ["restart tickwire-live-storm"]);
    let healed = watch.look(30).await;
    assert_eq!(healed.state().text(), "running");
    assert_eq!(healed.jobs.iter().map(|job| job.restarts).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_job_that_goes_on_failing_is_started_ever_more_slowly_and_told() {
    let mut watch = Watch::begin().await;
    watch.sandbox.cluster.behave(|manner| manner.fails = Some("storm".into()));
    watch.sandbox.cluster.bring_into("tickwire-live-storm", "Failed");
    let mut told = String::new();
    for second in (0..36_000).step_by(10) {
        told = watch.look(second).await.state().to_string();
    }
    // At the longest pause alone ten hours would hold sixty; without one, 1,200 and more.
    let restarts = watch.restarts();
    assert!((30..400).contains(&restarts), "{restarts}");
    assert!(told.starts_with("failed: storm is Failed"), "{told}");
}

#[tokio::test]
async fn a_cluster_that_refuses_to_start_a_job_is_told_in_its_words() {
    let mut watch = Watch::begin().await;
    watch.sandbox.cluster.bring_into("tickwire-live-calm", "Stopped");
    watch.sandbox.cluster.behave(|manner| manner.refuses_restarts = true);
    watch.look(0).await;
    let told = watch.look(10).await.state().to_string();
    assert!(told.contains("calm is Stopped") && told.contains("cannot be started again"), "{told}");
}

#[tokio::test]
async fn a_job_that_is_gone_from_the_cluster_is_to_be_deployed_again() {
    let mut watch = Watch::begin().await;
    watch.sandbox.cluster.lose("tickwire-live-calm");
    let look = watch.look(0).await;
    assert!(look.state().text().contains("calm is not on the cluster") && !look.deploy);
    assert_eq!(look.jobs[0].state, "missing");
    assert!(watch.look(120).await.deploy);
    assert!(watch.sandbox.cluster.take_changes().is_empty(), "the watch itself makes nothing");
}

#[tokio::test]
async fn the_last_checkpoint_of_each_job_is_told_and_none_is_as_old_as_the_watch() {
    let mut watch = Watch::begin().await;
    watch.sandbox.cluster.checkpoint("tickwire-live-storm", 1_699_999_990_000_000);
    let seen = |look: Look| look.jobs.into_iter().map(|job| job.last_checkpoint).collect::<Vec<_>>();
    assert_eq!(seen(watch.look(0).await), [Some(1_700_000_000_000), Some(1_699_999_990_000)]);
    watch.sandbox.cluster.checkpoint("tickwire-live-storm", 1_700_000_050_000_000);
    assert_eq!(seen(watch.look(60).await), [Some(1_700_000_000_000), Some(1_700_000_050_000)]);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_the_watch_is_an_error_without_the_key() {
    let sandbox = Sandbox::with_key(Some("open-sesame"), Some("open-sesame")).await;
    sandbox.deploy().await.unwrap();
    let arroyo = ops::deployer::Arroyo::new(
        sandbox.cluster.url().parse().unwrap(),
        Some(net::Secret::new("close-sesame")),
    );
    let mut watcher = Watcher::new(arroyo.unwrap(), &sandbox.desired().unwrap(), Pace::default());
    let error = watcher.look(Instant::now(), 0).await.unwrap_err().to_string();
    assert!(error.contains("arroyo.api_key") && !error.contains("sesame"), "{error}");
}
