//! `tickwire init`: what the distributed system needs before its first start.
//! Passwords and keys are made and put where each service finds its own, and
//! InfluxDB gets its buckets and tokens. A second run finds everything done; what
//! has been lost meanwhile is made again.

mod folder;
mod influxdb;
mod kafka;
mod keys;
mod passwords;

use crate::cli::InitArgs;
use crate::config::Config;
use folder::SecretsFolder;
use passwords::Passwords;

/// Makes what is missing.
pub async fn run(config: &Config, args: &InitArgs) -> anyhow::Result<()> {
    let folder = SecretsFolder::at(&args.secrets);
    let mut passwords = Passwords::read(&folder)?;
    keys::of_the_page(&folder, &mut passwords)?;
    keys::of_grafana(&folder, &mut passwords)?;
    keys::of_arroyo(&folder)?;
    if args.kafka_users {
        kafka::users(&folder)?;
    }
    let admin = influxdb::enter(config, &folder, &mut passwords).await?;
    let bucket = influxdb::keep_buckets(config, &admin).await?;
    influxdb::keep_tokens(config, &folder, &admin, &bucket).await?;
    say!("Everything is set up. The passwords stand in {}", folder.path(passwords::FILE).display())?;
    Ok(())
}
