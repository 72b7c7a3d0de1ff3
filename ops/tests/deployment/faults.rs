//! Clusters that are slow, refuse, fail, or were left half-way.

use std::time::Duration;

use crate::harness::{Sandbox, job};

async fn refused(sandbox: &Sandbox) -> String {
    sandbox.deploy().await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_cluster_that_is_still_starting_is_waited_for() {
    let sandbox = Sandbox::new().await;
    sandbox.cluster.behave(|manner| manner.starting = 3);
    sandbox.deploy().await.unwrap();
    assert_eq!(sandbox.running().len(), 2);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_named_with_its_setting() {
    let sandbox = Sandbox::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = ops::deployer::Arroyo::new(format!("http://{free}").parse().unwrap(), None).unwrap();
    let error =
        ops::deployer::deploy(&nobody, &sandbox.desired().unwrap(), Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("arroyo.url"), "{error}");
}

#[tokio::test]
async fn the_key_is_sent_and_a_wrong_one_is_told_without_being_said() {
    let right = Sandbox::with_key(Some("open-sesame"), Some("open-sesame")).await;
    right.deploy().await.unwrap();
    for given in [None, Some("close-sesame")] {
        let wrong = Sandbox::with_key(Some("open-sesame"), given).await;
        let error = refused(&wrong).await;
        assert!(error.contains("arroyo.api_key") && !error.contains("sesame"), "{error}");
    }
}

#[tokio::test]
async fn refused_sql_is_shown_beside_its_line_and_nothing_is_changed() {
    let sandbox = Sandbox::new().await;
    sandbox.write("sql/storm.sql", &job("storm", "no_such_column", "stock_prices"));
    sandbox.cluster.behave(|manner| manner.refuses = Some("no_such_column".into()));
    let error = refused(&sandbox).await;
    assert!(error.contains("sql/storm.sql:9: Error during planning"), "{error}");
    assert!(error.contains("9 | SELECT no_such_column"), "{error}");
    assert!(sandbox.cluster.take_changes().is_empty());

    sandbox.cluster.behave(|manner| manner.bare_messages = true);
    let error = refused(&sandbox).await;
    assert!(error.contains("sql/storm.sql: Error during planning"), "{error}");
}

#[tokio::test]
async fn a_fault_in_a_source_table_is_placed_in_its_own_file() {
    let sandbox = Sandbox::new().await;
    sandbox.cluster.behave(|manner| manner.refuses = Some("symbol TEXT".into()));
    assert!(refused(&sandbox).await.contains("sql/tables.sql:2: "));
}

#[tokio::test]
async fn a_function_that_does_not_compile_leaves_the_one_that_is_there() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    let before = sandbox.cluster.udfs();
    sandbox.write("udfs/realized.rs", "fn realized(close: Vec<f64>) -> f64 { missing }");
    sandbox.cluster.behave(|manner| manner.does_not_compile = Some("realized".into()));
    let error = refused(&sandbox).await;
    assert!(error.contains("udfs/realized.rs") && error.contains("E0425"), "{error}");
    assert_eq!(sandbox.cluster.udfs(), before);

    let fresh = Sandbox::new().await;
    fresh.cluster.behave(|manner| manner.does_not_compile = Some("realized".into()));
    assert!(refused(&fresh).await.contains("E0425"));
}

#[tokio::test]
async fn a_job_that_fails_is_told_in_the_clusters_words_and_started_again_the_next_time() {
    let sandbox = Sandbox::new().await;
    sandbox.cluster.behave(|manner| manner.fails = Some("storm".into()));
    assert!(refused(&sandbox).await.contains("the job storm failed on the cluster: a worker panicked"));
    sandbox.cluster.behave(|manner| manner.fails = None);
    sandbox.cluster.take_changes();
    sandbox.deploy().await.unwrap();
    assert_eq!(sandbox.cluster.take_changes(), ["restart tickwire-live-storm"]);
}

#[tokio::test]
async fn a_deployment_that_broke_off_goes_on_where_it_was() {
    let sandbox = Sandbox::new().await;
    sandbox.cluster.behave(|manner| manner.creates_at_most = Some(1));
    assert!(refused(&sandbox).await.contains("create the job storm (status 500)"));
    sandbox.cluster.behave(|manner| manner.creates_at_most = None);
    sandbox.cluster.take_changes();
    sandbox.deploy().await.unwrap();
    assert_eq!(sandbox.cluster.take_changes(), ["create tickwire-live-storm"]);
}

#[tokio::test]
async fn a_changed_function_is_not_forgotten_when_the_jobs_were_not_reached() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    sandbox.write("udfs/parkinson.rs", "fn parkinson(high: Vec<f64>) -> f64 { 3.0 }");
    sandbox.cluster.behave(|manner| manner.fails = Some("storm".into()));
    refused(&sandbox).await;
    sandbox.cluster.behave(|manner| manner.fails = None);
    sandbox.deploy().await.unwrap();
    let query =
        sandbox.cluster.pipelines().into_iter().find(|found| found.name.ends_with("storm")).unwrap().query;
    assert_eq!(query, sandbox.desired().unwrap().pipelines[1].text.text);
}

#[tokio::test]
async fn a_stop_that_hangs_is_forced() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    sandbox.write("sql/storm.sql", &job("storm", "parkinson(low, high)", "stock_prices"));
    sandbox.cluster.behave(|manner| manner.checkpoints_hang = true);
    let short = Duration::from_millis(1);
    let outcome = ops::deployer::deploy(&sandbox.arroyo(), &sandbox.desired().unwrap(), short).await;
    let changes = sandbox.cluster.take_changes();
    assert!(changes.contains(&"stop tickwire-live-storm (immediate)".to_owned()), "{outcome:?} {changes:?}");
}

#[tokio::test]
async fn a_run_that_was_stopped_by_hand_is_started_again() {
    let sandbox = Sandbox::new().await;
    sandbox.deploy().await.unwrap();
    sandbox.cluster.bring_into("tickwire-live-calm", "Stopped");
    sandbox.cluster.take_changes();
    sandbox.deploy().await.unwrap();
    assert_eq!(sandbox.cluster.take_changes(), ["restart tickwire-live-calm"]);
}

#[tokio::test]
async fn fewer_tasks_than_partitions_are_refused_because_rows_would_be_lost() {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.partitions = 3;
    let error = refused(&sandbox).await;
    assert!(error.contains("arroyo.parallelism to 3"), "{error}");
}
