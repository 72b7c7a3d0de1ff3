//! What a cluster should run: functions, and pipelines with their text.

use model::AssetClass;
use sha2::{Digest, Sha256};

use crate::deployer::error::DeployError;
use crate::deployer::render::{Rendered, Settings, Topics, topics_of, words_of};
use crate::deployer::sources::{File, Sources};

/// A function of `udfs/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, that of its file.
    pub name: String,
    /// Its source.
    pub definition: String,
}

/// A job of `sql/` as the cluster gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The job, over another class than stocks with the class, as `volatility-crypto`.
    pub job: String,
    /// The name on the cluster.
    pub name: String,
    /// Its text.
    pub text: Rendered,
    /// Tasks of every operator.
    pub parallelism: u32,
    /// The functions that it calls.
    pub functions: Vec<Function>,
}

/// Everything that a cluster should run.
#[derive(Clone, Debug)]
pub struct Desired {
    /// All functions.
    pub functions: Vec<Function>,
    /// All pipelines.
    pub pipelines: Vec<Pipeline>,
    /// What the names of all pipelines begin with; others are not ours.
    pub prefix: String,
}

impl Desired {
    /// What the folders say under these settings.
    ///
    /// # Errors
    /// When a file cannot be read as statements, or the parallelism would lose rows.
    pub fn of(sources: &Sources, settings: &Settings) -> Result<Desired, DeployError> {
        let &Settings { parallelism, partitions, .. } = settings;
        if parallelism < partitions {
            return Err(DeployError::Parallelism { parallelism, partitions });
        }
        let functions: Vec<_> = sources
            .functions
            .iter()
            .map(|file| Function { name: file.name.clone(), definition: file.text.clone() })
            .collect();
        let kind = settings.topic_suffix.trim_start_matches('-');
        let prefix = format!("tickwire-{}-", if kind.is_empty() { "live" } else { kind });
        let mut results = Vec::new();
        for job in &sources.jobs {
            results.extend(topics_of(job)?);
        }
        let pipeline = |class: AssetClass, job: &File| -> Result<Pipeline, DeployError> {
            let topics = Topics { class, results: &results };
            let name = class.of_class(&job.name);
            let words = words_of(job)?;
            let called: Vec<_> =
                functions.iter().filter(|function| words.contains(&function.name)).cloned().collect();
            // The functions are part of the text: with a changed one, the pipeline is another.
            let headline = format!(
                "Tickwire's job {name}, {parallelism} tasks, functions {}; change sql/{}.sql, not this.",
                fingerprint(&called),
                job.name
            );
            Ok(Pipeline {
                name: format!("{prefix}{name}"),
                job: name,
                text: Rendered::of(&headline, &sources.tables, job, &topics, settings)?,
                parallelism,
                functions: called,
            })
        };
        let mut pipelines = Vec::new();
        for (turn, &class) in settings.classes.iter().enumerate() {
            for job in &sources.jobs {
                if (Topics { class, results: &results }).concern(&sources.tables, job)? {
                    pipelines.push(pipeline(class, job)?);
                } else if turn == 0 {
                    // A job that reads no bars runs once, with the name and topics that it has.
                    pipelines.push(pipeline(AssetClass::Stocks, job)?);
                }
            }
        }
        Ok(Desired { functions, pipelines, prefix })
    }
}

fn fingerprint(functions: &[Function]) -> String {
    let mut hash = Sha256::new();
    for Function { name, definition } in functions {
        hash.update(name.len().to_le_bytes());
        hash.update(name);
        hash.update(definition.len().to_le_bytes());
        hash.update(definition);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
