// The newest alerts beside the table: asked for again when their service says
// that one has opened or closed. One that opens is marked until it is seen.

import { turns } from "./episodes.js";
import { dateAndClock, inZone, visible } from "./format.js";

const SHOWN = 8;
// What has just been told is stored a moment later, and under load later still.
const STORED_AFTER = [1_000, 4_000];

const list = document.getElementById("recent");
const none = document.getElementById("no-recent");
let known;

export function heard(status) {
  const now = turns(status);
  if (known !== undefined && now !== known) STORED_AFTER.forEach((wait) => setTimeout(ask, wait));
  known = now;
}

export function times() {
  for (const time of list.querySelectorAll("time")) time.textContent = dateAndClock(Number(time.dataset.at));
  for (const item of list.children) item.title = inZone(item.dataset.why);
}

async function ask() {
  try {
    const answer = await fetch(`/api/v1/alerts?limit=${SHOWN}`);
    if (answer.ok) show((await answer.json()).alerts);
  } catch (error) {
    console.error(error);
  }
}

function show(alerts) {
  const held = new Set([...list.children].map(({ dataset }) => dataset.episode));
  const lines = alerts.map((alert) => line(alert, held.has(alert.episode)));
  if (lines.map((one) => one.outerHTML).join() === list.innerHTML) return;
  list.replaceChildren(...lines);
  none.hidden = lines.length > 0;
}

function line({ episode, symbol, rule, opened, closed, explanation }, isKnown) {
  const item = document.createElement("li");
  item.dataset.episode = episode;
  item.dataset.why = visible(explanation);
  item.title = inZone(item.dataset.why);
  item.classList.toggle("open", closed === undefined || closed === null);
  item.classList.toggle("fresh", !isKnown);
  const time = document.createElement("time");
  time.dataset.at = String(opened);
  time.dateTime = new Date(opened).toISOString();
  time.textContent = dateAndClock(opened);
  const link = document.createElement("a");
  link.href = `/?symbol=${encodeURIComponent(symbol)}`;
  const name = document.createElement("b");
  name.textContent = symbol;
  link.append(name);
  item.append(time, link, ` ${visible(rule)}`);
  if (item.classList.contains("open")) {
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.textContent = "open";
    item.append(" ", mark);
  }
  return item;
}
