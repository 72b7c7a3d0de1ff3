//! Kafka's users: a password for each service, and the file in which the brokers find
//! them all. They are known before the brokers start, so nothing has to be made in a
//! Kafka that lets nobody in yet.

use net::Secret;

use super::folder::SecretsFolder;
use super::passwords::new_password;

/// Whom the brokers and `deploy/kafka-rights` are; both may do anything.
const BROKER: &str = "kafka";
const ADMIN: &str = "admin";

/// The services that sign in, each with what `deploy/kafka-rights` allows it.
const USERS: [&str; 9] =
    ["producer", "news-watcher", "engine", "arroyo", "deployer", "sink", "alerts", "web", "kafka-ui"];

const BROKERS_LOGIN: &str = "kafka/jaas.conf";
const ADMIN_SETTINGS: &str = "kafka/admin.properties";
const UI_LOGIN: &str = "kafka-ui/jaas.conf";

const MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required";

/// Makes passwords that are missing, and the brokers' file of all of them. A password
/// that is there stays; brokers read their file when they start.
pub fn users(folder: &SecretsFolder) -> anyhow::Result<()> {
    let mut lines = String::new();
    let mut login = |user: &str| -> anyhow::Result<Secret> {
        let password = password_of(folder, user)?;
        lines.push_str(&format!("\n    user_{user}=\"{}\"", password.expose()));
        Ok(password)
    };
    let broker = login(BROKER)?;
    let admin = login(ADMIN)?;
    for user in USERS {
        let password = login(user)?;
        if user == "kafka-ui" {
            keep(folder, UI_LOGIN, &format!("KafkaClient {{\n    {};\n}};\n", signed_in(user, &password)))?;
        }
    }
    keep(
        folder,
        BROKERS_LOGIN,
        &format!("KafkaServer {{\n    {}{lines};\n}};\n", signed_in(BROKER, &broker)),
    )?;
    let settings = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={};\n",
        signed_in(ADMIN, &admin)
    );
    keep(folder, ADMIN_SETTINGS, &settings)
}

fn signed_in(user: &str, password: &Secret) -> String {
    format!("{MODULE} username=\"{user}\" password=\"{}\"", password.expose())
}

/// The password of a user: those that only brokers use lie beside the brokers' file.
fn password_of(folder: &SecretsFolder, user: &str) -> anyhow::Result<Secret> {
    let file = match user {
        BROKER | ADMIN => format!("kafka/{user}-password"),
        _ => format!("{user}/kafka-password"),
    };
    if let Some(known) = folder.read(&file)? {
        return Ok(known);
    }
    let password = new_password()?;
    folder.keep(&file, &password)?;
    // What was made is made, whether or not anybody reads so.
    let _ = say!("{user} has a new password for Kafka.");
    Ok(password)
}

fn keep(folder: &SecretsFolder, file: &str, text: &str) -> anyhow::Result<()> {
    let text = Secret::new(text);
    if folder.read(file)?.as_ref() != Some(&text) {
        folder.keep(file, &text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_a_password_of_its_own_and_keeps_it() {
        let path = tempfile::tempdir().unwrap();
        let folder = SecretsFolder::at(path.path());
        users(&folder).unwrap();
        let read = |file: &str| folder.read(file).unwrap().unwrap().expose().to_owned();
        let brokers = read(BROKERS_LOGIN);
        let mut seen = std::collections::BTreeSet::new();
        for user in USERS {
            let password = read(&format!("{user}/kafka-password"));
            assert!(brokers.contains(&format!("user_{user}=\"{password}\"")), "{user}");
            assert!(seen.insert(password), "{user} shares a password");
        }
        assert!(brokers.starts_with("KafkaServer {") && brokers.trim_end().ends_with("};"), "{brokers}");
        assert!(!brokers.contains(&read(UI_LOGIN)));
        users(&folder).unwrap();
        assert_eq!(read(BROKERS_LOGIN), brokers);
        // One that is lost is made again, and the brokers learn of it.
        std::fs::remove_file(folder.path("sink/kafka-password")).unwrap();
        users(&folder).unwrap();
        assert_ne!(read(BROKERS_LOGIN), brokers);
        assert!(read(BROKERS_LOGIN).contains(&read("sink/kafka-password")));
    }
}
