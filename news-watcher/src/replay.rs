//! A file of articles, played back by publication.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use files::FileError;
use log::time_bounds::RowTimes;
use model::time::{self, Millis};
use model::{Article, DeadLetter};
use tokio::task::spawn_blocking;

use crate::NewsError;
use crate::follow::Source;

pub(crate) struct Replay {
    name: String,
    articles: VecDeque<Article>,
    length: u64,
    ends: Option<Millis>,
    bad_rows: Vec<DeadLetter>,
    /// The first place from which on the file, or a part of it, could not be read.
    unread: Option<FileError>,
}

impl Replay {
    /// Reads the whole file: its articles need not be in order.
    pub(crate) async fn open(path: PathBuf) -> Result<Replay, NewsError> {
        let read = spawn_blocking(move || read(&path)).await;
        Ok(read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?)
    }
}

fn read(path: &Path) -> Result<Replay, FileError> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let (mut articles, mut bad_rows, mut unread) = (Vec::new(), Vec::new(), None);
    for row in files::articles(path)? {
        match row {
            Ok(placed) => articles.push((placed.line, placed.value)),
            Err(bad) => {
                if unread.is_none() {
                    unread = bad.ends_file(&path.display().to_string());
                }
                let source = format!("replay:{}:{}", bad.file(&name), bad.line);
                bad_rows.push(DeadLetter::new(source, bad.reason, &bad.text, time::now()));
            }
        }
    }
    // Stable: articles of one instant stay in the order of the file.
    articles.sort_by_key(|(_, article)| article.published_timestamp);
    let mut near = VecDeque::with_capacity(articles.len());
    let mut times = RowTimes::default();
    for (line, article) in articles {
        let at = article.published_timestamp;
        match times.check(at) {
            Ok(()) => near.push_back(article),
            Err(reason) => {
                let text = serde_json::to_vec(&article).unwrap_or_default();
                bad_rows.push(DeadLetter::new(format!("replay:{name}:{line}"), reason, &text, time::now()));
            }
        }
    }
    let articles = near;
    let ends = articles.back().map(|article| article.published_timestamp);
    Ok(Replay { name, length: articles.len() as u64, articles, ends, bad_rows, unread })
}

impl Source for Replay {
    fn name(&self) -> String {
        format!("replay of {}", self.name)
    }

    fn next_before(&mut self, until: Millis) -> Option<Article> {
        self.articles.pop_front_if(|article| article.published_timestamp < until)
    }

    fn ends(&self) -> Option<Option<Millis>> {
        Some(self.ends)
    }

    fn take_unread(&mut self) -> Option<FileError> {
        self.unread.take()
    }

    fn take_bad_rows(&mut self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.bad_rows)
    }

    fn check(&self, written: u64) -> Result<(), NewsError> {
        if written > self.length {
            return Err(NewsError::Shorter { file: self.name.clone(), articles: self.length, written });
        }
        Ok(())
    }
}
