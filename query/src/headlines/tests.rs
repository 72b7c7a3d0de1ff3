//! Tests of the index over an embedded log and an embedded store.

use std::sync::Arc;

use log::{Append, EmbeddedLog, Log, Position};
use model::schema::{self, Value};
use model::{Article, Source, heartbeat};
use proptest::prelude::*;
use store::{Batch, EmbeddedStore, Measurement, Point};

use super::*;

struct Sandbox {
    log: Arc<EmbeddedLog>,
    store: SharedStore,
    headlines: Headlines,
    _folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 2).unwrap());
        let store: SharedStore = Arc::new(EmbeddedStore::open(&folder.path().join("store.db")).unwrap());
        let headlines = Headlines::new(log.clone(), Arc::clone(&store)).unwrap();
        Sandbox { log, store, headlines, _folder: folder }
    }

    async fn append(&self, articles: &[Article]) {
        let records = articles.iter().map(|article| Append::json(NEWS_ARTICLES, article.key(), article));
        self.log.append(records.collect()).await.unwrap();
    }

    async fn store(&self, articles: &[Article]) {
        let measurement = Measurement {
            name: NEWS_ARTICLES.measurement(),
            columns: schema::article_columns(),
            tags: vec!["symbol".into(), "search_term".into()],
            time: "published_timestamp".into(),
            version: None,
        };
        self.store.define(&measurement).await.unwrap();
        let point = |article: &Article| {
            let json = serde_json::to_value(article).unwrap();
            let value = |column: &schema::Column| Value::from_json(&json[&column.name], column.kind).unwrap();
            Point { nanos: 0, values: measurement.columns.iter().map(value).collect() }
        };
        let points = articles.iter().map(point).collect();
        let points = vec![(Arc::new(measurement.clone()), points)];
        self.store.write(Batch { points, notes: Vec::new() }.into()).await.unwrap();
    }

    async fn found(&self, search: Search) -> Vec<String> {
        let found = self.headlines.search(Search { limit: 100, ..search }).await.unwrap();
        assert_eq!(found.total as usize, found.articles.len());
        found.articles.into_iter().map(|listed| listed.headline).collect()
    }

    async fn words(&self, text: &str) -> Vec<String> {
        self.found(Search { text: text.into(), ..Search::default() }).await
    }
}

#[tokio::test]
async fn an_article_years_ahead_is_not_found_and_moves_nothing() {
    let sandbox = Sandbox::new();
    let ahead = Article {
        published_timestamp: 4_102_444_800_000,
        received_timestamp: 4_102_444_800_000,
        complete_until: 4_102_444_800_000,
        ..article(2, "ACME", "Acme of the next century")
    };
    sandbox.append(&[article(1, "ACME", "Acme sells"), ahead.clone(), article(3, "ACME", "Acme buys")]).await;
    assert_eq!(sandbox.words("acme").await, ["Acme buys", "Acme sells"]);
    sandbox.append(&[ahead, article(4, "ACME", "Acme waits")]).await;
    assert_eq!(sandbox.words("acme").await, ["Acme waits", "Acme buys", "Acme sells"]);
}

fn article(number: i64, symbol: &str, headline: &str) -> Article {
    Article {
        id: format!("business/{number}"),
        symbol: Some(symbol.to_owned()).filter(|symbol| !symbol.is_empty()),
        search_term: format!("term of {symbol}"),
        headline: headline.into(),
        url: "https://news.example/1".into(),
        kind: None,
        section_id: Some("business".into()),
        section_name: Some("Business".into()),
        pillar: None,
        published_timestamp: 1_380_000_000_000 + number * 60_000,
        updated_timestamp: None,
        source: Source::Replay,
        received_timestamp: 1_380_000_000_000 + number * 60_000,
        complete_until: 0,
        position: None,
    }
}

#[tokio::test]
async fn headlines_are_found_by_words_beginnings_phrases_and_symbols_newest_first() {
    let sandbox = Sandbox::new();
    sandbox
        .append(&[
            article(1, "AAPL", "Apple raises its dividend"),
            article(2, "MSFT", "Microsoft: a café for developers"),
            article(3, "", "Rates: the Fed cuts interest rates"),
        ])
        .await;
    assert_eq!(sandbox.words("").await.len(), 3);
    assert_eq!(sandbox.words("").await[0], "Rates: the Fed cuts interest rates");
    assert_eq!(sandbox.words("DIVID").await, ["Apple raises its dividend"]);
    assert_eq!(sandbox.words("cafe").await.len(), 1, "accents do not matter");
    assert_eq!(sandbox.words("\"interest rates\"").await.len(), 1);
    assert_eq!(sandbox.words("\"rates interest\"").await.len(), 0);
    assert_eq!(sandbox.words("aapl").await, ["Apple raises its dividend"], "the symbol is searched too");
    assert_eq!(sandbox.words("-apple").await.len(), 2);
    assert_eq!(sandbox.words("microsoft -café").await.len(), 0);
}

