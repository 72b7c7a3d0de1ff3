//! Changing a run's data: through the process that owns it, or directly while nobody does.

use model::service::Service;
use std::time::Duration;

use anyhow::{Context, bail};
use control::kept::{self, Conflict, Kept, List, PutError};
use control::replay::Replay;
use log::SharedLog;
use model::time::Millis;
use net::Secret;
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::run::Run;

/// How long an owner may take to say where it answers: it has just been started.
const STARTS_WITHIN: Duration = Duration::from_secs(5);
/// How long an owner may compute before nobody waits for it any more.
const COMPUTES_WITHIN: Duration = Duration::from_secs(3_600);
/// The longest answer of an owner: a list is a record of the log, which is no longer than
/// 8 MiB, and its text grows by escapes and spaces.
const LONGEST_ANSWER: usize = 32 << 20;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A change is made again from the newer list so many times when others change it as well.
const TRIES: usize = 10;

/// How a run's data is changed.
pub enum Way {
    /// By its owner's API.
    Owner(Api),
    /// Directly: over Kafka, or because nobody owns it, so that this process does, as
    /// long as this is kept.
    Direct { log: SharedLog, run: Box<Run> },
}

/// The API of a running `tickwire up`.
pub struct Api {
    url: String,
    token: Secret,
    client: reqwest::Client,
}

