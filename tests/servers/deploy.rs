//! `tickwire deploy` as a process, against a server that plays Arroyo's API.

use std::path::Path;

use testkit::arroyo::Arroyo;

use crate::harness::{Stack, sample, sample_bars};

const KEY: &str = "key-4711-arroyo";

/// A stack whose jobs lie in a folder of its own, and a cluster for them.
async fn stack_and_cluster(fewer: usize) -> Option<(Stack, Arroyo, String)> {
    let mut stack = Stack::of(&sample_bars(fewer), &sample("articles.csv")).await?;
    let cluster = Arroyo::start(Some(KEY)).await;
    stack.set("TICKWIRE_ARROYO__URL", Some(cluster.url()));
    stack.set("TICKWIRE_ARROYO__API_KEY", Some(KEY));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir(stack.path("sql")).unwrap();
    for file in root.join("sql").read_dir().unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, stack.path("sql").join(file.file_name().unwrap())).unwrap();
    }
    let line = format!("deploy --sql {} --udfs {}", stack.path("sql").display(), root.join("udfs").display());
    Some((stack, cluster, line))
}

fn edit(stack: &Stack, job: &str, from: &str, to: &str) {
    let file = stack.path("sql").join(job).with_extension("sql");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_printed_done_once_and_again_only_for_what_changed() {
    let Some((stack, cluster, deploy)) = stack_and_cluster(10).await else { return };
    let steps = stack.out(&format!("{deploy} --dry-run"));
    assert!(steps.contains("+ function parkinson\n"), "{steps}");
    assert!(
        steps.lines().any(|step| step.starts_with("+ pipeline") && step.ends_with("-volatility")),
        "{steps}"
    );
    assert!(cluster.take_changes().is_empty(), "a dry run changes nothing");

    cluster.behave(|manner| (manner.starting, manner.slowness) = (2, 2));
    stack.out(&deploy);
    assert!(cluster.pipelines().len() >= 5);
    assert!(cluster.pipelines().iter().all(|pipeline| pipeline.state == "Running"));
    assert_eq!(cluster.most_starting_together(), 1);
    assert!(stack.out("topics").contains("\"news-reaction\""), "the topics of the jobs are there first");

    cluster.take_changes();
    let steps = stack.out(&deploy);
    assert!(cluster.take_changes().is_empty(), "{steps}");

    edit(&stack, "volatility", "30 minutes", "45 minutes");
    let steps = stack.out(&format!("{deploy} --dry-run"));
    let changed: Vec<_> = steps.lines().filter(|step| !step.starts_with('=')).collect();
    assert!(changed.len() == 1 && changed[0].contains("-volatility (its SQL"), "{steps}");
    let said = stack.out(&deploy);
    assert!(said.contains("volatility reads its topics from the earliest record again"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_job_is_shown_with_its_line_and_a_failed_one_is_started_by_the_next_deployment() {
    let Some((stack, cluster, deploy)) = stack_and_cluster(11).await else { return };
    cluster.behave(|manner| manner.refuses = Some("rogers_satchell(".into()));
    let said = stack.refused(&deploy);
    assert!(said.contains("sql/volatility.sql:") && said.contains("| "), "{said}");
    assert!(said.contains("rogers_satchell(start_timestamp"), "{said}");
    assert!(!said.contains(KEY) && cluster.pipelines().is_empty(), "{said}");

    cluster.behave(|manner| (manner.refuses, manner.fails) = (None, Some("signals".into())));
    let said = stack.refused(&deploy);
    assert!(said.contains("signals failed on the cluster"), "{said}");
    cluster.behave(|manner| manner.fails = None);
    stack.out(&deploy);
    assert!(cluster.pipelines().iter().all(|pipeline| pipeline.state == "Running"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployer_that_watches_keeps_jobs_running_and_says_how_they_fare() {
    let Some((stack, cluster, deploy)) = stack_and_cluster(12).await else { return };
    let mut deployer = stack.start(&format!("{deploy} --watch"));
    deployer.said("All jobs run, and are watched");
    let ready = deployer.answers(200, "deployer: working");
    assert!(!ready.contains(KEY), "{ready}");
    cluster.take_changes();
    let volatility = cluster.pipelines().into_iter().find(|found| found.name.ends_with("-volatility"));
    cluster.bring_into(&volatility.unwrap().name, "Failed");
    // A look or two later it is seen, told and started again.
    deployer.answers(503, "volatility is Failed (a worker panicked)");
    deployer.said("it is started again");
    assert!(cluster.take_changes().iter().any(|change| change.starts_with("restart ")));
    deployer.answers(200, "deployer: working");
    assert!(deployer.lines().iter().all(|line| !line.contains(KEY)), "no line holds the key");
    assert_eq!(deployer.stop(), Some(0));
}