#[tokio::test]
async fn what_was_stored_before_and_what_comes_later_is_found_once() {
    let sandbox = Sandbox::new();
    let old = [article(1, "AAPL", "An old story"), article(1, "MSFT", "An old story")];
    sandbox.append(&old).await;
    sandbox.store(&old).await;
    let positions =
        (0..2).map(|partition| Position { topic: NEWS_ARTICLES, partition, offset: 1, note: String::new() });
    sandbox.log.reader("sink", &[]).await.unwrap().commit(positions.collect()).await.unwrap();
    let found = sandbox.headlines.search(Search { limit: 9, ..Search::default() }).await.unwrap();
    assert_eq!((found.total, found.articles[0].symbols.len()), (1, 2), "one article of two symbols");

    sandbox
        .log
        .append(vec![Append::json(NEWS_ARTICLES, "~clock0", &heartbeat::article(0, 60_000))])
        .await
        .unwrap();
    sandbox.append(&[article(2, "AAPL", "A new story")]).await;
    assert_eq!(sandbox.words("").await, ["A new story", "An old story"]);
}

#[tokio::test]
async fn an_edit_replaces_the_words_and_keeps_the_first_publication() {
    let sandbox = Sandbox::new();
    let first = article(5, "AAPL", "Profits fall");
    sandbox.append(std::slice::from_ref(&first)).await;
    assert_eq!(sandbox.words("fall").await.len(), 1);
    let edited = Article {
        headline: "Profits rise".into(),
        published_timestamp: first.published_timestamp + 1,
        received_timestamp: first.received_timestamp + 1,
        ..first.clone()
    };
    sandbox.append(&[edited, first.clone()]).await;
    assert_eq!(sandbox.words("fall").await, [""; 0]);
    let found = sandbox.headlines.search(Search { limit: 9, ..Search::default() }).await.unwrap();
    assert_eq!(found.articles[0].headline, "Profits rise");
    assert_eq!(found.articles[0].published, first.published_timestamp);
}

#[tokio::test]
async fn symbol_section_term_and_time_narrow_a_search() {
    let sandbox = Sandbox::new();
    let sport =
        Article { section_id: Some("sport".into()), section_name: None, ..article(9, "NKE", "Shoes") };
    sandbox.append(&[article(1, "AAPL", "One"), article(2, "AAPL", "Two"), sport.clone()]).await;
    let by = |search: Search| sandbox.found(search);
    assert_eq!(by(Search { symbol: Some("AAPL".into()), ..Search::default() }).await, ["Two", "One"]);
    assert_eq!(by(Search { section: Some("sport".into()), ..Search::default() }).await, ["Shoes"]);
    assert_eq!(by(Search { term: Some("term of NKE".into()), ..Search::default() }).await, ["Shoes"]);
    let (from, to) = (Some(1_380_000_120_000), Some(1_380_000_180_000));
    assert_eq!(by(Search { from, to, ..Search::default() }).await, ["Two"]);
    assert_eq!(sandbox.headlines.symbols().await.unwrap(), ["AAPL", "NKE"]);
    let sections = sandbox.headlines.sections().await.unwrap();
    assert_eq!((sections[0].name.as_str(), sections[0].articles), ("Business", 2));
    assert_eq!(sections[1].name, "sport");
}

#[tokio::test]
async fn pages_follow_each_other_without_a_hole_though_new_articles_come() {
    let sandbox = Sandbox::new();
    // Several articles of one instant: the time alone does not identify the end of a page.
    let at_once = |number: i64| Article {
        published_timestamp: 1_380_000_000_000,
        ..article(number, "A", &format!("{number}"))
    };
    sandbox.append(&(0..7).map(at_once).collect::<Vec<_>>()).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let found = sandbox.headlines.search(Search { limit: 3, after, ..Search::default() }).await.unwrap();
        seen.extend(found.articles.into_iter().map(|listed| listed.headline));
        sandbox.append(&[article(100 + seen.len() as i64, "A", "newer")]).await;
        match found.next {
            Some(place) => after = Some(place),
            None => break,
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_text_breaks_a_search(text in "\\PC*|[-\"*()^:{}+ a-zA-Z\u{0}ⓐ]{0,60}") {
        let mut index = Index::open().unwrap();
        index.add(&[article(1, "AAPL", "Apple raises its dividend")]).unwrap();
        index.search(&Search { text, limit: 5, ..Search::default() }).unwrap();
    }
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_ended_and_the_next_one_is_answered() {
    let mut sandbox = Sandbox::new();
    let word = |number: i64, at: i64| {
        format!("{}{}", (b'a' + ((number + at) % 26) as u8) as char, number * at % 977)
    };
    let headline = |number: i64| (0..20).map(|at| word(number, at)).collect::<Vec<_>>().join(" ");
    let articles: Vec<_> = (0..3_000).map(|number| article(number, "AAPL", &headline(number))).collect();
    sandbox.append(&articles).await;
    sandbox.headlines.refresh().await.unwrap();
    let search =
        || Search { text: ('a'..='x').map(|c| format!("{c} ")).collect(), limit: 100, ..Search::default() };
    sandbox.headlines.longest_search = Duration::ZERO;
    // The interrupt may come after the search has ended.
    let ended = async {
        loop {
            match sandbox.headlines.search(search()).await {
                Err(HeadlinesError::TooSlow { .. }) => return,
                other => drop(other.unwrap()),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("no search is ever ended");
    sandbox.headlines.longest_search = LONGEST_SEARCH;
    assert_eq!(sandbox.headlines.search(search()).await.unwrap().total, 0);
}
