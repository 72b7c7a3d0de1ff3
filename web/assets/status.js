// The status line of the live page, and what of it belongs into the bands above.

import { dateAndClock, span, visible } from "./format.js";
import * as notices from "./notices.js";

const at = (id) => document.getElementById(id);

let report = null;
let lost = "";

export function connection(state, text) {
  at("stream").dataset.state = state;
  setText(at("stream"), text);
  lost = state === "bad" ? `The connection to Tickwire is ${text}; what is shown may be old.` : "";
  stalled();
}

// What the services said last.
export function show(said) {
  report = said;
  if (said.simulated) notices.simulation();
  setText(at("source"), visible(said.source ?? "no source yet"));
  setText(at("late"), said.late.toLocaleString("en-US"));
  setText(at("rejected"), said.rejected.toLocaleString("en-US"));
  at("rejected").classList.toggle("warn", said.rejected > 0);
  services(said.services);
  times();
  stalled();
}

// Where prices come from.
export function source(name) {
  if (name === "simulation") notices.simulation();
}

// What stands still, in a band that nobody overlooks.
function stalled() {
  if (report === null && lost === "") return;
  notices.stalled(report?.stalled ?? [], lost);
}

// Again after the time zone has changed.
export function times() {
  const watermark = report?.watermark ?? Number(at("watermark").dataset.at ?? NaN);
  if (Number.isFinite(watermark)) setText(at("watermark"), dateAndClock(watermark));
  if (report === null) return;
  if (report.lag === null) setText(at("lag"), "–");
  // In a live run it grows while nothing comes.
  else if (report.lag_behind === "clock") setText(at("lag"), `${span(Math.max(report.lag, Date.now() - report.watermark))} behind the clock`);
  else setText(at("lag"), span(report.lag));
}

function services(list) {
  const shown = list.map((service) => {
    const item = document.createElement("li");
    const state = document.createElement("span");
    state.textContent = visible(service.state);
    item.append(visible(service.service), " ", state);
    item.title = Object.entries(service.counts).map(([name, count]) => `${name} ${count.toLocaleString("en-US")}`).join(", ");
    return item;
  });
  at("services").replaceChildren(...shown);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
