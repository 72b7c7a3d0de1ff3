//! Previews: what a term would have found lately, for who thinks about
//! watching it. Nothing of it goes onto `news-articles`.

use control::preview::{Headline, Preview, Question};
use model::time::{self, DAY, Millis, rfc3339};

use super::answer::{CallError, Page};
use super::api::Request;

/// How far a preview looks back.
const LOOK_BACK: Millis = 7 * DAY;
/// Headlines shown of what was found.
const SHOWN: usize = 12;

/// The page that a preview shows.
pub(super) fn request(now: Millis) -> Request {
    Request { from: now - LOOK_BACK, to: None, page: 1 }
}

/// The answer where no call can be spared.
pub(super) fn not_now(question: &Question, until: Millis) -> Preview {
    let until = rfc3339(until);
    Preview::refusal(question, format!("the quota of the key spares no call before {until}"))
}

/// The answer where a call was made.
pub(super) fn answer_to(question: &Question, answer: Result<Page, CallError>) -> Preview {
    let page = match answer {
        Ok(page) => page,
        Err(CallError::Search(said)) => {
            return Preview::refusal(question, format!("it refuses the term: {said}"));
        }
        Err(CallError::Trouble { said, .. }) => return Preview::refusal(question, said),
        Err(CallError::TooMany(_)) => return Preview::refusal(question, "there were too many calls"),
        Err(CallError::Key(said)) => {
            return Preview::refusal(question, format!("it refuses the key: {said}"));
        }
        // A first page is there, and not deep.
        Err(CallError::BeyondTheEnd | CallError::TooDeep) => {
            return Preview::refusal(question, "it has no page");
        }
    };
    let mut items: Vec<_> = page.items.into_iter().flatten().collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.published));
    let headlines = items.into_iter().take(SHOWN).map(|item| Headline {
        headline: item.headline,
        url: item.url,
        section_name: item.section_name,
        published_timestamp: item.published,
    });
    let headlines = headlines.collect();
    Preview { id: question.id.clone(), at: time::now(), total: page.total, headlines, refused: None }
}
