//! That each alarm of Prometheus fires: services run into the fault, what they tell is
//! scraped, and the real promtool evaluates the rules as they are checked in, an hour
//! during which the fault goes on.

use model::service::{Activity, RunState, Service};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alerts::webhook::{self, Webhook};
use control::shutdown::{self, Shutdown};
use log::{Append, EmbeddedLog, KafkaConfig, KafkaLog, SharedLog};
use model::status::{EntryState, JobState, ServiceStatus};
use model::topic::STOCK_PRICES;
use model::{Alert, DeadLetter, time};
use ops::deployer::{Desired, Pace, Settings, Sources, Watcher};
use ops::health::{Answering, Health, State};
use producer::{FeedSettings, PriceSource};
use testkit::arroyo::Arroyo;
use testkit::prometheus::{Prometheus, Scrape};

use crate::description::{alarms, path};

const RULES: &str = "monitoring/rules.yml";
const HOUR: u32 = 60;

/// A process whose services are watched, and the log they work on.
struct Rig {
    health: Health,
    log: SharedLog,
    answering: Answering,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let health = Health::default();
        let answering = health.answer("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Rig { health, log, answering, _folder: folder }
    }

    fn watched(&self, service: &'static str) -> SharedLog {
        self.health.set(service, State::Working);
        self.health.watched(service, self.log.clone())
    }

    /// What is told now.
    async fn scrape(&self) -> String {
        let url = format!("http://{}/metrics", self.answering.address);
        let answer = net::http().unwrap().get(url).send().await.unwrap();
        assert!(answer.status().is_success());
        answer.text().await.unwrap()
    }

