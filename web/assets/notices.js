// The bands above every page: that nothing here is a real market, and what stands still.

import { dateAndClock, visible } from "./format.js";

const at = (id) => document.getElementById(id);

export function simulation() {
  at("simulation").hidden = false;
}

// What stands still as the services say, and what is wrong beside it, if anything.
export function stalled(services, more = "") {
  const texts = services.map(({ service, reason, since }) => `${visible(service)}: ${visible(reason)}, since ${dateAndClock(since)}.`);
  if (more !== "") texts.unshift(more);
  at("stalled").hidden = texts.length === 0;
  const text = texts.join(" ");
  // Said once: what is written again is read out again.
  if (at("stalled-text").textContent !== text) at("stalled-text").textContent = text;
}
