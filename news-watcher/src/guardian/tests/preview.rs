//! Previews of terms that nobody watches yet.

use super::*;
use control::preview;
use feed::SystemClock;
use model::service::Service;
use model::time;

/// As long as an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_preview_is_answered_within_the_quota_and_brings_nothing_onto_the_topic() {
    let folder = tempfile::tempdir().unwrap();
    let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
    let server = Guardian::start(KEY, time::now).await;
    let lately = time::now() - HOUR;
    server.publish(Story::new("business/old", "Apple of last month", lately - 30 * 24 * HOUR));
    server.publish(Story::new("business/up", "Apple rises", lately));
    server.publish(Story::new("sport/won", "Apple cup won", lately).in_section("sport"));
    // Two calls at hand: one for a preview, one that is always left to the list.
    let config = GuardianConfig {
        url: server.url().into(),
        calls_per_day: 40,
        ..GuardianConfig::new(Secret::new(KEY))
    };
    let (stopper, stop) = shutdown::channel();
    let lists = watch::Sender::new(Watchlist::default());
    let watch = Watch::open(log.clone(), config, lists.subscribe(), Arc::new(SystemClock), net::retry::draw)
        .await
        .unwrap();
    let watching = tokio::spawn(async move { watch.run(&stop).await });

    let business = ["business".to_owned()];
    let preview = preview::ask(&*log, "apple", &business, PATIENCE).await.unwrap().unwrap();
    let headlines: Vec<_> = preview.headlines.iter().map(|found| found.headline.as_str()).collect();
    assert_eq!((headlines, preview.total, &preview.refused), (vec!["Apple rises"], 1, &None));
    let refused = preview::ask(&*log, "apple", &[], PATIENCE).await.unwrap().unwrap().refused.unwrap();
    assert!(refused.contains("quota"), "{refused}");
    assert_eq!(server.calls().len(), 1);

    stopper.ask(Shutdown::Stop);
    watching.await.unwrap().unwrap();
    let said = control::status::last(&*log, Service::NewsWatcher).await.unwrap().unwrap();
    assert_eq!(said.quota.unwrap().used_today, 1);
    let articles = log.read(&NEWS_ARTICLES, 0, 0, 1_000).await.unwrap();
    assert!(articles.iter().all(|record| record.key.starts_with('~')));
}
