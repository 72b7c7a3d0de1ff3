//! `tickwire deploy`: brings an Arroyo cluster to what `sql/` and `udfs/` say, and with
//! `--watch` keeps it there.

mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Job;
use log::KafkaLog;
use ops::deployer::{Arroyo, Desired, KafkaLogin, Outcome, Settings, Sources};

use super::services;
use crate::cli::DeployArgs;
use crate::config::{self, Config};

pub use watch::run as watch;

/// Deploys, or with `--dry-run` prints what that would change.
pub async fn run(config: &Config, args: DeployArgs) -> anyhow::Result<()> {
    let desired = desired(config, &args)?;
    if args.print {
        for pipeline in &desired.pipelines {
            say!("{}", pipeline.text.text)?;
        }
        return Ok(());
    }
    if args.dry_run {
        let patience = Duration::from_secs(args.patience);
        let difference = ops::deployer::difference(&arroyo(config)?, &desired, patience).await?;
        for step in &difference.steps {
            say!("{step}")?;
        }
        return Ok(());
    }
    let log = config.kafka_log(&config.run_name()?)?;
    let outcome = deploy(config, &args, &desired, &log).await?;
    for step in &outcome.steps {
        say!("{step}")?;
    }
    for job in &outcome.reread {
        say!("{}", read_again(job))?;
    }
    Ok(())
}

/// What the folders and the settings say that a cluster is to run.
fn desired(config: &Config, args: &DeployArgs) -> anyhow::Result<Desired> {
    let settings = Settings {
        bootstrap_servers: config.kafka.bootstrap_servers.clone(),
        kafka_login: kafka_login(&config.kafka.client),
        topic_suffix: config::topic_suffix(&config.run_name()?),
        classes: config.classes()?,
        parallelism: config.arroyo.parallelism,
        partitions: config.kafka.partitions,
    };
    Ok(Desired::of(&Sources::read(&args.sql, &args.udfs)?, &settings)?)
}

fn arroyo(config: &Config) -> anyhow::Result<Arroyo> {
    Ok(Arroyo::new(config.arroyo.url.clone(), config.arroyo.api_key.clone())?)
}

async fn deploy(
    config: &Config,
    args: &DeployArgs,
    desired: &Desired,
    log: &KafkaLog,
) -> anyhow::Result<Outcome> {
    // Arroyo makes no topics, and would make them without their settings.
    let classes = config.classes()?;
    let jobs = Job::for_classes(&Job::in_folder(&args.sql)?, &classes);
    log.make(&services::topics_of(&classes, &jobs)).await?;
    Ok(ops::deployer::deploy(&arroyo(config)?, desired, Duration::from_secs(args.patience)).await?)
}

/// What is to be known of a job that was made anew.
fn read_again(job: &str) -> String {
    format!(
        "{job} reads its topics from the earliest record again. What lies before that is still of the SQL before; `tickwire recompute` computes a span of it anew."
    )
}

/// How Arroyo is to sign in to Kafka, where the services do by SASL: as they do, under a
/// name and password of its own.
fn kafka_login(client: &BTreeMap<String, String>) -> Option<KafkaLogin> {
    let protocol = client.get("security.protocol")?.to_uppercase();
    // The default of the client library.
    let mechanism = client.get("sasl.mechanism").or(client.get("sasl.mechanisms"));
    let mechanism = mechanism.map_or("GSSAPI", String::as_str).to_owned();
    protocol.starts_with("SASL").then_some(KafkaLogin { protocol, mechanism })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arroyo_signs_in_to_kafka_as_the_services_do() {
        let client = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        assert_eq!(kafka_login(&client(&[])), None);
        assert_eq!(kafka_login(&client(&[("security.protocol", "ssl")])), None);
        let login =
            kafka_login(&client(&[("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN")]));
        assert_eq!(login, Some(KafkaLogin { protocol: "SASL_PLAINTEXT".into(), mechanism: "PLAIN".into() }));
    }
}
