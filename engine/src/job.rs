//! Jobs: each is one file of `sql/`, with the table that it writes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use datafusion::sql::sqlparser::ast::{self, Expr, Query, visit_expressions, visit_relations};
use model::AssetClass;
use model::schema::Column;
use model::time::Millis;
use model::topic::Topic;

use crate::error::EngineError;
use crate::sql::{
    self, SinkTable, SourceTable, Table, WindowedQuery, pull_out_windows, statements, updating_ttl,
};

/// A hop window: it has the length `size`, and one begins every `slide`, aligned to the Unix
/// epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The length of a window (ms).
    pub size: Millis,
    /// The time between the starts of two windows (ms).
    pub slide: Millis,
}

impl Hop {
    /// The start of the first window that contains the event time `at`.
    pub fn first_start(&self, at: Millis) -> Millis {
        self.slide_of(at) - self.size + self.slide
    }

    /// The start of the last window that contains `at`, which is the slide of `at`.
    pub fn slide_of(&self, at: Millis) -> Millis {
        at.div_euclid(self.slide) * self.slide
    }
}

/// A SQL job.
#[derive(Clone, Debug)]
pub struct Job {
    /// The name, which is that of its file and of the table that it writes; over another
    /// class than stocks with the class, as `volatility-crypto`.
    pub name: String,
    /// The class whose bars it reads.
    pub class: AssetClass,
    /// The topic that it writes.
    pub topic: Topic,
    /// The topic that it writes over stocks, which names the measurement of its rows:
    /// one for all classes.
    pub base_topic: Topic,
    /// The column whose value is the key of its records.
    pub key: String,
    /// The columns of its table, in order.
    pub columns: Vec<Column>,
    /// The topics that it reads.
    pub reads: Vec<Topic>,
    /// Its hop window; `None` for a job without windows.
    pub window: Option<Hop>,
    /// In a job without windows, the largest difference (ms) between the event times of two
    /// rows that it joins: its `updating_ttl`.
    pub reach: Option<Millis>,
    /// Whether its rows depend on other symbols in the same window, as ranks do.
    pub ranks: bool,
    pub(crate) sources: Vec<SourceTable>,
    pub(crate) windows: Vec<WindowedQuery>,
    pub(crate) query: Query,
}

impl Job {
    /// All built-in jobs, ordered by name.
    ///
    /// # Errors
    /// If a file of `sql/` does not parse or needs an unsupported feature.
    pub fn all() -> Result<Vec<Job>, EngineError> {
        Job::read(sql::FILES)
    }

