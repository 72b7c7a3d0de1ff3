//! What a deployment changes, and what it leaves alone.

use crate::harness::{Sandbox, job};

#[tokio::test]
async fn a_fresh_cluster_gets_every_function_and_every_job_one_after_the_other() {
    let sandbox = Sandbox::new().await;
    sandbox.cluster.behave(|manner| manner.slowness = 2);
    sandbox.deploy().await.unwrap();
    let changes = [
        "register parkinson",
        "register realized",
        "create tickwire-live-calm",
        "create tickwire-live-storm",
    ];
    assert_eq!(sandbox.cluster.take_changes(), changes);
    assert!(sandbox.running().iter().all(|(_, state)| state == "Running"), "{:?}", sandbox.running());
    assert_eq!(sandbox.cluster.most_starting_together(), 1);
    assert!(sandbox.cluster.pipelines().iter().all(|pipeline| pipeline.parallelism == 2));
}

#[tokio::test]
async fn a_second_deployment_changes_nothing() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    sandbox.cluster.take_changes();
    assert_eq!(
        sandbox.difference().await,
        ["= pipeline tickwire-live-calm", "= pipeline tickwire-live-storm"]
    );
    let outcome = sandbox.deploy().await.unwrap();
    assert!(sandbox.cluster.take_changes().is_empty());
    assert!(outcome.reread.is_empty());
}

#[tokio::test]
async fn a_changed_job_is_replaced_and_the_others_run_on() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    sandbox.cluster.take_changes();
    sandbox.write("sql/storm.sql", &job("storm", "parkinson(low, high)", "stock_prices"));
    let outcome = sandbox.deploy().await.unwrap();
    let changes =
        ["stop tickwire-live-storm (checkpoint)", "delete tickwire-live-storm", "create tickwire-live-storm"];
    assert_eq!(sandbox.cluster.take_changes(), changes);
    assert_eq!(outcome.reread, ["storm"]);
}

#[tokio::test]
async fn a_changed_function_replaces_the_jobs_that_call_it_and_only_those() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    sandbox.cluster.take_changes();
    sandbox.write("udfs/realized.rs", "fn realized(close: Vec<f64>) -> f64 { 2.0 }");
    let outcome = sandbox.deploy().await.unwrap();
    assert_eq!(sandbox.cluster.take_changes()[..2], ["forget realized", "register realized"]);
    assert_eq!(outcome.reread, ["calm"]);
}

#[tokio::test]
async fn another_parallelism_replaces_every_job() {
    let mut sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    sandbox.settings.parallelism = 4;
    assert_eq!(sandbox.deploy().await.unwrap().reread, ["calm", "storm"]);
    assert!(sandbox.cluster.pipelines().iter().all(|pipeline| pipeline.parallelism == 4));
}

#[tokio::test]
async fn what_is_gone_from_the_folders_is_removed_and_what_is_not_ours_stays() {
    let sandbox = Sandbox::new().await;
    sandbox.cluster.add_pipeline("somebody's", "SELECT 1", "Running");
    sandbox.cluster.add_pipeline("tickwire-simulated-calm", "SELECT 2", "Running");
    sandbox.cluster.add_udf("theirs", "median");
    sandbox.deploy().await.unwrap();
    sandbox.remove("sql/storm.sql");
    sandbox.remove("udfs/parkinson.rs");
    sandbox.cluster.take_changes();
    sandbox.deploy().await.unwrap();
    let changes = ["stop tickwire-live-storm (checkpoint)", "delete tickwire-live-storm", "forget parkinson"];
    assert_eq!(sandbox.cluster.take_changes(), changes);
    let left: Vec<_> = sandbox.running().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["somebody's", "tickwire-simulated-calm", "tickwire-live-calm"]);
    assert_eq!(sandbox.cluster.udfs().len(), 2);
}

#[tokio::test]
async fn jobs_beyond_the_first_page_of_the_list_are_found() {
    let sandbox = Sandbox::new().await;
    for number in 0..120 {
        sandbox.cluster.add_pipeline(&format!("somebody's {number}"), "SELECT 1", "Running");
    }
    sandbox.deploy().await.unwrap();
    sandbox.cluster.take_changes();
    sandbox.deploy().await.unwrap();
    assert!(sandbox.cluster.take_changes().is_empty());
}

#[tokio::test]
async fn two_pipelines_of_a_name_become_one() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    let query = sandbox.cluster.pipelines()[0].query.clone();
    sandbox.cluster.add_pipeline("tickwire-live-calm", &query, "Running");
    sandbox.deploy().await.unwrap();
    assert_eq!(sandbox.running().len(), 2);
}

#[tokio::test]
async fn a_dry_run_names_each_step_and_takes_none() {
    let sandbox = Sandbox::new().await;
    let steps = [
        "+ function parkinson",
        "+ function realized",
        "+ pipeline tickwire-live-calm",
        "+ pipeline tickwire-live-storm",
    ];
    assert_eq!(sandbox.difference().await, steps);
    assert!(sandbox.cluster.take_changes().is_empty());
}
