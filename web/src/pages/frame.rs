//! What surrounds every page: the navigation, and the notices that nobody may
//! overlook.

use wire::log::LogError;
use wire::time;

use super::moment::clock;
use crate::Site;
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
    /// Whether one signs in here, and so may sign out.
    pub(crate) signs_in: bool,
    at: &'static str,
}

impl Frame {
    /// The frame of the page at an address of the navigation, or of none.
    pub(crate) async fn around(site: &Site, at: &'static str) -> Result<Frame, LogError> {
        let report = site.report().await?;
        Ok(Frame { assets: site.assets.folder(), report, signs_in: site.access.password.is_some(), at })
    }

    /// The frame where the log cannot be asked: nothing is known of the services.
    pub(crate) fn without_notices(site: &Site) -> Frame {
        let (assets, report) = (site.assets.folder(), Board::default().report());
        Frame { assets, report, signs_in: site.access.password.is_some(), at: "" }
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
