//! What the compose program makes of the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The variable that names the compose program.
const PROGRAM: &str = "TEST_COMPOSE";

/// Some of the files, together.
pub struct Setup {
    files: Vec<String>,
}

/// What the files come to, all profiles included.
pub struct Stack {
    pub config: Value,
}

/// One service.
pub struct Service {
    pub name: String,
    config: Value,
}

impl Setup {
    pub fn of(files: &[&str]) -> Setup {
        Setup { files: files.iter().map(|&file| file.to_owned()).collect() }
    }

    /// A file at the top of the repository.
    pub fn text(name: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    }

    /// The files as the program reads them, or nothing where there is no program.
    pub fn read(&self) -> Option<Stack> {
        let out = self.compose(&["--profile", "*", "config", "--format", "json"])?;
        Some(Stack { config: serde_json::from_str(&out).unwrap() })
    }

    /// The services that a plain `up` starts.
    pub fn started(&self) -> Option<BTreeSet<String>> {
        Some(self.compose(&["config", "--services"])?.lines().map(str::to_owned).collect())
    }

    fn compose(&self, arguments: &[&str]) -> Option<String> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            eprintln!("SKIPPED: {PROGRAM} does not name the compose program (.ci/compose builds it)");
            return None;
        };
        // Keys that are only files to mount; what they hold is not read here.
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let files = self.files.iter().flat_map(|file| ["--file", file]);
        let output = Command::new(program)
            .args(files)
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("COMPOSE_FILE")
            .env_remove("COMPOSE_PROFILES")
            .env("POLYGON_API_KEY_FILE", key)
            .env("GUARDIAN_API_KEY_FILE", key)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {errors}", self.files);
        assert!(!errors.contains("level=warning"), "{:?} is not clean: {errors}", self.files);
        Some(String::from_utf8(output.stdout).unwrap())
    }
}

impl Stack {
    pub fn services(&self) -> Vec<Service> {
        let services = self.config["services"].as_object().unwrap();
        services.iter().map(|(name, config)| Service { name: name.clone(), config: config.clone() }).collect()
    }

    /// Whether containers in this network can reach one another.
    pub fn connects(&self, network: &str) -> bool {
        self.config["networks"][network]["driver_opts"]["com.docker.network.bridge.enable_icc"] != "false"
    }

    /// Whether this network has a way out to the world.
    pub fn leads_out(&self, network: &str) -> bool {
        self.config["networks"][network]["internal"] != true
    }

    pub fn service(&self, name: &str) -> Service {
        self.services().into_iter().find(|service| service.name == name).unwrap()
    }
}

impl Service {
    pub fn value(&self, key: &str) -> &Value {
        &self.config[key]
    }

    pub fn text(&self, key: &str) -> String {
        self.config[key].as_str().unwrap_or_default().to_owned()
    }

    pub fn list(&self, key: &str) -> Vec<Value> {
        self.config[key].as_array().cloned().unwrap_or_default()
    }

    pub fn texts(&self, key: &str) -> Vec<String> {
        self.list(key).iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    }

    pub fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.config["environment"].as_object().cloned().unwrap_or_default();
        pairs.into_iter().map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned())).collect()
    }

    /// Whether it runs our own program.
    pub fn is_ours(&self) -> bool {
        self.text("image").starts_with("tickwire:")
    }

    /// Whether it does its work and ends.
    pub fn ends(&self) -> bool {
        self.text("restart") == "on-failure"
    }

    /// Whether a plain start starts it.
    pub fn starts(&self) -> bool {
        self.list("profiles").is_empty()
    }

    pub fn has_healthcheck(&self) -> bool {
        !self.config["healthcheck"]["test"].is_null()
    }

    /// Bytes.
    pub fn memory(&self) -> u64 {
        match &self.config["mem_limit"] {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_u64().unwrap_or(0),
        }
    }

    pub fn networks(&self) -> Vec<String> {
        self.config["networks"].as_object().map(|found| found.keys().cloned().collect()).unwrap_or_default()
    }

    pub fn depends_on(&self) -> Vec<(String, String)> {
        let needed = self.config["depends_on"].as_object().cloned().unwrap_or_default();
        needed.into_iter().map(|(name, how)| (name, how["condition"].as_str().unwrap().to_owned())).collect()
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
