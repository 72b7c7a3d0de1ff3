// Numbers, times and time zones as the page writes them.

import { recall, remember } from "./remember.js";

const ZONES = [
  { name: "America/New_York", label: "New York" },
  { name: "UTC", label: "UTC" },
];
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (here && !ZONES.some(({ name }) => name === here)) {
  ZONES.push({ name: here, label: `Local, ${here.split("/").at(-1).replaceAll("_", " ")}` });
}

const zoneOf = (wanted) => ZONES.find(({ name }) => name === wanted);
let chosen = zoneOf(recall("zone"));
let zone = chosen ?? ZONES[0];
let parts = partsIn(zone);
let offsets = new Map();

function partsIn({ name }) {
  return new Intl.DateTimeFormat("en-US", {
    timeZone: name, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
}

export const zoneLabel = () => zone.label;

export function nextZone() {
  chosen = ZONES[(ZONES.indexOf(zone) + 1) % ZONES.length];
  remember("zone", chosen.name);
  show(chosen);
}

// The zone of the market that is looked at, unless the reader has chosen one; returns
// whether that changes anything.
export function marketZone(name) {
  const wanted = chosen ?? zoneOf(name) ?? ZONES[0];
  if (wanted === zone) return false;
  show(wanted);
  return true;
}

function show(wanted) {
  zone = wanted;
  parts = partsIn(zone);
  offsets = new Map();
}

// What to add to a time so that its UTC form reads as the zone's clock. Zones
// change on full hours, so one look-up an hour is enough.
function offset(at) {
  const hour = Math.floor(at / 3_600_000);
  let known = offsets.get(hour);
  if (known === undefined) {
    const found = Object.fromEntries(parts.formatToParts(hour * 3_600_000).map(({ type, value }) => [type, value]));
    known = Date.UTC(found.year, found.month - 1, found.day, found.hour, found.minute, found.second) - hour * 3_600_000;
    offsets.set(hour, known);
  }
  return known;
}

export const toZone = (at) => at + offset(at);

export function fromZone(shown) {
  const near = shown - offset(shown);
  return shown - offset(near);
}

const two = (number) => String(number).padStart(2, "0");

export function clock(at) {
  const shown = new Date(toZone(at));
  return `${two(shown.getUTCHours())}:${two(shown.getUTCMinutes())}`;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const year = (at) => new Date(toZone(at)).getUTCFullYear();

// Whether dates say their year: as soon as one of those shown together is not of this year.
export function needsYear(times) {
  const now = year(Date.now());
  return times.some((at) => year(at) !== now);
}

export function shortDate(at, withYear = needsYear([at])) {
  const shown = new Date(toZone(at));
  const date = `${DAYS[shown.getUTCDay()]} ${shown.getUTCDate()} ${MONTHS[shown.getUTCMonth()]}`;
  return withYear ? `${date} ${shown.getUTCFullYear()}` : date;
}

// Without the day of the week, for narrow places.
export const dayAndClock = (at, withYear) => `${shortDate(at, withYear).slice(4)} ${clock(at)}`;

export const dateAndClock = (at, withYear) => `${shortDate(at, withYear)} ${clock(at)}`;

// A sentence whose times, as `2013-10-04 14:30 UTC`, are written in the zone of everything shown.
export const inZone = (text) => text.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC/g, (_, date, hour) => dateAndClock(Date.parse(`${date}T${hour}Z`)));

// A share as percent with a measure's digits; returns carry their sign.
export function percent(value, { decimals, panel }) {
  if (value === null || value === undefined) return "";
  const text = (value * 100).toFixed(decimals);
  return panel === "return" && value > 0 ? `+${text}` : text;
}

export const price = (value) => (value === null || value === undefined ? "" : value.toFixed(value < 10 ? 4 : 2));

export const bigNumber = (value) => Math.round(value).toLocaleString("en-US");

export function span(millis) {
  const seconds = Math.round(millis / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

// Foreign text as it is shown: characters that are not seen and change what is,
// control characters and those of the direction of text, are written out.
const DECEPTIVE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const code = (character) => character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
export const visible = (text) => String(text).replace(DECEPTIVE, (character) => `⟨U+${code(character)}⟩`);

// Text for Plotly, which reads a few tags of its own out of what it is given:
// every character that could begin one is written as an entity.
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
export const plain = (text) => visible(text).replace(/[&<>]/g, (character) => ENTITIES[character]);

export const isWebAddress = (url) => /^https?:\/\//i.test(url ?? "");