    /// The jobs of a folder such as `sql/`, ordered by name.
    ///
    /// # Errors
    /// If the folder or a file cannot be read, or a file does not parse or needs an unsupported
    /// feature.
    pub fn in_folder(folder: &Path) -> Result<Vec<Job>, EngineError> {
        let files = sql::files_of(folder)?;
        Job::read(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
    }

    /// The built-in job `name`.
    ///
    /// # Errors
    /// If there is no such job; the error lists the existing ones.
    pub fn named(name: &str) -> Result<Job, EngineError> {
        let jobs = Job::all()?;
        let known = jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>().join(", ");
        jobs.into_iter()
            .find(|job| job.name == name)
            .ok_or_else(|| EngineError::UnknownJob { asked: name.to_owned(), known })
    }

    /// Each of these jobs once for each of `classes`: over the topics of bars of the class,
    /// to result topics of its own. A job that reads no bars has one class alone, the first.
    pub fn for_classes(jobs: &[Job], classes: &[AssetClass]) -> Vec<Job> {
        let results: Vec<&str> = jobs.iter().map(|job| job.topic.name()).collect();
        let (first, others) =
            classes.split_first().map_or((AssetClass::default(), &[][..]), |(a, b)| (*a, b));
        let mut all: Vec<Job> = jobs.iter().map(|job| job.of_class(first, &results)).collect();
        for &class in others {
            let depends = |job: &&Job| job.depends_on_class(&results);
            all.extend(jobs.iter().filter(depends).map(|job| job.of_class(class, &results)));
        }
        all
    }

    /// Whether it reads bars or results over bars, where `results` are the topics of all jobs.
    fn depends_on_class(&self, results: &[&str]) -> bool {
        self.reads.iter().any(|read| self.class.topic_in_place_of(read.name(), results).is_some())
    }

    /// The job over the bars of a class, where `results` are the topics of all jobs.
    fn of_class(&self, class: AssetClass, results: &[&str]) -> Job {
        if !self.depends_on_class(results) {
            return Job { class, ..self.clone() };
        }
        let mut job = self.clone();
        job.name = class.of_class(&self.name);
        job.class = class;
        job.topic = class.result_topic(self.topic.name());
        for source in &mut job.sources {
            if let Some(topic) = class.topic_in_place_of(&source.topic, results) {
                source.topic = topic;
            }
        }
        job.reads = job.sources.iter().map(|table| Topic::new(table.topic.clone())).collect();
        job
    }

    /// The same job with windows of another size (ms), to compare the cost of sizes.
    ///
    /// # Errors
    /// If the size is not a multiple of the slide, or the job has no windows.
    pub fn with_window(mut self, size: Millis) -> Result<Job, EngineError> {
        let fits = |hop: Hop| size > 0 && size % hop.slide == 0;
        let Some(hop) = self.window.filter(|hop| fits(*hop)) else {
            return Err(EngineError::unsupported(
                &self.name,
                format!("it has no windows of {size} milliseconds"),
            ));
        };
        self.window = Some(Hop { size, ..hop });
        self.windows.iter_mut().for_each(|window| window.hop.size = size);
        Ok(self)
    }

    /// Parses jobs from SQL files by name; the file `tables` declares the sources.
    pub(crate) fn read(files: &[(&str, &str)]) -> Result<Vec<Job>, EngineError> {
        let mut sources = BTreeMap::new();
        for (file, text) in files.iter().filter(|(file, _)| *file == sql::TABLES) {
            for statement in statements(file, text)? {
                if let Some(Table::Source(table)) = Table::read(file, &statement)? {
                    sources.insert(table.name.clone(), *table);
                }
            }
        }
        files
            .iter()
            .filter(|(file, _)| *file != sql::TABLES)
            .map(|(file, text)| Job::read_one(file, text, &sources))
            .collect()
    }

    fn read_one(file: &str, text: &str, sources: &BTreeMap<String, SourceTable>) -> Result<Job, EngineError> {
        let (mut sink, mut insert, mut ttl) = (None, None, None);
        for statement in statements(file, text)? {
            match Table::read(file, &statement)? {
                Some(Table::Sink(table)) => sink = Some(table),
                Some(Table::Source(table)) => {
                    return Err(EngineError::unsupported(
                        file,
                        format!("the source table {} belongs in sql/{}.sql", table.name, sql::TABLES),
                    ));
                }
                None => match statement.parsed {
                    ast::Statement::Insert(found) => insert = Some(found),
                    other => match updating_ttl(&other) {
                        Some(set) => {
                            ttl = Some(set.map_err(|reason| EngineError::unsupported(file, reason))?);
                        }
                        None => {
                            return Err(EngineError::unsupported(
                                file,
                                format!("`{other}` is neither a table, an INSERT nor SET updating_ttl"),
                            ));
                        }
                    },
                },
            }
        }
        let missing = |what: &str| EngineError::unsupported(file, format!("{what} is missing"));
        let sink: SinkTable = sink.ok_or_else(|| missing("its sink table"))?;
        if sink.name != file {
            return Err(EngineError::unsupported(
                file,
                format!("its table is named {}; a job's file and its table share a name", sink.name),
            ));
        }
        let mut query =
            *insert.and_then(|insert| insert.source).ok_or_else(|| missing("its INSERT … SELECT"))?;
        let mut read = Vec::new();
        let _ = visit_relations(&query, |relation| {
            if let Some(table) = sources.get(&relation.to_string())
                && !read.iter().any(|found: &SourceTable| found.name == table.name)
            {
                read.push(table.clone());
            }
            ControlFlow::<()>::Continue(())
        });
        let ranks = visit_expressions(&query, ranking).is_break();
        let windows = pull_out_windows(file, &mut query)?;
        check_windows(&windows, ttl).map_err(|reason| EngineError::unsupported(file, reason))?;
        Ok(Job {
            name: file.to_owned(),
            class: AssetClass::Stocks,
            topic: Topic::new(sink.topic.clone()),
            base_topic: Topic::new(sink.topic),
            key: sink.key,
            columns: sink.columns,
            reads: read.iter().map(|table| Topic::new(table.topic.clone())).collect(),
            window: windows.first().map(|window| window.hop),
            reach: ttl.filter(|_| windows.is_empty()),
            ranks,
            sources: read,
            windows,
            query,
        })
    }
}

/// Stops at a window function.
fn ranking(expression: &Expr) -> ControlFlow<()> {
    match expression {
        Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

/// Checks that all windows of a job are equal, because only equal windows can be joined, and
/// that a job without windows sets how long it keeps its rows.
fn check_windows(windows: &[WindowedQuery], ttl: Option<Millis>) -> Result<(), String> {
    if windows.iter().any(|window| window.hop != windows[0].hop) {
        return Err("its windows differ: give all of them the same size and slide".into());
    }
    match ttl {
        None if windows.is_empty() => {
            Err("it has no windows: say with SET updating_ttl = INTERVAL '…' how long rows wait to be joined"
                .into())
        }
        Some(..=0) => Err("updating_ttl must be positive".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE;

    #[test]
    fn the_built_in_jobs_say_what_they_read_and_write() {
        let job = Job::named("volatility").unwrap();
        assert_eq!(job.topic.name(), "volatility");
        assert_eq!(job.reads, [model::topic::STOCK_PRICES]);
        assert_eq!(job.window, Some(Hop { size: 30 * MINUTE, slide: MINUTE }));
        let names: Vec<_> = job.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names[..4], ["symbol", "window_start", "window_end", "bars"]);
    }

    #[test]
    fn jobs_say_whether_they_rank_and_how_far_they_join() {
        let named = |name| Job::named(name).unwrap();
        assert!(named("movers").ranks && !named("news_impact").ranks);
        assert_eq!(named("news_reaction").reach, Some(120 * MINUTE));
        assert_eq!((named("news_reaction").window, named("movers").reach), (None, None));
        let both = [model::topic::STOCK_PRICES, model::topic::NEWS_ARTICLES];
        assert_eq!(named("news_impact").reads, both);
    }

    #[test]
    fn windows_that_cannot_be_joined_and_joins_that_never_forget_are_refused() {
        let windowed = |size| {
            format!(
                "(SELECT symbol, hop(INTERVAL '1 minute', INTERVAL '{size}') AS window, count(*) AS n \
                     FROM stock_prices GROUP BY symbol, window)"
            )
        };
        let (table, short, long) = (sink("j"), windowed("5 minutes"), windowed("6 minutes"));
        let differing = format!(
            "{table}; INSERT INTO j SELECT p.symbol FROM {short} p JOIN {long} n ON p.symbol = n.symbol AND p.window = n.window"
        );
        let endless = format!(
            "{table}; INSERT INTO j SELECT p.symbol FROM stock_prices p JOIN stock_prices n ON p.symbol = n.symbol"
        );
        let mistyped = format!("SET updating_ttl = 7; {endless}");
        for (text, said) in [
            (differing, "windows differ"),
            (endless, "SET updating_ttl"),
            (mistyped, "does not set an interval"),
        ] {
            let tables = sql::FILES.iter().copied().filter(|(file, _)| *file == sql::TABLES);
            let files: Vec<_> = tables.chain([("j", text.as_str())]).collect();
            let error = Job::read(&files).unwrap_err().to_string();
            assert!(error.contains("sql/j.sql") && error.contains(said), "{error}");
        }
    }

    #[test]
    fn jobs_are_made_once_for_each_class_and_those_over_news_alone_once() {
        let tables = sql::FILES.iter().copied().filter(|(file, _)| *file == sql::TABLES);
        let of = |from: &str| {
            format!(
                "(SELECT symbol, hop(INTERVAL '1 minute', INTERVAL '5 minutes') AS window, count(*) AS n \
                     FROM {from} GROUP BY symbol, window)"
            )
        };
        let job = |name: &str, from: &str| {
            format!("{}; INSERT INTO {name} SELECT symbol FROM {}", sink(name), of(from))
        };
        let (prices, news) = (job("prices", "stock_prices"), job("news", "news_articles"));
        let files: Vec<_> = tables.chain([("news", news.as_str()), ("prices", prices.as_str())]).collect();
        let jobs = Job::read(&files).unwrap();
        let shown = |classes: &[AssetClass]| {
            let jobs = Job::for_classes(&jobs, classes);
            let shown = jobs
                .iter()
                .map(|job| format!("{}: {} to {} ({})", job.name, job.reads[0], job.topic, job.base_topic));
            shown.collect::<Vec<_>>()
        };
        let news = "news: news-articles to news (news)";
        let stocks = "prices: stock-prices to prices (prices)";
        let crypto = "prices-crypto: crypto-prices to prices-crypto (prices)";
        let currencies = "prices-currencies: currency-prices to prices-currencies (prices)";
        assert_eq!(shown(&[AssetClass::Stocks]), [news, stocks]);
        assert_eq!(shown(&[AssetClass::Crypto]), [news, crypto]);
        assert_eq!(shown(&AssetClass::ALL), [news, stocks, crypto, currencies]);
    }

    fn sink(name: &str) -> String {
        format!(
            "CREATE TABLE {name} (symbol TEXT) WITH (type = 'sink', topic = '{name}', 'sink.key_field' = 'symbol')"
        )
    }

    #[test]
    fn a_job_takes_windows_of_another_size_where_its_slides_fill_them() {
        let volatility = Job::named("volatility").unwrap();
        let longer = volatility.clone().with_window(390 * MINUTE).unwrap();
        assert_eq!(longer.window, Some(Hop { size: 390 * MINUTE, slide: MINUTE }));
        for size in [0, MINUTE / 2, -MINUTE] {
            assert!(volatility.clone().with_window(size).is_err());
        }
        assert!(Job::named("news_reaction").unwrap().with_window(MINUTE).is_err());
    }

    #[test]
    fn an_unknown_job_is_answered_with_those_that_there_are() {
        let error = Job::named("volatilty").unwrap_err().to_string();
        assert!(error.contains("`volatilty`") && error.contains("volatility"), "{error}");
    }

    #[test]
    fn the_windows_that_hold_an_instant_are_found_by_arithmetic() {
        let hop = Hop { size: 30 * MINUTE, slide: MINUTE };
        assert_eq!(hop.first_start(30 * MINUTE + 1), MINUTE);
        assert_eq!(hop.slide_of(30 * MINUTE + 1), 30 * MINUTE);
        assert_eq!(hop.first_start(-1), -30 * MINUTE);
    }
}
