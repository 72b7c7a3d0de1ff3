// What every page can do: change its theme and its time zone, write its times in
// that zone, and go on saying what stands still.

import { dateAndClock, nextZone, zoneLabel } from "./format.js";
import * as notices from "./notices.js";
import { remember } from "./remember.js";

const LOOK_AGAIN = 15_000;

const at = (id) => document.getElementById(id);
const root = document.documentElement;
const darkness = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : darkness.matches);

function named() {
  at("theme-name").textContent = isDark() ? "Dark" : "Light";
  at("zone-name").textContent = zoneLabel();
}

// Times as the server wrote them, in UTC, are written in the reader's zone.
function times() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    time.textContent = dateAndClock(Number(time.dataset.at));
  }
}

at("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember("theme", root.dataset.theme);
  named();
  dispatchEvent(new Event("themechange"));
});

at("zone").addEventListener("click", () => {
  nextZone();
  dispatchEvent(new Event("zonechange"));
});

darkness.addEventListener("change", () => {
  named();
  dispatchEvent(new Event("themechange"));
});

// The live page hears the same from its stream.
async function look() {
  if (document.visibilityState !== "visible") return;
  try {
    const answer = await fetch("/api/v1/status");
    if (!answer.ok) return;
    const report = await answer.json();
    if (report.simulated) notices.simulation();
    notices.stalled(report.stalled);
  } catch {
    notices.stalled([], "Tickwire does not answer; what is shown may be old.");
  }
}

addEventListener("timeschange", times);
// Also where the market that is looked at brings its zone.
addEventListener("zonechange", () => {
  named();
  times();
});

named();
times();
if (at("live") === null) setInterval(look, LOOK_AGAIN);
