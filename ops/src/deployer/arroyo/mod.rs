//! Arroyo's REST API, as far as a deployment needs it.

mod types;

use std::time::{Duration, Instant};

use net::{HttpFailure, RetryPolicy, Secret};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::deployer::desired::{Desired, Function, Pipeline};
use crate::deployer::error::{DeployError, QueryError};

use types::{
    Checkpoint, Created, Diagnostic, FunctionVerdict, LocalFunction, NewFunction, NewPipeline, Page, Query,
    QueryVerdict, Refusal,
};
pub(crate) use types::{ClusterFunction, ClusterJob, ListedPipeline};

/// The group that our functions are in; others are not touched.
pub(crate) const PREFIX: &str = "tickwire";

/// The first function takes minutes, because its dependencies are compiled with it.
const COMPILING: Duration = Duration::from_secs(15 * 60);

/// How often a checkpoint is taken.
const CHECKPOINT_MICROS: u64 = 5_000_000;

/// How long between two looks at something that takes time.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// The largest page that the API gives.
const PAGE: usize = 50;

/// A cluster's API.
#[derive(Clone, Debug)]
pub struct Arroyo {
    url: Url,
    key: Option<Secret>,
    client: reqwest::Client,
}

impl Arroyo {
    /// The cluster whose API is served at `url`, such as `http://localhost:5115`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(url: Url, key: Option<Secret>) -> Result<Arroyo, DeployError> {
        let client = net::patient_http(COMPILING)
            .map_err(|source| DeployError::Unreachable { url: url.to_string(), source })?;
        Ok(Arroyo { url, key, client })
    }

    /// Waits until the API answers.
    pub(crate) async fn wait_for_health(&self, patience: Duration) -> Result<(), DeployError> {
        let since = Instant::now();
        let mut waits = RetryPolicy::new(LOOK, Duration::from_secs(5)).at_least(LOOK).waits();
        loop {
            let sent = self.request(Method::GET, "ping").timeout(Duration::from_secs(10)).send().await;
            let failure = match sent {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if is_about_the_key(answer.status()) => {
                    return Err(self.key_refused(answer.status()));
                }
                Ok(answer) => DeployError::Refused {
                    what: "say whether it is well".to_owned(),
                    status: answer.status().as_u16(),
                    said: "it may still be starting".to_owned(),
                },
                Err(error) => self.unreachable(error),
            };
            if since.elapsed() >= patience {
                return Err(failure);
            }
            if waits.failures() % 10 == 3 {
                tracing::info!(url = %self.url, "Arroyo does not answer yet; waiting for it.");
            }
            tokio::time::sleep(waits.endless()).await;
        }
    }

    /// Our functions.
    pub(crate) async fn functions(&self) -> Result<Vec<ClusterFunction>, DeployError> {
        let all: Page<ClusterFunction> =
            self.answer(self.request(Method::GET, "udfs"), "list its functions").await?;
        Ok(all.data.into_iter().filter(|function| function.prefix == PREFIX).collect())
    }

    /// All pipelines, ours and others', each with the state of its run.
    pub(crate) async fn pipelines(&self) -> Result<Vec<(ListedPipeline, Option<ClusterJob>)>, DeployError> {
        let mut with_jobs = Vec::new();
        for pipeline in self.listed().await? {
            let job = self.job(&pipeline.id).await?;
            with_jobs.push((pipeline, job));
        }
        Ok(with_jobs)
    }

    /// All pipelines, ours and others', without previews.
    pub(crate) async fn listed(&self) -> Result<Vec<ListedPipeline>, DeployError> {
        let mut listed: Vec<ListedPipeline> = Vec::new();
        loop {
            let mut request = self.request(Method::GET, "pipelines").query(&[("limit", PAGE)]);
            if let Some(last) = listed.last() {
                request = request.query(&[("starting_after", &last.id)]);
            }
            let page: Page<ListedPipeline> = self.answer(request, "list its pipelines").await?;
            let last = page.data.is_empty() || !page.has_more;
            listed.extend(page.data);
            if last {
                listed.retain(|pipeline| !pipeline.preview);
                return Ok(listed);
            }
        }
    }

    /// When the last checkpoint of a run was finished, in milliseconds of the cluster's
    /// clock; `None` where there is none yet.
    pub(crate) async fn last_checkpoint(
        &self,
        pipeline: &str,
        job: &ClusterJob,
    ) -> Result<Option<i64>, DeployError> {
        let path = format!("pipelines/{pipeline}/jobs/{}/checkpoints", job.id);
        let found: Page<Checkpoint> =
            self.answer(self.request(Method::GET, &path), "list the checkpoints of a pipeline").await?;
        let last = found.data.iter().filter_map(|checkpoint| checkpoint.finish_time).max();
        Ok(last.and_then(|micros| i64::try_from(micros / 1_000).ok()))
    }

    /// The run of a pipeline.
    pub(crate) async fn job(&self, pipeline: &str) -> Result<Option<ClusterJob>, DeployError> {
        let request = self.request(Method::GET, &format!("pipelines/{pipeline}/jobs"));
        let jobs: Page<ClusterJob> = self.answer(request, "say how a pipeline runs").await?;
        Ok(jobs.data.into_iter().next())
    }

    /// What the cluster has against a pipeline's text, beside the lines that it is about.
    pub(crate) async fn check_query(
        &self,
        pipeline: &Pipeline,
        desired: &Desired,
    ) -> Result<Vec<QueryError>, DeployError> {
        let functions = desired.functions.iter();
        let udfs =
            functions.map(|function| LocalFunction { definition: &function.definition, language: RUST });
        let query = Query { query: &pipeline.text.text, udfs: udfs.collect() };
        let request = self.request(Method::POST, "pipelines/validate_query").json(&query);
        let verdict: QueryVerdict = self.answer(request, &format!("check the job {}", pipeline.job)).await?;
        Ok(verdict.errors.into_iter().map(|error| placed(error, pipeline)).collect())
    }

    /// Compiles a function without keeping it.
    pub(crate) async fn check_function(&self, function: &Function) -> Result<(), DeployError> {
        let body = LocalFunction { definition: &function.definition, language: RUST };
        let request = self.request(Method::POST, "udfs/validate").json(&body);
        let verdict: FunctionVerdict =
            self.answer(request, &format!("compile the function {}", function.name)).await?;
        match verdict.errors.as_slice() {
            [] => Ok(()),
            errors => Err(DeployError::Function { function: function.name.clone(), said: errors.join("\n") }),
        }
    }

    /// Compiles and keeps a function.
    pub(crate) async fn register(&self, function: &Function) -> Result<(), DeployError> {
        let description = format!("udfs/{}.rs of Tickwire", function.name);
        let definition = function.definition.as_str();
        let body = NewFunction { prefix: PREFIX, language: RUST, definition, description: &description };
        let request = self.request(Method::POST, "udfs").json(&body);
        self.done(request, &format!("keep the function {}", function.name)).await
    }

    /// Deletes a function.
    pub(crate) async fn forget_function(&self, id: &str) -> Result<(), DeployError> {
        self.done(self.request(Method::DELETE, &format!("udfs/{id}")), "delete a function").await
    }

    /// Creates and starts a pipeline; gives its id.
    pub(crate) async fn create(&self, pipeline: &Pipeline) -> Result<String, DeployError> {
        let body = NewPipeline {
            name: &pipeline.name,
            query: &pipeline.text.text,
            parallelism: pipeline.parallelism,
            checkpoint_interval_micros: CHECKPOINT_MICROS,
        };
        let request = self.request(Method::POST, "pipelines").json(&body);
        let created: Created = self.answer(request, &format!("create the job {}", pipeline.job)).await?;
        Ok(created.id)
    }

    /// Asks a pipeline to stop: `checkpoint` or `immediate`.
    pub(crate) async fn stop(&self, id: &str, how: &str) -> Result<(), DeployError> {
        let body = serde_json::json!({ "stop": how });
        self.done(self.request(Method::PATCH, &format!("pipelines/{id}")).json(&body), "stop a pipeline")
            .await
    }

    /// Starts a pipeline that has ended, from its last checkpoint.
    pub(crate) async fn restart(&self, id: &str) -> Result<(), DeployError> {
        let body = serde_json::json!({ "force": false });
        let request = self.request(Method::POST, &format!("pipelines/{id}/restart")).json(&body);
        self.done(request, "restart a pipeline").await
    }

    /// Deletes a pipeline that has ended.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), DeployError> {
        self.done(self.request(Method::DELETE, &format!("pipelines/{id}")), "delete a pipeline").await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1/{path}", self.url.as_str().trim_end_matches('/'));
        let request = self.client.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        what: &str,
    ) -> Result<T, DeployError> {
        let answer = self.send(request, what).await?;
        net::json(answer, LONGEST_ANSWER)
            .await
            .map_err(|source| DeployError::Answer { what: what.to_owned(), source })
    }

    async fn done(&self, request: RequestBuilder, what: &str) -> Result<(), DeployError> {
        self.send(request, what).await.map(drop)
    }

    async fn send(&self, request: RequestBuilder, what: &str) -> Result<reqwest::Response, DeployError> {
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if is_about_the_key(status) {
            return Err(self.key_refused(status));
        }
        let text = net::text(answer, LONGEST_ANSWER).await.unwrap_or_default();
        let said = serde_json::from_str::<Refusal>(&text).map_or(text, |refusal| refusal.error);
        Err(DeployError::Refused { what: what.to_owned(), status: status.as_u16(), said })
    }

    fn unreachable(&self, error: reqwest::Error) -> DeployError {
        DeployError::Unreachable { url: self.url.to_string(), source: HttpFailure::from(error) }
    }

    fn key_refused(&self, status: StatusCode) -> DeployError {
        DeployError::Key { url: self.url.to_string(), status: status.as_u16() }
    }
}

/// The longest answer that is read, in bytes: a cluster of a thousand jobs says less.
const LONGEST_ANSWER: usize = 64 << 20;
const RUST: &str = "rust";

fn is_about_the_key(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn placed(error: Diagnostic, pipeline: &Pipeline) -> QueryError {
    let (said, line) = match error {
        Diagnostic::Placed { message, span } => (message, span.map(|span| span.start.line)),
        Diagnostic::Message(message) => (message, None),
    };
    match line.and_then(|line| pipeline.text.origin(line)) {
        Some((file, line, text)) => {
            QueryError { file: file.to_owned(), line: Some((line, text.to_owned())), said }
        }
        None => QueryError { file: format!("sql/{}.sql", pipeline.job), line: None, said },
    }
}
