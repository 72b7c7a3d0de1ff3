//! InfluxDB: who enters it, its buckets, and a token for each service.

use anyhow::{Context, bail};
use net::Secret;
use store::{BucketToken, FirstUser, InfluxAdmin, Rights, SetupError};

use super::folder::SecretsFolder;
use super::passwords::{FILE, INFLUXDB, Passwords, new_password};
use crate::config::{Config, Influxdb};
use crate::data_folder::{LIVE, SIMULATED};

/// The token that may make buckets and tokens.
const ADMIN_TOKEN: &str = "admin/influxdb-token";
/// The first user.
const ADMIN: &str = "admin";

/// A service and what it may do with its bucket.
struct Holder {
    service: &'static str,
    rights: Rights,
}

const HOLDERS: [Holder; 3] = [
    Holder { service: "sink", rights: Rights::ReadAndWrite },
    Holder { service: "web", rights: Rights::Read },
    Holder { service: "grafana", rights: Rights::Read },
];

/// Enters InfluxDB: with the token of the settings or the one kept here, else as
/// its first user.
pub async fn enter(
    config: &Config,
    folder: &SecretsFolder,
    passwords: &mut Passwords,
) -> anyhow::Result<InfluxAdmin> {
    let Influxdb { url, org, token, .. } = &config.influxdb;
    if let Some(token) = token {
        let entered = InfluxAdmin::enter(url, org, token.clone()).await;
        return entered.context("InfluxDB was to be entered with the token of influxdb.token, which must be one that may make buckets and tokens");
    }
    let token = if FirstUser::may_set_up(url).await? {
        let user = first_user(config, folder, passwords)?;
        let token = user.set_up(&config.influxdb.bucket, config.influxdb.retention).await?;
        // What was made is made, whether or not anybody reads so.
        let _ = say!("InfluxDB at {url} was new and has been set up.");
        folder.keep_private(ADMIN_TOKEN, token.expose())?;
        token
    } else if let Some(kept) = folder.read(ADMIN_TOKEN)? {
        kept
    } else if passwords.known(INFLUXDB).is_some() {
        let token = first_user(config, folder, passwords)?.sign_in().await?;
        folder.keep_private(ADMIN_TOKEN, token.expose())?;
        token
    } else {
        bail!(
            "InfluxDB at {url} has been set up before, and neither {} nor {} is there: put one of them back, or set INFLUXDB_TOKEN to a token that may make buckets and tokens",
            folder.path(ADMIN_TOKEN).display(),
            folder.path(FILE).display()
        )
    };
    let entered = InfluxAdmin::enter(url, org, token).await;
    entered.map_err(|error| match error {
        SetupError::Denied { .. } => anyhow::Error::new(error).context(format!(
            "the token in {} does not hold: delete that file, and the next run gets another one for the password in {}",
            folder.path(ADMIN_TOKEN).display(),
            folder.path(FILE).display()
        )),
        error => error.into(),
    })
}

fn first_user(
    config: &Config,
    folder: &SecretsFolder,
    passwords: &mut Passwords,
) -> anyhow::Result<FirstUser> {
    let password = match passwords.known(INFLUXDB) {
        Some(known) => known.clone(),
        None => {
            let password = new_password()?;
            passwords.keep(folder, INFLUXDB, password.clone())?;
            password
        }
    };
    let Influxdb { url, org, .. } = config.influxdb.clone();
    Ok(FirstUser { url, org, name: ADMIN.to_owned(), password })
}

/// Makes the buckets of live and of simulated data, and of a replay that the
/// settings run; returns the id of the bucket of the run.
pub async fn keep_buckets(config: &Config, admin: &InfluxAdmin) -> anyhow::Result<String> {
    let run = config.run_name()?;
    let Influxdb { retention, .. } = config.influxdb;
    for other in [LIVE, SIMULATED].into_iter().filter(|other| *other != run) {
        admin.bucket(&config.influxdb.bucket_of(other), retention).await?;
    }
    Ok(admin.bucket(&config.influxdb.bucket_of(&run), retention).await?)
}

/// Gives every service a token for the bucket with this id, and takes others of
/// the same service away. A good one stays.
pub async fn keep_tokens(
    config: &Config,
    folder: &SecretsFolder,
    admin: &InfluxAdmin,
    bucket: &str,
) -> anyhow::Result<()> {
    for Holder { service, rights } in HOLDERS {
        let (file, name) = (format!("{service}/influxdb-token"), name_of(service, config));
        let note = format!("admin/{service}-influxdb-token-id");
        let known = match folder.read(&file)? {
            Some(held) => {
                let noted = folder.read(&note)?;
                let noted = noted.as_ref().and_then(|noted| id_in(noted.expose(), &held));
                let id = admin.id_of_token(&name, bucket, rights, &held, noted).await?;
                id.map(|id| BucketToken { token: held, id })
            }
            None => None,
        };
        let BucketToken { token, id } = match known {
            Some(known) => known,
            None => {
                let made = admin.new_token(&name, bucket, rights).await?;
                folder.keep(&file, &made.token)?;
                // What was made is made, whether or not anybody reads so.
                let _ = say!("{service} has a new token for InfluxDB.");
                made
            }
        };
        folder.keep_private(&note, &note_of(&id, &token))?;
        admin.remove_tokens_but(&name, &id).await?;
    }
    Ok(())
}

/// The id of a token with a hash of it, so that the note is taken for no other token.
fn note_of(id: &str, token: &Secret) -> String {
    format!("{id} {}\n", blake3::hash(token.expose().as_bytes()).to_hex())
}

/// The id in a note, if it is about this token.
fn id_in<'a>(note: &'a str, token: &Secret) -> Option<&'a str> {
    let (id, _) = note.split_once(' ')?;
    (note.trim_end() == note_of(id, token).trim_end()).then_some(id)
}

/// How InfluxDB lists a token. Two systems may share an organization.
fn name_of(service: &str, config: &Config) -> String {
    format!("tickwire {service}, bucket {}", config.influxdb.bucket)
}
