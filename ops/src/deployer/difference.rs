//! What separates a cluster from what it should run, as steps in the order in
//! which they are safe.

use std::fmt;

use crate::deployer::arroyo::{ClusterFunction, ClusterJob, ListedPipeline};
use crate::deployer::desired::{Desired, Function, Pipeline};

/// One step of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A function is compiled and kept; with an id, in the place of that one.
    Register {
        /// The function.
        function: Function,
        /// The one that goes first.
        instead_of: Option<String>,
    },
    /// A pipeline that is gone from `sql/` is stopped and deleted.
    Remove {
        /// Its name on the cluster.
        name: String,
        /// Its id.
        id: String,
    },
    /// A pipeline is created.
    Create {
        /// The pipeline.
        pipeline: Pipeline,
    },
    /// A changed pipeline is stopped with a checkpoint, deleted and created anew.
    Replace {
        /// The pipeline.
        pipeline: Pipeline,
        /// The id of the one that goes.
        id: String,
    },
    /// A pipeline that has ended is started again from its checkpoint.
    Restart {
        /// The pipeline.
        pipeline: Pipeline,
        /// Its id.
        id: String,
        /// How it ended.
        state: String,
    },
    /// A pipeline is as it should be; that it runs is waited for.
    Keep {
        /// The pipeline.
        pipeline: Pipeline,
        /// Its id.
        id: String,
    },
    /// A function that is gone from `udfs/` is deleted.
    Forget {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
}

/// What separates a cluster from what it should run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The steps, in order. Functions come before the pipelines that call them.
    pub steps: Vec<Step>,
}

impl Difference {
    pub(crate) fn between(
        functions: &[ClusterFunction],
        pipelines: &[(ListedPipeline, Option<ClusterJob>)],
        desired: &Desired,
    ) -> Difference {
        let ours: Vec<_> =
            pipelines.iter().filter(|(found, _)| found.name.starts_with(&desired.prefix)).collect();
        let wanted = |name: &str| desired.pipelines.iter().any(|pipeline| pipeline.name == name);
        let mut steps: Vec<_> =
            desired.functions.iter().filter_map(|function| function_step(function, functions)).collect();
        let gone = ours.iter().filter(|(found, _)| !wanted(&found.name));
        steps.extend(gone.map(|(found, _)| Step::Remove { name: found.name.clone(), id: found.id.clone() }));
        for pipeline in &desired.pipelines {
            let mut found = ours.iter().filter(|(found, _)| found.name == pipeline.name);
            steps.push(match found.next() {
                None => Step::Create { pipeline: pipeline.clone() },
                Some((found, job)) => pipeline_step(pipeline, found, job.as_ref()),
            });
            // Two of a name would write every result twice.
            steps.extend(
                found.map(|(extra, _)| Step::Remove { name: extra.name.clone(), id: extra.id.clone() }),
            );
        }
        let known = |name: &str| desired.functions.iter().any(|function| function.name == name);
        let gone = functions.iter().filter(|found| !known(&found.name));
        steps.extend(gone.map(|found| Step::Forget { name: found.name.clone(), id: found.id.clone() }));
        Difference { steps }
    }

    /// Whether the cluster already is as it should be.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Keep { .. }))
    }
}

fn function_step(function: &Function, found: &[ClusterFunction]) -> Option<Step> {
    match found.iter().find(|found| found.name == function.name) {
        None => Some(Step::Register { function: function.clone(), instead_of: None }),
        Some(found) if found.definition == function.definition && found.dylib_url.is_some() => None,
        Some(found) => {
            Some(Step::Register { function: function.clone(), instead_of: Some(found.id.clone()) })
        }
    }
}

fn pipeline_step(pipeline: &Pipeline, found: &ListedPipeline, job: Option<&ClusterJob>) -> Step {
    let (pipeline, id) = (pipeline.clone(), found.id.clone());
    match job {
        _ if found.query != pipeline.text.text => Step::Replace { pipeline, id },
        Some(job) if job.has_ended() => Step::Restart { pipeline, id, state: job.state.clone() },
        _ => Step::Keep { pipeline, id },
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Register { function, instead_of: None } => write!(f, "+ function {}", function.name),
            Step::Register { function, instead_of: Some(_) } => {
                write!(f, "~ function {} (udfs/{}.rs changed)", function.name, function.name)
            }
            Step::Remove { name, .. } => write!(f, "- pipeline {name}"),
            Step::Create { pipeline } => write!(f, "+ pipeline {}", pipeline.name),
            Step::Replace { pipeline, .. } => {
                write!(f, "~ pipeline {} (its SQL, functions or parallelism changed)", pipeline.name)
            }
            Step::Restart { pipeline, state, .. } => {
                write!(f, "> pipeline {} (it is {state}; started again)", pipeline.name)
            }
            Step::Keep { pipeline, .. } => write!(f, "= pipeline {}", pipeline.name),
            Step::Forget { name, .. } => write!(f, "- function {name}"),
        }
    }
}
