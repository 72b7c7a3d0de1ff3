//! Tests with the engine and every job: with late or corrected bars and late or edited articles
//! the store ends with the results of the batch path.

use control::shutdown::{self, Shutdown, ShutdownToken};
use engine::Job;
use log::Append;
use model::schema::Value;
use model::time::{MINUTE, Millis};
use model::topic::NEWS_ARTICLES;
use model::{Article, Bar, Source, heartbeat};
use store::Query;

use super::{Folder, bar, bar_record, clock_record};

fn draining() -> ShutdownToken {
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    // The handle must live as long as the token.
    std::mem::forget(stopper);
    stop
}

/// Bars with the minute at which each is sent: 150 minutes of two symbols, after which one of
/// them stops trading; every seventh bar is 20 minutes late, and every eleventh is corrected
/// after ten minutes.
fn bars() -> Vec<(i64, Bar)> {
    let mut sent = Vec::new();
    for minute in 100..250_i64 {
        for (symbol, price) in [("A", 10.0), ("B", 20.0)] {
            if symbol == "B" && minute > 180 {
                continue;
            }
            let price = price + ((minute * 37) % 17) as f64 / 10.0;
            let (open, high, low, close) = (price, price + 0.3, price - 0.2, price + 0.1);
            let made = Bar { open, high, low, close, ..bar(symbol, minute, (minute % 9) as f64, minute) };
            let later = |by: i64, close| {
                let received_timestamp = made.received_timestamp + by * MINUTE;
                let complete_until = (minute + by) * MINUTE;
                (minute + by, Bar { close, received_timestamp, complete_until, ..made.clone() })
            };
            sent.push(if minute % 7 == 0 { later(20, close) } else { (minute, made.clone()) });
            if minute % 11 == 0 {
                sent.push(later(if minute % 7 == 0 { 30 } else { 10 }, low));
            }
        }
    }
    sent.sort_by_key(|(at, _)| *at);
    sent
}

/// An article that is published in `minute` and sent at the minute `found`.
fn article(id: &str, symbol: Option<&str>, minute: i64, found: i64) -> (i64, Article) {
    let article = Article {
        id: id.into(),
        symbol: symbol.map(str::to_owned),
        search_term: "a term".into(),
        headline: "Something happened".into(),
        url: "https://example.org/".into(),
        source: Source::Replay,
        received_timestamp: found * MINUTE,
        complete_until: found * MINUTE,
        ..heartbeat::article(0, minute * MINUTE + 23_000)
    };
    (found, article)
}

/// Articles that are in time, found an hour late, found by two terms, edited, about an unknown
/// symbol, about no symbol, from before the first bar, and from the future.
fn articles() -> Vec<(i64, Article)> {
    let (_, twice) = article("twice", Some("B"), 150, 150);
    let mut sent = vec![
        article("in time", Some("A"), 120, 120),
        article("an hour late", Some("A"), 130, 190),
        article("hours late", Some("B"), 110, 300),
        (150, Article { search_term: "another term".into(), ..twice.clone() }),
        (150, twice),
        article("edited", Some("A"), 160, 160),
        article("edited", Some("A"), 160, 200),
        article("unknown", Some("GONE"), 140, 140),
        article("late and unknown", Some("GONE"), 140, 170),
        article("about nothing", None, 145, 145),
        article("before", Some("A"), 75, 100),
        article("future", Some("A"), 9_000, 160),
    ];
    sent.sort_by_key(|(at, _)| *at);
    sent
}

fn news_records(until: i64) -> Vec<Append> {
    let mut sent = articles().into_iter().peekable();
    let mut records = Vec::new();
    for minute in 90..until {
        while let Some((_, article)) = sent.next_if(|(at, _)| *at <= minute) {
            records.push(Append::json(NEWS_ARTICLES, article.key(), &article));
        }
        let clock = heartbeat::article(0, minute * MINUTE);
        records.push(Append::json(NEWS_ARTICLES, clock.key(), &clock));
    }
    records
}

fn all<T>(sent: Vec<(i64, T)>) -> Vec<T> {
    sent.into_iter().map(|(_, sent)| sent).collect()
}

async fn stored(folder: &Folder, job: &Job) -> Vec<String> {
    let query = Query { measurement: job.topic.measurement(), ..Query::default() };
    in_order(&folder.store.read(&query).await.unwrap().rows)
}

