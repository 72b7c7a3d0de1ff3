#![cfg(test)]
//! The pages in a real browser: headless Chromium, driven by WebDriver.
//!
//! Without `chromium` and `chromedriver` on the machine these tests say that
//! they were skipped; CI installs both.

mod accessibility;
#[path = "../command/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of the command, which use more of it")]
mod harness;
mod live_page;
mod pictures;
mod webdriver;
