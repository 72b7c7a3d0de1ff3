//! Jobs in a folder: a new one gets its topic and its points with no new build.

use std::path::Path;

use crate::harness::{Stack, sample, sample_bars};
use crate::process::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_job_in_the_folder_gets_its_topic_and_its_points() {
    let Some(mut stack) = Stack::of(&sample_bars(9), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let folder = stack.path("sql");
    std::fs::create_dir(&folder).unwrap();
    for file in Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").read_dir().unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    let other = sample_of_sql("volatility").replace("volatility", "calm").replace("30 minutes", "10 minutes");
    std::fs::write(folder.join("calm.sql"), other).unwrap();
    stack.set("TICKWIRE_SQL", Some(&folder.display().to_string()));
    let services = stack.start_all();
    let runtime = tokio::runtime::Handle::current();
    let stored = |job| tokio::task::block_in_place(|| runtime.block_on(stack.stored(job)));
    stack.holds_what_is_computed().await;
    let calm = wait_for(
        "points of the new job",
        || Some(stored("calm")).filter(|calm| !calm.is_empty()),
        || services["sink"].lines().join("\n"),
    );
    assert!(calm.iter().all(|row| row["bars"].parse::<f64>().unwrap() <= 10.0), "of windows of ten minutes");
    assert!(stack.out("topics").contains("\"calm\""));
}

fn sample_of_sql(job: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(job).with_extension("sql");
    std::fs::read_to_string(file).unwrap()
}