fn in_order(rows: &[Vec<Value>]) -> Vec<String> {
    let mut rows: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

async fn run(folder: &Folder, jobs: &[Job]) {
    engine::run(folder.log.clone(), jobs.to_vec(), draining()).await.unwrap();
    crate::run(folder.log.clone(), folder.store.clone(), jobs.to_vec(), draining()).await.unwrap();
}

#[tokio::test]
async fn what_comes_late_ends_up_in_the_rows_of_every_job_as_the_batch_path_has_it() {
    let folder = Folder::new();
    let jobs = Job::all().unwrap();
    folder.append(all(bars()).iter().map(bar_record).collect()).await;
    folder.append((251..500).map(clock_record).collect()).await;
    folder.append(news_records(500)).await;
    run(&folder, &jobs).await;
    for job in &jobs {
        let wanted = engine::compute(job, all(bars()), all(articles())).await.unwrap();
        // Windows and paths in the future are still open.
        let wanted = in_order(&wanted);
        assert!(wanted.len() > 200, "{} has {} rows", job.name, wanted.len());
        assert_eq!(stored(&folder, job).await, wanted, "{}", job.name);
    }

    // Recomputing everything on request has the same result.
    let before: u64 = rows_of(&folder, &jobs).await;
    assert_eq!(crate::recompute(&folder.store, &jobs, Millis::MIN, Millis::MAX).await.unwrap(), before);
    assert_eq!(rows_of(&folder, &jobs).await, before);
    for job in &jobs {
        let wanted = engine::compute(job, all(bars()), all(articles())).await.unwrap();
        assert_eq!(stored(&folder, job).await, in_order(&wanted), "{}", job.name);
    }
}

#[tokio::test]
async fn rows_of_one_time_come_out_of_the_store_in_the_order_in_which_they_are_computed() {
    let folder = Folder::new();
    let jobs = [Job::named("news_reaction").unwrap()];
    // All are published in the same millisecond; the order of their names differs from that of
    // their offsets.
    let news: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|id| article(id, Some("A"), 120, 120).1).into();
    let offsets: Vec<_> = news.iter().map(|article| model::article::offset_of(&article.id)).collect();
    assert!(!offsets.is_sorted());
    folder.append(all(bars()).iter().map(bar_record).collect()).await;
    folder.append((251..500).map(clock_record).collect()).await;
    folder.append(news.iter().map(|news| Append::json(NEWS_ARTICLES, news.key(), news)).collect()).await;
    let clocks = (121..500).map(|minute| heartbeat::article(0, minute * MINUTE));
    folder.append(clocks.map(|clock| Append::json(NEWS_ARTICLES, clock.key(), &clock)).collect()).await;
    run(&folder, &jobs).await;
    let query = Query { measurement: jobs[0].topic.measurement(), ..Query::default() };
    let stored = folder.store.read(&query).await.unwrap().rows;
    let computed = engine::compute(&jobs[0], all(bars()), news).await.unwrap();
    assert!(computed.len() > 6 * 80, "{}", computed.len());
    assert_eq!(stored, computed);
}

#[tokio::test]
async fn a_job_that_starts_over_a_month_later_replaces_no_corrected_row() {
    let folder = Folder::new();
    let jobs = Job::all().unwrap();
    folder.append(all(bars()).iter().map(bar_record).collect()).await;
    folder.append((251..500).map(clock_record).collect()).await;
    folder.append(news_records(500)).await;
    run(&folder, &jobs).await;
    let mut corrected = Vec::new();
    for job in &jobs {
        corrected.push(stored(&folder, job).await);
    }
    // The notes of late records are gone: the job emits its first rows again, without the
    // correction.
    let mut again = Vec::new();
    for job in &jobs {
        let emitted = folder.log.read(&job.topic, 0, 0, 100_000).await.unwrap();
        again.extend(emitted.into_iter().map(|record| Append {
            topic: record.topic,
            key: record.key,
            value: record.value,
            partition: None,
        }));
    }
    folder.append(again).await;
    let engine = || Box::new(crate::recompute::Engine::new(jobs.clone()));
    let mut sink = folder.sink_with(crate::tables(&jobs), engine()).await;
    super::catch_up(&mut sink).await;
    for (job, corrected) in jobs.iter().zip(&corrected) {
        assert_eq!(stored(&folder, job).await, *corrected, "{}", job.name);
    }
    assert!(sink.progress.counts.poorer > 50, "{:?}", sink.progress.counts);
    super::recompute(&mut sink, crate::sink::Due::Closed).await;
    for (job, corrected) in jobs.iter().zip(&corrected) {
        assert_eq!(stored(&folder, job).await, *corrected, "{}", job.name);
    }
}

async fn rows_of(folder: &Folder, jobs: &[Job]) -> u64 {
    let mut rows = 0;
    for job in jobs {
        rows += stored(folder, job).await.len() as u64;
    }
    rows
}

