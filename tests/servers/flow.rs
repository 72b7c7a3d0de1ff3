//! From files to the store through every service: what is stored is what is computed.

use std::fmt::Write as _;

use crate::harness::{JOBS, Stack, sample, sample_bars};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_holds_exactly_what_is_computed_each_point_once_and_no_clock_record() {
    let Some(stack) = Stack::of(&sample("bars.csv"), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let mut services = stack.start_all();
    stack.holds_what_is_computed().await;
    for measurement in JOBS.into_iter().chain(["stock_prices", "news_articles"]) {
        let stored = stack.stored(measurement).await;
        let clocks =
            stored.iter().filter(|row| row.get("symbol").is_some_and(|symbol| symbol.starts_with('~')));
        assert_eq!(clocks.count(), 0, "{measurement}");
    }
    let exported = stack.out("export volatility").lines().count();
    assert_eq!(exported, stack.stored("volatility").await.len() + 1, "commands read the same store");
    for (service, process) in &mut services {
        if *service == "producer" {
            // Whoever looks after it would start it again and again if it ended by itself.
            process.answers(200, "done, its replay is over");
        }
        assert_eq!(process.stop(), Some(0), "{service} ends in order");
    }
}

/// Recorded minute bars with news among them.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_for_real_bars_over_nights_and_months() {
    let file = testkit::real_bars();
    let bars = std::fs::read_to_string(file).unwrap();
    let Some(stack) = Stack::of(&bars, &news_among(&bars)).await else { return };
    stack.make_bucket().await;
    let _services = stack.start_all();
    stack.holds_what_is_computed().await;
}

/// An article after every fiftieth bar, in order of time.
fn news_among(bars: &str) -> String {
    let column =
        |name: &str| bars.lines().next().unwrap().split(',').position(|heading| heading == name).unwrap();
    let (start, symbol) = (column("start_ms"), column("symbol"));
    let mut news: Vec<(i64, &str)> = bars
        .lines()
        .skip(1)
        .step_by(50)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| (cells[start].parse::<i64>().unwrap() + 20_000, cells[symbol]))
        .collect();
    news.sort_unstable();
    let mut text = "id,symbol,search_term,headline,url,published_timestamp\n".to_owned();
    for (number, (published, symbol)) in news.iter().enumerate() {
        let _ = writeln!(text, "planted/{number},{symbol},term,Something,https://example.org,{published}");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_read_and_change_over_kafka_beside_the_services() {
    let Some(mut stack) = Stack::of(&sample_bars(1), &sample("articles.csv")).await else { return };
    stack.make_bucket().await;
    let services = stack.start_all();
    services["sink"].said("Working");
    stack.set("TICKWIRE_WEB__LISTEN", Some("127.0.0.1:0"));
    let (mut page, mut alerts) = (stack.start("web"), stack.start("alerts"));
    page.answers(200, "web: working");
    alerts.answers(200, "alerts: working");
    assert!(stack.out("watch add AAPL --term apple").contains("version 1"));
    assert!(stack.out("watch list --json").contains("AAPL"));
    stack.out("rules add mine --signal jump_share --above 0.5");
    assert!(stack.out("rules list").contains("mine"));
    stack.holds_what_is_computed().await;
    let topics = stack.out("topics");
    assert!(topics.lines().any(|line| line.contains("\"stock-prices\"")), "{topics}");
    assert!(stack.out("tail stock-prices --key AAPL").lines().count() > 10);
    assert_eq!(stack.out("dead-letters list"), "");
    let counted = stack.asked("SELECT count(*) AS bars FROM stock_prices");
    assert!(counted.contains(&(sample_bars(1).lines().count() - 1).to_string()), "{counted}");
    assert_eq!((page.stop(), alerts.stop()), (Some(0), Some(0)));
}
