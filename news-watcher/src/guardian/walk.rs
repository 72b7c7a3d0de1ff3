//! A walk over the pages of one search, which shift while they are read.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use model::time::{self, HOUR, Millis};

use super::answer::{CallError, Page};
use super::api::Request;

/// How often the pages are gone through before it is left to a later poll.
const MOST_PASSES: u32 = 5;
/// Results of one walk, as many as five times the depth to which the server pages: one
/// that names more and more pages is given up.
const MOST_RESULTS: usize = 200_000;
/// Pages of one walk without a result that it has not had before.
const MOST_IDLE: u32 = 5_000;
/// How far the clocks of the server and of this machine may be apart, to be believed: one
/// of them may have the wrong zone or summer time.
const CLOCKS_APART: Millis = 2 * HOUR;

/// How far a search has been read.
#[derive(Debug)]
pub(crate) struct Pagination {
    request: Request,
    /// Everything modified before this time has been found once the walk is done.
    started: Option<Millis>,
    /// The hashes of the identities.
    seen: HashSet<u64>,
    /// Pages in a row that brought no unseen result.
    idle: u32,
    /// The last page's count of results, within this pass.
    total: Option<u64>,
    /// Whether results may have slipped past a page's edge in this pass.
    slipped: bool,
    /// Whether this pass has brought an unseen result.
    fresh: bool,
    passes: u32,
    oldest: Option<Millis>,
}

/// Whether a walk goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another page is to be asked for.
    More,
    /// All has been read that was modified before this time.
    Done(Millis),
    /// It cannot be read whole.
    Stuck(String),
    /// The same page is to be asked for again, after so long where the server says.
    TooMany(Option<Duration>),
    /// The same page is to be asked for again.
    NoAnswer {
        /// What happened.
        said: String,
        /// After so long, where the server says.
        wait: Option<Duration>,
    },
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

impl Pagination {
    /// Over everything modified since `from`.
    pub(crate) fn new(from: Millis) -> Pagination {
        Pagination {
            request: Request { from, to: None, page: 1 },
            started: None,
            seen: HashSet::new(),
            idle: 0,
            total: None,
            slipped: false,
            fresh: false,
            passes: 1,
            oldest: None,
        }
    }

    /// The page to be asked for.
    pub(crate) fn request(&self) -> Request {
        self.request
    }

    /// Goes on with the answer to the page asked for at `asked`.
    pub(crate) fn step(&mut self, answer: Result<Page, CallError>, asked: Millis) -> Step {
        match answer {
            // Of two clocks the slower one promises less.
            Ok(page) => {
                let date = page.date.filter(|date| date.abs_diff(asked) <= CLOCKS_APART.unsigned_abs());
                self.take(&page, date.map_or(asked, |date| date.min(asked)))
            }
            Err(CallError::BeyondTheEnd) => self.beyond(asked),
            Err(CallError::TooDeep) => self.too_deep(),
            Err(CallError::Search(said) | CallError::Key(said)) => Step::Stuck(said),
            Err(CallError::TooMany(wait)) => Step::TooMany(wait),
            Err(CallError::Trouble { said, wait }) => Step::NoAnswer { said, wait },
        }
    }

    fn take(&mut self, page: &Page, asked: Millis) -> Step {
        self.started.get_or_insert(asked);
        let before = self.seen.len();
        for item in page.items.iter().flatten() {
            self.fresh |= self.seen.insert(hash(&item.id));
            let updated = item.updated.filter(|at| time::is_believable(*at));
            self.oldest = [self.oldest, updated].into_iter().flatten().min();
        }
        self.idle = if self.seen.len() > before { 0 } else { self.idle + 1 };
        if self.seen.len() > MOST_RESULTS || self.idle > MOST_IDLE {
            return Step::Stuck("the pages have no end".into());
        }
        // Results move towards the first page only when there are fewer of them.
        self.slipped |= self.total.is_some_and(|before| page.total < before);
        self.total = Some(page.total);
        if self.request.page < page.pages && !page.items.is_empty() {
            self.request.page += 1;
            return Step::More;
        }
        self.end_of_pass()
    }

    /// There is no such page any more.
    fn beyond(&mut self, asked: Millis) -> Step {
        self.started.get_or_insert(asked);
        self.slipped |= self.request.page > 1;
        self.end_of_pass()
    }

    /// The page lies too deep: what was modified after the oldest result so far is left out.
    fn too_deep(&mut self) -> Step {
        let to = self.oldest.filter(|&oldest| self.request.to.is_none_or(|to| oldest < to));
        match to {
            Some(_) => {
                self.request = Request { to, page: 1, ..self.request };
                self.total = None;
                Step::More
            }
            None => Step::Stuck("more articles were modified in one second than can be paged through".into()),
        }
    }

    fn end_of_pass(&mut self) -> Step {
        let done = Step::Done(self.started.unwrap_or(self.request.from));
        if !self.slipped || (self.passes > 1 && !self.fresh) {
            return done;
        }
        if self.passes == MOST_PASSES {
            return Step::Stuck("the pages kept shifting while they were read".into());
        }
        self.passes += 1;
        self.request = Request { to: None, page: 1, ..self.request };
        (self.total, self.slipped, self.fresh) = (None, false, false);
        Step::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guardian::answer::page;

    const T: Millis = 1_700_000_000_000;

    /// The answer with so many pages, and one result with this identity.
    fn answer(id: u32, date: Option<Millis>) -> Result<Page, CallError> {
        let result = format!(
            r#"{{"id":"{id}","webTitle":"A","webUrl":"https://e.org","webPublicationDate":"2014-09-10T16:10:21Z"}}"#
        );
        let body = format!(
            r#"{{"response":{{"status":"ok","total":9,"pages":{},"results":[{result}]}}}}"#,
            u64::MAX
        );
        page(body.as_bytes(), date)
    }

    #[test]
    fn pages_without_end_are_given_up_whether_they_repeat_or_not() {
        for (step, most) in [(0, MOST_IDLE as usize + 5), (1, MOST_RESULTS + 5)] {
            let mut walk = Pagination::new(T);
            let pages = (0..).take_while(|n| walk.step(answer(n * step, None), T) == Step::More).count();
            assert!(pages < most, "{pages}");
        }
    }

    #[test]
    fn a_server_whose_clock_is_far_off_does_not_say_what_is_complete() {
        for (date, done) in [(T - 5, T - 5), (T + 5, T), (0, T), (7_000_000_000_000, T)] {
            let mut walk = Pagination::new(T);
            let page = answer(1, Some(date)).map(|page| Page { pages: 1, ..page });
            assert_eq!(walk.step(page, T), Step::Done(done), "{date}");
        }
    }
}
