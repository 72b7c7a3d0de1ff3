//! What services show to each other and people to them, InfluxDB's tokens apart.
//! A password is written down for people before a service is told of it.

use net::Secret;
use web::PasswordHash;

use super::folder::SecretsFolder;
use super::passwords::{GRAFANA, Passwords, WEB, new_password};

const WEB_HASH: &str = "web/password-hash";
const GRAFANA_PASSWORD: &str = "grafana/admin-password";
const ARROYO_SETTINGS: &str = "arroyo/arroyo.toml";
const ARROYO_KEY: &str = "deployer/arroyo-api-key";

/// The password of the page, whose hash the web app gets. A hash that somebody
/// put there for a password of their own stays.
pub fn of_the_page(folder: &SecretsFolder, passwords: &mut Passwords) -> anyhow::Result<()> {
    let hash = folder.read(WEB_HASH)?;
    let password = match (passwords.known(WEB), hash) {
        (Some(_), Some(_)) => return Ok(()),
        (Some(known), None) => known.clone(),
        (None, _) => {
            let password = new_password()?;
            passwords.keep(folder, WEB, password.clone())?;
            password
        }
    };
    folder.keep(WEB_HASH, &Secret::new(PasswordHash::of(password.expose())?.expose()))
}

/// The password of Grafana's first user. Grafana takes it at its first start only,
/// so one that is there is never replaced.
pub fn of_grafana(folder: &SecretsFolder, passwords: &mut Passwords) -> anyhow::Result<()> {
    let password = match (folder.read(GRAFANA_PASSWORD)?, passwords.known(GRAFANA)) {
        (Some(told), known) if known == Some(&told) => return Ok(()),
        (Some(told), _) => return passwords.keep(folder, GRAFANA, told),
        (None, Some(known)) => known.clone(),
        (None, None) => {
            let password = new_password()?;
            passwords.keep(folder, GRAFANA, password.clone())?;
            password
        }
    };
    folder.keep(GRAFANA_PASSWORD, &password)
}

/// The key of Arroyo's API, for Arroyo and for the deployer.
pub fn of_arroyo(folder: &SecretsFolder) -> anyhow::Result<()> {
    let known = folder.read(ARROYO_KEY)?;
    let key = match &known {
        Some(key) => key.clone(),
        None => new_password()?,
    };
    let settings = format!("[api.auth-mode]\ntype = \"static-api-key\"\napi-key = \"{}\"\n", key.expose());
    if folder.read(ARROYO_SETTINGS)? != Some(Secret::new(&settings)) {
        folder.keep(ARROYO_SETTINGS, &Secret::new(&settings))?;
    }
    if known.is_none() {
        folder.keep(ARROYO_KEY, &key)?;
    }
    Ok(())
}
