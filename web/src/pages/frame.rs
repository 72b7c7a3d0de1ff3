//! What surrounds every page: the navigation, and the notices that nobody may
//! overlook.

use log::LogError;
use model::time;

use super::moment::clock;
use crate::AppState;
use crate::access::{Role, caller};
use crate::stalled::Stalled;
use crate::status::{Board, Report};

/// The pages that can be gone to: address and name.
const PAGES: &[(&str, &str)] = &[
    ("/", "Live"),
    ("/news", "News"),
    ("/study", "Event study"),
    ("/alerts", "Alerts"),
    ("/explore", "Explore"),
    ("/watchlist", "Watchlist"),
    ("/status", "Status"),
];

/// What `base.html` needs, under the name `frame` in every page's template.
pub(crate) struct Frame {
    /// The folder of scripts and styles.
    pub(crate) assets: String,
    /// What the services say.
    pub(crate) report: Report,
    /// Whether somebody has signed in here, and may sign out.
    pub(crate) signs_out: bool,
    /// Whether whoever looks may change something.
    pub(crate) may_change: bool,
    /// Whose page it is, where there are names.
    pub(crate) name: Option<String>,
    at: &'static str,
}

impl Frame {
    /// The frame of the page at an address of the navigation, or of none.
    pub(crate) async fn around(site: &AppState, at: &'static str) -> Result<Frame, LogError> {
        let report = site.report().await?;
        Ok(Frame { report, at, ..Frame::without_notices(site) })
    }

    /// The frame where the log cannot be asked: nothing is known of the services.
    pub(crate) fn without_notices(site: &AppState) -> Frame {
        let (assets, report) = (site.assets.folder(), Board::default().report());
        let caller = caller();
        let signs_out = caller.as_ref().is_some_and(|caller| caller.signs_out);
        let may_change = caller.as_ref().is_none_or(|caller| caller.role == Role::Owner);
        let named = signs_out && site.people.have_names() || site.access.proxy_names.is_some();
        let name = caller.filter(|_| named).map(|caller| caller.name);
        Frame { assets, report, signs_out, may_change, name, at: "" }
    }

    /// Address and name of every page, and whether it is this one.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        PAGES.iter().map(|&(address, name)| (address, name, address == self.at))
    }
}

impl Stalled {
    /// The notice, as a sentence.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}, since {}.", self.service, self.reason, clock(time::minute_of(self.since)))
    }
}
