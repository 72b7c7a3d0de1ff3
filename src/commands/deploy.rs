//! `tickwire deploy`: brings an Arroyo cluster to what `sql/` and `udfs/` say.

use std::time::Duration;

use deployer::{Arroyo, Desired, Settings, Sources};
use engine::Job;

use super::services;
use crate::cli::DeployArgs;
use crate::config::{self, Config};

/// Deploys, or with `--dry-run` prints what that would change.
pub async fn run(config: &Config, args: DeployArgs) -> anyhow::Result<()> {
    let run = config.run_name()?;
    let settings = Settings {
        bootstrap_servers: config.kafka.bootstrap_servers.clone(),
        topic_suffix: config::topic_suffix(&run),
        parallelism: config.arroyo.parallelism,
        partitions: config.kafka.partitions,
    };
    let desired = Desired::of(&Sources::read(&args.sql, &args.udfs)?, &settings)?;
    if args.print {
        for pipeline in &desired.pipelines {
            println!("{}", pipeline.text.text);
        }
        return Ok(());
    }
    let arroyo = Arroyo::new(config.arroyo.url.clone(), config.arroyo.api_key.clone())?;
    let patience = Duration::from_secs(args.patience);
    if args.dry_run {
        let difference = deployer::difference(&arroyo, &desired, patience).await?;
        difference.steps.iter().for_each(|step| println!("{step}"));
        return Ok(());
    }
    // Arroyo makes no topics, and would make them without their settings.
    config.kafka_log(&run)?.make(&services::topics(&Job::in_folder(&args.sql)?)).await?;
    let outcome = deployer::deploy(&arroyo, &desired, patience).await?;
    outcome.steps.iter().for_each(|step| println!("{step}"));
    for job in &outcome.reread {
        println!(
            "{job} reads its topics from the earliest record again. What lies before that is still of the SQL before; `tickwire recompute` computes a span of it anew."
        );
    }
    Ok(())
}