impl Way {
    /// Finds the owner of the run, else becomes it. Nobody owns a run on Kafka.
    ///
    /// # Errors
    /// When there is an owner that does not say where it answers, or the data
    /// cannot be opened.
    pub async fn to(mut run: Run) -> anyhow::Result<Way> {
        let Some(folder) = &mut run.folder else {
            return Ok(Way::Direct { log: run.log_to_read()?, run: Box::new(run) });
        };
        let until = tokio::time::Instant::now() + STARTS_WITHIN;
        loop {
            if folder.own_if_free()? {
                return Ok(Way::Direct { log: folder.log()?, run: Box::new(run) });
            }
            if let Some(url) = folder.owner_address() {
                return Ok(Way::Owner(Api { url, token: folder.owner_token()?, client: local_client()? }));
            }
            if tokio::time::Instant::now() > until {
                bail!(
                    "a tickwire runs on the data of `{}` and does not say where it answers: wait until it has started, or stop it and try again",
                    run.name
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// A list as it stands.
    pub async fn list<E: Kept>(&self) -> anyhow::Result<List<E>> {
        match self {
            Way::Direct { log, .. } => Ok(kept::read(&**log).await?),
            Way::Owner(api) => api.json(api.client.get(api.at(E::KEY))).await,
        }
    }

    /// Puts another list, made from version `read`.
    pub async fn put<E: Kept>(
        &self,
        read: u64,
        entries: Vec<E>,
    ) -> anyhow::Result<Result<List<E>, Conflict<E>>> {
        match self {
            Way::Direct { log, .. } => match kept::put(&**log, read, entries, "command").await {
                Ok(list) => Ok(Ok(list)),
                Err(PutError::Conflict(conflict)) => Ok(Err(conflict)),
                Err(error) => Err(error.into()),
            },
            Way::Owner(api) => api.put(read, &entries).await,
        }
    }

    /// Makes a change, again from the newer list where somebody else changes it
    /// as well; returns the list before and after.
    pub async fn change<E: Kept>(
        &self,
        change: impl Fn(&List<E>) -> anyhow::Result<List<E>>,
    ) -> anyhow::Result<(List<E>, List<E>)> {
        let mut before = self.list::<E>().await?;
        for _ in 0..TRIES {
            match self.put(before.version, change(&before)?.entries).await? {
                Ok(after) => return Ok((before, after)),
                Err(conflict) => before = conflict.current,
            }
        }
        bail!("{} is changed by others all the time: try again", E::NAME)
    }

    /// Puts what letters hold back onto its topics, all of it or nothing;
    /// returns how many events that were.
    pub async fn replay(&self, replays: Vec<Replay>) -> anyhow::Result<usize> {
        #[derive(Deserialize)]
        struct Replayed {
            events: usize,
        }
        match self {
            Way::Direct { log, .. } => Ok(control::replay::replay(&**log, replays).await?),
            Way::Owner(api) => {
                let body = serde_json::to_vec(&replays)?;
                let request = api.client.post(api.at("dead-letters/replay"));
                let request = request.header(CONTENT_TYPE, "application/json").body(body);
                Ok(api.json::<Replayed>(request).await?.events)
            }
        }
    }
}

impl Way {
    /// Computes results again whose points lie in [`from`, `to`); gives their number.
    pub async fn recompute(&self, from: Millis, to: Millis) -> anyhow::Result<u64> {
        #[derive(Deserialize)]
        struct Computed {
            rows: u64,
        }
        match self {
            Way::Direct { log, run } => {
                let alone = run.alone(log, Service::Sink.name()).await?;
                let (store, _folder) = run.store_to_write()?;
                if let Some(fence) = alone.log().fence() {
                    sink::take_over(&store, &fence).await?;
                }
                Ok(sink::recompute(&store, &run.jobs()?, from, to).await?)
            }
            Way::Owner(api) => {
                let body = serde_json::to_vec(&serde_json::json!({ "from": from, "to": to }))?;
                let request = api.client.post(api.at("recompute")).timeout(COMPUTES_WITHIN);
                let request = request.header(CONTENT_TYPE, "application/json").body(body);
                Ok(api.json::<Computed>(request).await?.rows)
            }
        }
    }
}

/// Asks addresses that are given as they are, whatever proxy the environment names.
pub fn local_client() -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("tickwire/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured((*net::tls()).clone())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(30));
    Ok(client.build()?)
}

/// The body of an answer that says why not.
#[derive(Deserialize)]
struct Refusal {
    error: Told,
}

/// The body of an answer that says that somebody else was faster.
#[derive(Deserialize)]
struct Overtaken<E> {
    current: List<E>,
}

#[derive(Deserialize)]
struct Told {
    message: String,
}

impl Api {
    fn at(&self, what: &str) -> String {
        format!("{}/api/v1/{what}", self.url)
    }

    async fn put<E: Kept>(&self, read: u64, entries: &[E]) -> anyhow::Result<Result<List<E>, Conflict<E>>> {
        let request = self
            .client
            .put(self.at(E::KEY))
            .header(IF_MATCH, format!("\"{read}\""))
            .header(CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(entries)?);
        let answer = self.send(request).await?;
        match answer.status() {
            StatusCode::OK => Ok(Ok(net::json(answer, LONGEST_ANSWER).await?)),
            StatusCode::PRECONDITION_FAILED => {
                let Overtaken { current } = net::json(answer, LONGEST_ANSWER).await?;
                Ok(Err(Conflict { read, current }))
            }
            _ => Err(refused(answer).await),
        }
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> anyhow::Result<T> {
        let answer = self.send(request).await?;
        match answer.status() {
            StatusCode::OK => Ok(net::json(answer, LONGEST_ANSWER).await?),
            _ => Err(refused(answer).await),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Response> {
        request
            .bearer_auth(self.token.expose())
            .send()
            .await
            .map_err(|error| error.without_url())
            .with_context(|| {
                format!(
                    "the running tickwire does not answer at {}: is it stopping? Try again once it has ended",
                    self.url
                )
            })
    }
}

async fn refused(answer: Response) -> anyhow::Error {
    let status = answer.status();
    match net::json::<Refusal>(answer, LONGEST_ANSWER).await {
        Ok(refusal) => anyhow::anyhow!(refusal.error.message),
        Err(_) => anyhow::anyhow!(
            "the running tickwire answered {status}: is it of another version? Stop it and start it again"
        ),
    }
}