/// In a replay all versions of a bar have the same received time.
#[tokio::test]
async fn a_paths_row_of_an_outdated_bar_that_is_emitted_again_does_not_have_the_last_word() {
    let folder = Folder::new();
    let jobs = [Job::named("news_reaction").unwrap()];
    let before = Bar { close: 1.2, high: 1.2, ..bar("A", 121, 1.0, 121) };
    let after = Bar { close: 1.1, complete_until: 140 * MINUTE, ..before.clone() };
    folder.append([&before, &bar("A", 139, 1.0, 140), &after].map(bar_record).into()).await;
    folder.append((141..300).map(clock_record).collect()).await;
    folder.append(news_records(300)).await;
    run(&folder, &jobs).await;
    let corrected = stored(&folder, &jobs[0]).await;
    assert!(corrected.iter().any(|row| row.contains("Float(1.1)")), "{corrected:?}");

    let emitted = folder.log.read(&jobs[0].topic, 0, 0, 1_000).await.unwrap();
    let outdated = emitted
        .into_iter()
        .filter(|record| serde_json::from_slice::<serde_json::Value>(&record.value).unwrap()["close"] == 1.2);
    let again = |record: log::Record| Append {
        topic: record.topic,
        key: record.key,
        value: record.value,
        partition: None,
    };
    let again: Vec<Append> = outdated.map(again).collect();
    assert!(!again.is_empty(), "the engine had emitted it before the correction came");
    folder.append(again).await;
    run(&folder, &jobs).await;
    assert_eq!(stored(&folder, &jobs[0]).await, corrected);
}

#[tokio::test]
async fn a_late_bar_of_one_symbol_moves_the_ranks_of_the_others() {
    let folder = Folder::new();
    let jobs = vec![Job::named("movers").unwrap(), Job::named("news_impact").unwrap()];
    let rising = |symbol: &str, minute: i64, close: f64, sent: i64| Bar {
        close,
        high: close.max(1.0),
        ..bar(symbol, minute, 1.0, sent)
    };
    let sent = [
        rising("A", 100, 1.0, 100),
        rising("B", 100, 1.0, 100),
        rising("A", 101, 1.5, 101),
        rising("B", 101, 1.2, 101),
        rising("B", 102, 9.0, 140),
    ];
    folder.append(sent.iter().map(bar_record).collect()).await;
    folder.append((141..300).map(clock_record).collect()).await;
    folder.append(news_records(300)).await;
    run(&folder, &jobs).await;
    let query = Query { measurement: "movers".into(), ..Query::default() };
    let rows = folder.store.read(&query).await.unwrap().rows;
    let ranks = |end: i64| -> Vec<_> {
        let ending = rows.iter().filter(|row| row[2] == Value::Int(end * MINUTE));
        ending.map(|row| (row[0].as_str().unwrap().to_owned(), row[3].as_i64().unwrap())).collect()
    };
    assert_eq!(ranks(102), [("A".into(), 1), ("B".into(), 2)]);
    assert_eq!(ranks(103), [("A".into(), 2), ("B".into(), 1)]);
}

#[tokio::test]
async fn what_is_asked_for_is_computed_again_while_the_sink_runs() {
    let folder = Folder::new();
    let jobs = Job::all().unwrap();
    folder.append(all(bars()).iter().map(bar_record).collect()).await;
    folder.append((251..500).map(clock_record).collect()).await;
    folder.append(news_records(500)).await;
    // The engine never ran, so there are no rows.
    let (again, asked) = control::recompute::channel();
    let (stopper, stop) = shutdown::channel();
    let (log, store) = (folder.log.clone(), folder.store.clone());
    let running =
        tokio::spawn(crate::run_answering(crate::RECOMPUTE_EVERY, asked, log, store, jobs.clone(), stop));
    let ask = async {
        loop {
            // The request is served only after the sink has read what is in the log.
            let rows = again.compute(110 * MINUTE, 120 * MINUTE).await.unwrap();
            if rows > 0 {
                return rows;
            }
        }
    };
    let rows = ask.await;
    stopper.ask(Shutdown::Stop);
    running.await.unwrap().unwrap();
    let mut wanted = 0;
    for job in &jobs {
        let time = if job.window.is_some() { "window_end" } else { "path_time" };
        let at = job.columns.iter().position(|column| column.name == time).unwrap();
        let computed = engine::compute(job, all(bars()), all(articles())).await.unwrap();
        let asked = computed
            .into_iter()
            .filter(|row| row[at].as_i64().is_some_and(|at| (110 * MINUTE..120 * MINUTE).contains(&at)));
        let asked: Vec<_> = asked.collect();
        wanted += asked.len() as u64;
        assert_eq!(stored(&folder, job).await, in_order(&asked), "{}", job.name);
    }
    assert_eq!(rows, wanted);
}
