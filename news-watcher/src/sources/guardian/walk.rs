//! A walk over the pages of one search, which shift while they are read.

use std::collections::HashSet;
use std::time::Duration;

use wire::time::Millis;

use super::answer::{CallError, Page};
use super::query::Request;

/// How often the pages are gone through before it is left to a later poll.
const MOST_PASSES: u32 = 5;

/// How far a search has been read.
#[derive(Debug)]
pub(crate) struct Walk {
    request: Request,
    /// Everything modified before this time has been found once the walk is done.
    started: Option<Millis>,
    seen: HashSet<String>,
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

impl Walk {
    /// Over everything modified since `from`.
    pub(crate) fn new(from: Millis) -> Walk {
        Walk {
            request: Request { from, to: None, page: 1 },
            started: None,
            seen: HashSet::new(),
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
            Ok(page) => self.take(&page, page.date.map_or(asked, |date| date.min(asked))),
            Err(CallError::BeyondTheEnd) => self.beyond(asked),
            Err(CallError::TooDeep) => self.too_deep(),
            Err(CallError::Search(said) | CallError::Key(said)) => Step::Stuck(said),
            Err(CallError::TooMany(wait)) => Step::TooMany(wait),
            Err(CallError::Trouble { said, wait }) => Step::NoAnswer { said, wait },
        }
    }

    fn take(&mut self, page: &Page, asked: Millis) -> Step {
        self.started.get_or_insert(asked);
        for item in page.items.iter().flatten() {
            self.fresh |= self.seen.insert(item.id.clone());
            self.oldest = [self.oldest, item.updated].into_iter().flatten().min();
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
