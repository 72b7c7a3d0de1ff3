//! Previews: the recent articles that a search term matches. The editor of the watchlist
//! appends a question to the log, and the service that has the API key appends the answer,
//! within its quota.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use log::{Append, Log, LogError, SharedLog};
use model::time::{self, Millis, SECOND};
use model::topic::{PREVIEW_QUESTIONS, PREVIEWS, Topic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The age in ms (wall clock) after which a question is not answered any more.
pub const STALE: Millis = 20 * SECOND;

/// The longest wait for new records, about.
const LOOK: Duration = Duration::from_millis(150);
/// The shortest time between two reads of a busy log.
const PAUSE: Duration = Duration::from_millis(50);

/// A question, on the topic `preview-questions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Identifies the question; the answer has the same `id`.
    pub id: String,
    /// When it was asked, by the wall clock (ms).
    pub at: Millis,
    /// The search term, as in an entry of the watchlist.
    pub search_term: String,
    /// The sections; empty means those that an entry without sections gets.
    #[serde(default)]
    pub sections: Vec<String>,
}

/// The answer, on the topic `previews`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The `id` of the question.
    pub id: String,
    /// When it was answered, by the wall clock (ms).
    pub at: Millis,
    /// The number of articles that match in the searched period.
    pub total: u64,
    /// The newest of these articles.
    pub headlines: Vec<Headline>,
    /// Why the question is not answered: the quota is used up, or the source refuses the term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// One headline of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headline {
    /// Plain text from outside, to be escaped where it is shown.
    pub headline: String,
    /// The address of the article.
    pub url: String,
    /// The name of the section for display.
    #[serde(default)]
    pub section_name: Option<String>,
    /// When it was published (event time, ms).
    pub published_timestamp: Millis,
}

/// Asks a question and waits for the answer; `None` if no answer comes within `patience`.
///
/// # Errors
/// If the log fails.
pub async fn ask(
    log: &dyn Log,
    search_term: &str,
    sections: &[String],
    patience: Duration,
) -> Result<Option<Preview>, LogError> {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let at = time::now();
    let id = format!("{at}-{}-{}", std::process::id(), ASKED.fetch_add(1, Ordering::Relaxed));
    let mut answers = Tail::at_the_end(log, PREVIEWS).await?;
    let (search_term, sections) = (search_term.to_owned(), sections.to_vec());
    let question = Question { id: id.clone(), at, search_term, sections };
    log.append(vec![Append::json(PREVIEW_QUESTIONS, &id, &question)]).await?;
    let answered = async {
        loop {
            let found = answers.read_on::<Preview>(log).await?;
            if let Some(answer) = found.into_iter().find(|answer| answer.id == id) {
                return Ok(answer);
            }
            log.appended(LOOK).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(patience, answered).await.ok().transpose()
}

/// Receives the questions that are asked from now on, from a task that ends with the receiver.
///
/// # Errors
/// If the log cannot be read at the start; later failures are retried.
pub async fn questions(log: SharedLog) -> Result<mpsc::Receiver<Question>, LogError> {
    const WAITING: usize = 16;
    let mut tail = Tail::at_the_end(&*log, PREVIEW_QUESTIONS).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            match tail.read_on::<Question>(&*log).await {
                Ok(asked) => {
                    for question in
                        asked.into_iter().filter(|asked| time::now().saturating_sub(asked.at) <= STALE)
                    {
                        // If the queue is full, the question is dropped and has to be asked
                        // again.
                        drop(sender.try_send(question));
                    }
                }
                Err(error) => tracing::debug!(%error, "questions for previews cannot be read at the moment"),
            }
            tokio::select! {
                () = sender.closed() => return,
                () = async { log.appended(LOOK).await; tokio::time::sleep(PAUSE).await } => {}
            }
        }
    });
    Ok(receiver)
}

impl Preview {
    /// An answer that refuses the question, with the reason.
    pub fn refusal(question: &Question, why: impl Into<String>) -> Preview {
        let (id, at) = (question.id.clone(), time::now());
        Preview { id, at, total: 0, headlines: Vec::new(), refused: Some(why.into()) }
    }

    /// The record of the answer.
    pub fn to_append(&self) -> Append {
        Append::json(PREVIEWS, &self.id, self)
    }
}

/// Reads the records of a topic that are appended after a point in time.
struct Tail {
    topic: Topic,
    next: BTreeMap<u32, u64>,
}

impl Tail {
    async fn at_the_end(log: &dyn Log, topic: Topic) -> Result<Tail, LogError> {
        let extents = log.extents(&topic).await?;
        Ok(Tail { topic, next: extents.iter().map(|extent| (extent.partition, extent.next)).collect() })
    }

    async fn read_on<T: DeserializeOwned>(&mut self, log: &dyn Log) -> Result<Vec<T>, LogError> {
        const AT_ONCE: usize = 64;
        let mut found = Vec::new();
        for extent in log.extents(&self.topic).await? {
            let next = self.next.entry(extent.partition).or_insert(0);
            while *next < extent.next {
                let records = log.read(&self.topic, extent.partition, *next, AT_ONCE).await?;
                *next = records.last().map_or(extent.next, |last| last.offset + 1);
                found.extend(records.iter().filter_map(|record| serde_json::from_slice(&record.value).ok()));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::EmbeddedLog;
    use std::sync::Arc;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn log() -> (tempfile::TempDir, Arc<EmbeddedLog>) {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 3).unwrap());
        (folder, log)
    }

    #[tokio::test]
    async fn a_question_gets_its_own_answer() {
        let (_folder, log) = log();
        let mut asked = questions(log.clone()).await.unwrap();
        let answering = tokio::spawn({
            let log = log.clone();
            async move {
                for _ in 0..2 {
                    let question = asked.recv().await.unwrap();
                    let refusal = Preview::refusal(&question, format!("no {}", question.search_term));
                    log.append(vec![refusal.to_append()]).await.unwrap();
                }
            }
        });
        let business = ["business".to_owned()];
        let (one, other) =
            tokio::join!(ask(&*log, "apple", &[], PATIENCE), ask(&*log, "rates", &business, PATIENCE));
        assert_eq!(one.unwrap().unwrap().refused.as_deref(), Some("no apple"));
        assert_eq!(other.unwrap().unwrap().refused.as_deref(), Some("no rates"));
        answering.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_answers_where_nobody_is() {
        let (_folder, log) = log();
        assert_eq!(ask(&*log, "apple", &[], Duration::ZERO).await.unwrap(), None);
    }
}