    /// What is told once a service says what `wanted` looks for.
    async fn scrape_when(&self, service: &str, wanted: impl Fn(&ServiceStatus) -> bool) -> String {
        for _ in 0..1_200 {
            let said = control::status::last(&*self.log, Service::of(service).unwrap()).await.unwrap();
            if said.is_some_and(|said| wanted(&said)) {
                return self.scrape().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "{service} never said it: {:?}",
            control::status::last(&*self.log, Service::of(service).unwrap()).await.unwrap()
        );
    }

    async fn say(&self, status: ServiceStatus) {
        let name =
            ["producer", "news-watcher", "engine", "sink"].into_iter().find(|name| status.service == **name);
        self.watched(name.unwrap_or("deployer")).append(vec![status.to_append()]).await.unwrap();
    }
}

/// A status of a service that works.
fn status(service: &str) -> ServiceStatus {
    ServiceStatus {
        service: service.into(),
        at: time::now(),
        state: RunState::Running.into(),
        ..ServiceStatus::default()
    }
}

/// A status of a live source at work.
fn live(service: &str) -> ServiceStatus {
    let now = time::now();
    ServiceStatus { watermark: Some(now), planned_lag: Some(5 * time::SECOND), ..status(service) }
}

/// An address where nobody listens.
fn nobody() -> std::net::SocketAddr {
    ([127, 0, 0, 1], testkit::ports::free()).into()
}

/// What fires after the minutes of `scrapes`.
fn fired(scrapes: &[Scrape], minutes: u32) -> Option<BTreeSet<String>> {
    let began = time::now() / 1_000;
    Some(Prometheus::found()?.firing(&path(RULES), began, scrapes, minutes))
}

/// Checks that an alarm fires where a fault that was scraped goes on for an hour.
fn fires(alarm: &str, scrape: String) {
    fires_over(alarm, &[(0, Some(scrape))]);
}

fn fires_over(alarm: &str, scrapes: &[Scrape]) {
    let Some(fired) = fired(scrapes, HOUR) else { return };
    assert!(fired.contains(alarm), "{alarm} is not among {fired:?}");
}

#[test]
fn prometheus_takes_its_configuration_and_the_rules() {
    let Some(prometheus) = Prometheus::found() else { return };
    prometheus.check_config(&path("monitoring/prometheus.yml")).unwrap();
}

#[tokio::test]
async fn nothing_fires_while_all_is_well() {
    let rig = Rig::new().await;
    let jobs = vec![JobState {
        name: "volatility".into(),
        state: "Running".into(),
        restarts: 0,
        last_checkpoint: Some(time::now()),
    }];
    rig.say(live("producer")).await;
    rig.say(live("news-watcher")).await;
    rig.say(ServiceStatus { jobs, ..status("engine") }).await;
    rig.say(ServiceStatus { price_results_until: Some(time::now()), ..status("sink") }).await;
    let Some(fired) = fired(&[(0, Some(rig.scrape().await))], 8) else { return };
    assert!(fired.is_empty(), "{fired:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_feed_fires_that_the_feed_is_down_and_then_that_the_producer_is_silent() {
    let rig = Rig::new().await;
    let polygon = producer::feed("polygon").unwrap();
    let settings = FeedSettings {
        websocket_url: format!("ws://{}/stocks", nobody()),
        rest_url: format!("http://{}", nobody()),
        ..polygon.description().settings()
    };
    let (stopper, stop) = shutdown::channel();
    let prices = PriceSource::Live { feed: polygon, settings };
    let work = tokio::spawn(producer::run(rig.watched("producer"), prices, stop));
    let refused =
        rig.scrape_when("producer", |said| said.state.text().starts_with("waiting for the feed")).await;
    stopper.ask(Shutdown::Stop);
    let _ = work.await;
    fires("PriceFeedDown", refused.clone());
    fires("ProducerSilent", refused);
}

#[tokio::test]
async fn event_time_that_stands_still_fires_although_the_feed_is_up_and_speaks() {
    let rig = Rig::new().await;
    rig.say(live("producer")).await;
    let told = rig.scrape().await;
    fires("EventTimeStalled", told.clone());
    // It goes on speaking: only its event time stands.
    let spoke = |text: &str| {
        let speaking = text.lines().filter(|line| !line.starts_with("tickwire_status_timestamp_seconds"));
        speaking.collect::<Vec<_>>().join("\n")
    };
    fires("EventTimeStalled", spoke(&told));
    let silent = told.lines().filter(|line| line.starts_with("tickwire_feed_without_bars_seconds{"));
    assert_eq!(silent.count(), 0, "no symbol is watched");
    fires("NoBars", format!("{told}\ntickwire_feed_without_bars_seconds{{service=\"producer\"}} 901\n"));
}

#[tokio::test]
async fn a_news_source_that_waits_or_says_nothing_fires() {
    let rig = Rig::new().await;
    let waiting = "waiting until 2024-03-05T17:00:00Z: the key is refused";
    rig.say(ServiceStatus { state: Activity::of_text(waiting), ..live("news-watcher") }).await;
    fires("NewsSourceDown", rig.scrape().await);
    fires("NewsWatcherSilent", rig.scrape().await);
}

#[tokio::test]
async fn an_engine_of_which_nobody_speaks_fires() {
    let rig = Rig::new().await;
    rig.say(live("producer")).await;
    fires("EngineDown", rig.scrape().await);
    rig.say(ServiceStatus {
        state: Activity::new(RunState::Failed, "failed: the topic is gone"),
        ..status("engine")
    })
    .await;
    fires("EngineDown", rig.scrape().await);
}

#[tokio::test]
async fn a_job_that_fails_on_the_cluster_and_its_missing_checkpoints_fire() {
    let rig = Rig::new().await;
    let (cluster, settings) = (
        Arroyo::start(None).await,
        Settings {
            classes: vec![model::AssetClass::Stocks],
            bootstrap_servers: "kafka:9092".into(),
            topic_suffix: String::new(),
            kafka_login: None,
            parallelism: 1,
            partitions: 1,
        },
    );
    let sources = Sources::read(&path("sql"), &path("udfs")).unwrap();
    let desired = Desired::of(&sources, &settings).unwrap();
    let arroyo = || ops::deployer::Arroyo::new(cluster.url().parse().unwrap(), None).unwrap();
    ops::deployer::deploy(&arroyo(), &desired, Duration::from_secs(60)).await.unwrap();
    let mut watcher = Watcher::new(arroyo(), &desired, Pace::default());
    let mut said = Vec::new();
    cluster.checkpoint("tickwire-live-volatility", time::now() as u64 * 1_000);
    for state in ["Running", "Failed"] {
        cluster.bring_into("tickwire-live-volatility", state);
        let look = watcher.look(Instant::now(), time::now()).await.unwrap();
        let job = |job: &ops::deployer::WatchedJob| JobState {
            name: job.name.clone(),
            state: job.state.clone(),
            restarts: job.restarts,
            last_checkpoint: job.last_checkpoint,
        };
        let jobs = look.jobs.iter().map(job).collect();
        rig.say(ServiceStatus { state: look.state(), jobs, ..status("engine") }).await;
        said.push(rig.scrape().await);
    }
    let [running, failed] = said.try_into().unwrap();
    fires("EngineJobDown", failed.clone());
    fires("EngineDown", failed);
    // Jobs that run on and finish no more checkpoints.
    fires("CheckpointsMissing", running);
}

#[tokio::test]
async fn results_that_do_not_come_fire_in_a_live_run() {
    let rig = Rig::new().await;
    rig.say(live("producer")).await;
    rig.say(ServiceStatus { price_results_until: Some(time::now()), ..status("sink") }).await;
    fires("ResultsStalled", rig.scrape().await);
}

#[tokio::test]
async fn new_gaps_and_dead_letters_fire_also_where_there_was_none_before() {
    let rig = Rig::new().await;
    let counts = |gaps| [("gaps".to_owned(), gaps)].into();
    rig.say(ServiceStatus { counts: counts(0), ..live("producer") }).await;
    let before = rig.scrape().await;
    rig.say(ServiceStatus { counts: counts(1), ..live("producer") }).await;
    let letter = DeadLetter::new("replay:bars.csv:7", "no symbol", b"{}", 0);
    rig.watched("producer").append(vec![letter.to_append()]).await.unwrap();
    let after = rig.scrape().await;
    let scrapes = [(0, Some(before)), (55, Some(after))];
    fires_over("GapsInPrices", &scrapes);
    fires_over("DeadLettersRising", &scrapes);
}

#[tokio::test]
async fn entries_of_the_watchlist_that_fail_fire() {
    let rig = Rig::new().await;
    let entry =
        EntryState { state: "failing: no such section".into(), failing: true, ..EntryState::default() };
    rig.say(ServiceStatus { entries: vec![entry], ..live("news-watcher") }).await;
    fires("WatchlistEntriesFailing", rig.scrape().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_does_not_answer_fires() {
    let rig = Rig::new().await;
    let url = format!("http://{}/hook", nobody()).parse().unwrap();
    let hook = Webhook::new(url, net::Secret::new("key-4711-hook"), "live");
    let (stopper, stop) = shutdown::channel();
    let work = tokio::spawn(webhook::run(rig.watched("webhook"), hook, stop));
    rig.scrape_when("alerts-webhook", |said| said.state.run() == RunState::Running).await;
    let alert = Alert {
        symbol: "AAPL".into(),
        rule: "calm".into(),
        episode: Alert::episode_of("calm", "AAPL", 1),
        opened: 1,
        closed: None,
        signal: "realized".into(),
        comparison: model::alert::Comparison::Above,
        value: 2.0,
        extreme: 2.0,
        threshold: 1.0,
        explanation: "why".into(),
    };
    rig.log.append(vec![alert.to_append()]).await.unwrap();
    let failing = rig.scrape_when("alerts-webhook", |said| said.state.text().starts_with("waiting")).await;
    stopper.ask(Shutdown::Stop);
    let _ = work.await;
    assert!(!failing.contains("key-4711"), "{failing}");
    fires("WebhookFailing", failing);
}

#[tokio::test]
async fn a_sink_that_reads_nothing_is_behind_and_fires() {
    let rig = Rig::new().await;
    let reader = rig.watched("sink").reader("sink", &[STOCK_PRICES]).await.unwrap();
    rig.health.need_log(rig.log.clone());
    let bars = (0..20_001).map(|minute| Append::json(STOCK_PRICES, "ACME", &minute)).collect();
    rig.log.append(bars).await.unwrap();
    fires("SinkBehind", rig.scrape().await);
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_fires_and_so_does_the_sink_that_waits_for_it() {
    let rig = Rig::new().await;
    let (url, token) = (format!("http://{}", nobody()).parse().unwrap(), net::Secret::new("t"));
    let address = store::InfluxAddress { url, org: "o".into(), bucket: "b".into(), token };
    let store: store::SharedStore = Arc::new(store::InfluxStore::new(address).unwrap());
    rig.health.need_store(store.clone());
    let (stopper, stop) = shutdown::channel();
    let work = tokio::spawn(sink::run(rig.watched("sink"), store, engine::Job::all().unwrap(), stop));
    let away = rig.scrape_when("sink", |said| said.state.text().starts_with("waiting")).await;
    stopper.ask(Shutdown::Stop);
    let _ = work.await;
    fires("StoreUnreachable", away.clone());
    fires("SinkHolds", away);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_does_not_answer_fires() {
    let rig = Rig::new().await;
    rig.health.set("producer", State::Starting);
    let kafka = KafkaLog::new(&KafkaConfig::new(nobody().to_string())).unwrap();
    rig.health.need_log(Arc::new(kafka));
    fires("LogUnreachable", rig.scrape().await);
}

#[tokio::test]
async fn a_disk_with_little_room_fires() {
    let rig = Rig::new().await;
    rig.health.watch_disk(path("."));
    let told = rig.scrape().await;
    let size = told.lines().find_map(|line| line.strip_prefix("tickwire_disk_size_bytes ")).unwrap();
    let size: f64 = size.parse().unwrap();
    let with_free = |free: f64| {
        let others = told.lines().filter(|line| !line.starts_with("tickwire_disk_free_bytes "));
        let others = others.collect::<Vec<_>>().join("\n");
        format!("{others}\ntickwire_disk_free_bytes {free}\n")
    };
    fires("DiskNearlyFull", with_free(size * 0.09));
    let Some(fired) = fired(&[(0, Some(with_free(size * 0.11)))], HOUR) else { return };
    assert!(!fired.contains("DiskNearlyFull"));
}

#[tokio::test]
async fn a_service_that_is_gone_or_starts_again_and_again_fires() {
    let rig = Rig::new().await;
    rig.say(live("producer")).await;
    let told = rig.scrape().await;
    fires_over("ServiceAbsent", &[(0, Some(told.clone())), (10, None)]);
    let started_at = |at: u32| {
        let others = told.lines().filter(|line| !line.starts_with("process_start_time_seconds "));
        let others = others.collect::<Vec<_>>().join("\n");
        Some(format!("{others}\nprocess_start_time_seconds {}\n", 1_700_000_000 + at))
    };
    let scrapes: Vec<Scrape> = (40..44).map(|minute| (minute, started_at(minute))).collect();
    fires_over("ServiceRestarting", &scrapes);
}

#[test]
fn every_alarm_is_shown_to_fire() {
    let tests = std::fs::read_to_string(path("tests/alarms/firing.rs")).unwrap();
    for alarm in alarms() {
        let shown = format!("(\"{}\"", alarm.name);
        assert!(tests.contains(&shown), "no test makes {} fire", alarm.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_scrapes_a_service_knows_it_and_evaluates_every_rule() {
    let Some(prometheus) = Prometheus::found() else { return };
    let rig = Rig::new().await;
    rig.say(ServiceStatus {
        state: Activity::new(RunState::Waiting, "waiting for the feed: refused"),
        ..live("producer")
    })
    .await;
    let scraping = prometheus.scrape(&rig.answering.address.to_string(), &path(RULES)).await;
    let asked = [("query", "tickwire_build_info and on (instance) up == 1")];
    for _ in 0..600 {
        let known = scraping.ask("/api/v1/query", &asked).await;
        let pending = scraping.ask("/api/v1/alerts", &[]).await.to_string();
        if known["data"]["result"].as_array().is_some_and(|found| found.len() == 1)
            && pending.contains("PriceFeedDown")
        {
            let rules = scraping.ask("/api/v1/rules", &[]).await;
            let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
            assert_eq!(rules.len(), alarms().len());
            let bad: Vec<_> = rules.iter().filter(|rule| rule["health"] == "err").collect();
            assert!(bad.is_empty(), "{bad:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("prometheus does not know the service: {}", scraping.ask("/api/v1/targets", &[]).await);
}
