//! Records that something else puts onto the topics: garbage, and what is of the right
//! form and states an impossible time or version.

use control::foreign::CONTROL;
use log::{Append, Log, each_record};
use model::Topic;
use model::topic::{
    ALERT_STATE, ALERTS, DEAD_LETTERS, GAPS, LEASES, LOG_FORMAT, NEWS_ARTICLES, SERVICE_STATUS, STOCK_PRICES,
};
use serde_json::{Value as Json, json};

use crate::account::JOBS;
use crate::embedded::Draws;

/// 2198-12-31: the last year of which anything is believed at all.
const FAR: i64 = 7_226_582_400_000;
/// What a number must be at least to be taken for a time.
const TIMES: i64 = 1_000_000_000_000;
/// So many records make a flood: more than who resumes from the end of a topic looks at once.
const FLOOD: usize = 150;
/// Longer than a dead letter that is kept whole.
const LONG: usize = 300_000;

/// A record that does not belong there, and a word that it holds.
#[derive(Clone, Debug)]
pub struct Poison {
    pub topic: Topic,
    pub word: String,
    /// Whether it may be gone before anybody reads it: of a compacted topic another
    /// record of its key takes its place.
    pub may_be_gone: bool,
}

impl Poison {
    /// Whether it must be in a dead letter.
    pub fn is_set_aside(&self) -> bool {
        is_read_by_sink(&self.topic) && !self.may_be_gone
    }
}

/// Whether the sink reads a topic, and so keeps what does not belong there as dead
/// letters. Who reads one of the others passes over it, and only says so.
fn is_read_by_sink(topic: &Topic) -> bool {
    let jobs = JOBS.iter().any(|job| topic.measurement() == *job);
    jobs || [STOCK_PRICES, NEWS_ARTICLES, SERVICE_STATUS, GAPS, ALERTS].contains(topic)
        || CONTROL.contains(topic)
}

/// Poison for every topic of `log`, chosen by `draws`; `next` numbers the words.
pub async fn poison(log: &dyn Log, draws: &mut Draws, next: &mut usize) -> Vec<(Poison, Append)> {
    let mut all = Vec::new();
    for topic in topics() {
        // Onto each partition that holds something, else where the key leads.
        let held = log.extents(&topic).await.unwrap();
        let held: Vec<Option<u32>> = held.iter().map(|extent| Some(extent.partition)).collect();
        for partition in if held.is_empty() { vec![None] } else { held } {
            let last = last_record(log, &topic, partition).await;
            let flood = [STOCK_PRICES, NEWS_ARTICLES].contains(&topic) && draws.chance(0.25);
            let count = if flood { FLOOD } else { 1 + draws.below(3) };
            for _ in 0..count {
                *next += 1;
                let word = format!("poison-{next}.");
                // Under the key of a real record, or one of its own.
                let (is_lie, is_of_key) = (draws.chance(0.4), draws.chance(0.5));
                let (key, value) = match &last {
                    Some((key, value)) if is_lie && is_read_by_sink(&topic) => {
                        (key.clone(), lie(value, &word, draws))
                    }
                    Some((key, _)) if is_of_key => (key.clone(), garbage(&word, draws)),
                    _ => (word.clone(), garbage(&word, draws)),
                };
                let may_be_gone = topic.is_compacted() && key != word;
                let append = Append { topic: topic.clone(), key, value: value.into(), partition };
                all.push((Poison { topic: topic.clone(), word, may_be_gone }, append));
            }
        }
    }
    all
}

/// Every topic that there is, and those that only some runs have.
fn topics() -> Vec<Topic> {
    let jobs = JOBS.iter().map(|job| Topic::new(job.replace('_', "-")));
    let others = [
        STOCK_PRICES,
        NEWS_ARTICLES,
        SERVICE_STATUS,
        ALERTS,
        ALERT_STATE,
        GAPS,
        DEAD_LETTERS,
        LEASES,
        LOG_FORMAT,
    ];
    jobs.chain(others).chain(CONTROL).collect()
}

/// The key and the value of the last record of events that is an object and none of ours;
/// of a heartbeat where there are no events.
async fn last_record(log: &dyn Log, topic: &Topic, partition: Option<u32>) -> Option<(String, Json)> {
    let mut last = None;
    let is_heartbeat = |(key, _): &(String, Json)| key.starts_with('~');
    each_record(log, topic, |record| {
        let value = serde_json::from_slice::<Json>(&record.value).ok();
        if let Some(value) = value.filter(|value| value.is_object() && value.get("poison").is_none())
            && Some(record.partition) == partition
            && (!record.key.starts_with('~') || last.as_ref().is_none_or(is_heartbeat))
        {
            last = Some((record.key, value));
        }
    })
    .await
    .unwrap();
    last
}

/// The record again, with times or a version that cannot be.
fn lie(value: &Json, word: &str, draws: &mut Draws) -> Vec<u8> {
    let mut value = value.clone();
    let is_status = value.get("service").is_some();
    let at = if !is_status && draws.chance(0.5) { FAR } else { i64::MAX };
    state(&mut value, at, word);
    value.to_string().into_bytes()
}

/// Puts the times of a record so far on that the greatest is `at`, or all of them to the
/// greatest number, and a version to one that nobody can have reached.
fn state(value: &mut Json, at: i64, word: &str) {
    let is_time = |number: &i64| *number >= TIMES;
    let fields = value.as_object_mut().unwrap();
    let greatest = fields.values().filter_map(Json::as_i64).filter(is_time).max().unwrap_or_default();
    for (name, field) in fields.iter_mut() {
        if name == "version" {
            *field = u64::MAX.into();
        } else if let Some(time) = field.as_i64().filter(is_time) {
            *field = if at == i64::MAX { at } else { time + (at - greatest) }.into();
        }
    }
    value["poison"] = word.into();
}

fn garbage(word: &str, draws: &mut Draws) -> Vec<u8> {
    match draws.below(6) {
        0 => [b"\xff\xfe\x00\x80", word.as_bytes(), b"\xc3\x28"].concat(),
        1 => format!("no JSON at all {word}").into(),
        2 => format!(r#"{{"symbol": "AAPL", "poison": "{word}"#).into(),
        3 => json!({ "poison": word, "symbol": 7, "version": "one" }).to_string().into(),
        4 => format!("{word}{}", "x".repeat(LONG)).into(),
        _ => format!("{}\"{word}\"", "[".repeat(20_000)).into(),
    }
}

/// On each topic of data the last record again, of the last year that anything is believed of.
pub async fn far_ahead(log: &dyn Log) -> Vec<(Poison, Append)> {
    let mut all = Vec::new();
    for topic in [STOCK_PRICES, NEWS_ARTICLES] {
        if let Some((key, mut value)) = last_record(log, &topic, Some(0)).await {
            let word = format!("poison-of-{topic}.");
            state(&mut value, FAR, &word);
            let append =
                Append { topic: topic.clone(), key, value: value.to_string().into(), partition: Some(0) };
            all.push((Poison { topic, word, may_be_gone: false }, append));
        }
    }
    all
}
