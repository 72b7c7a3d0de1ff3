#![cfg(test)]
//! The pages in a real browser: headless Chromium, driven by WebDriver.
//!
//! Without `chromium` and `chromedriver` on the machine these tests say that
//! they were skipped; CI installs both.

mod accessibility;
mod alerts_page;
mod explore_page;
#[path = "../command/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of the command, which use more of it")]
mod harness;
mod live_page;
mod news_page;
mod pictures;
mod status_page;
mod story;
mod study_page;
mod watchlist_page;
mod webdriver;
mod weight;
