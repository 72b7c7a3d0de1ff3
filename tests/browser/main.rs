#![cfg(test)]
//! The live page in a real browser: headless Chromium, driven by WebDriver.
//!
//! Without `chromium` and `chromedriver` on the machine these tests say that
//! they were skipped; CI installs both.

#[path = "../command/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of the command, which use more of it")]
mod harness;
mod live_page;
mod webdriver;
