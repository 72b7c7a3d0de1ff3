// The live page: history once, then the stream; both may be taken in twice.

import { Chart } from "./chart.js";
import { fromZone, marketZone, price, percent, toZone } from "./format.js";
import { Legend } from "./legend.js";
import * as news from "./news.js";
import { save } from "./picture.js";
import * as recent from "./recent.js";
import { Series } from "./series.js";
import * as status from "./status.js";
import { Stream } from "./stream.js";
import { Table } from "./table.js";

const TRY_AGAIN = 3_000;
// What the stream does not bring is fetched this long after it was missed first.
const COLLECT = 5_000;
// History brought at once, when the chart is moved before what it has: two days.
const OLDER_BARS = 2 * 16 * 60;

const at = (id) => document.getElementById(id);
const legend = new Legend({ changed: () => chart.drawSoon() });
const chart = new Chart(at("chart"), legend, { older: () => older() });
const table = new Table({ select: (symbol) => select(symbol, true) });
const stream = new Stream({ update: take, reset: anew, state: status.connection });

const offered = at("live").dataset.symbol;
let series = new Series(offered);
let loading = null;
let recomputed = null;
let collecting = false;
let unknown = false;
let bringing = false;

function select(symbol, remember) {
  if (remember) {
    const address = new URL(location.href);
    address.searchParams.set("symbol", symbol);
    if (address.href !== location.href) history.pushState(null, "", address);
  }
  if (symbol === series.symbol) return;
  series = new Series(symbol);
  unknown = false;
  others();
  stream.close();
  load();
}

// What was shown may be of another log: nothing of it stays.
function anew() {
  series = new Series(series.symbol);
  table.clear();
  load();
}

// Reads the history of the symbol, then listens from where it ends. The cursor
// is older than everything that is read after it, the table included.
async function load() {
  loading?.abort();
  const mine = (loading = new AbortController());
  heading();
  try {
    let place = "";
    if (series.symbol) {
      const answer = await read(`/api/v1/series?compact=true&symbol=${encodeURIComponent(series.symbol)}`, mine.signal);
      unknown = answer === null;
      if (answer !== null) {
        series.load(answer);
        if (marketZone(answer.zone)) dispatchEvent(new Event("zonechange"));
      }
      place = answer?.cursor ?? "";
      changed();
    }
    stream.open(series.symbol, place);
    known(await read("/api/v1/symbols", mine.signal));
    table.loadSparks(await read("/api/v1/sparks", mine.signal));
    heading();
    others();
    chooseIfNone();
  } catch (error) {
    if (mine.signal.aborted) return;
    status.connection("bad", "cannot load, trying again");
    console.error(error);
    setTimeout(() => mine === loading && load(), TRY_AGAIN);
  }
}

// Brings more history, once at a time; the chart asks again while it needs more.
async function older() {
  if (bringing) return;
  bringing = true;
  const mine = series;
  try {
    const asked = new URLSearchParams({ compact: true, symbol: mine.symbol, to: mine.bars.times[0], limit: OLDER_BARS });
    const answer = await read(`/api/v1/series?${asked}`);
    if (answer === null) mine.moreBefore = false;
    else mine.prepend(answer);
  } catch (error) {
    console.error(error);
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN));
  } finally {
    bringing = false;
  }
  if (mine === series) changed();
}

// Nothing where nothing is known of what was asked for.
async function read(path, signal) {
  const answer = await fetch(path, { signal });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// The data of an event.
function take(update) {
  if (series.take(update)) changed();
  if (series.isPastItsSessions()) loadSoon();
  if (update.latest) {
    table.take(update.latest);
    if (unknown && table.symbols.has(series.symbol)) loadSoon();
    if (!table.measures.length && update.latest.some(({ volatility }) => volatility)) columns();
    heading();
    chooseIfNone();
  }
  if (update.status) {
    status.show(update.status);
    recent.heard(update.status);
    corrected(update.status);
  }
}

// Windows that late bars touched are computed again in the store, past the
// stream, and gaps are recorded and filled there.
function corrected({ services }) {
  const count = services.reduce((sum, { counts }) => sum + (counts.recomputed ?? 0) + (counts.gaps ?? 0), 0);
  const more = recomputed !== null && count > recomputed;
  recomputed = count;
  if (more) loadSoon();
}

function loadSoon() {
  if (collecting) return;
  collecting = true;
  setTimeout(() => {
    collecting = false;
    load();
  }, COLLECT);
}

// The first rows of a new folder bring the columns with them.
async function columns() {
  if (columns.asked) return;
  columns.asked = true;
  try {
    known(await read("/api/v1/symbols"));
  } catch (error) {
    console.error(error);
  } finally {
    columns.asked = false;
  }
}

// The answer of /api/v1/symbols.
function known(answer) {
  table.load(answer);
  if (series.measures.length > 0 || answer.measures.length === 0) return;
  series.measures = answer.measures;
  changed();
}

// Instead of a chart of what is not known, the symbols that are.
function others() {
  at("unknown").hidden = !unknown;
  if (!unknown) return;
  at("unknown-symbol").textContent = series.symbol;
  const links = [...table.symbols.keys()].sort().slice(0, 60).map((symbol) => {
    const link = document.createElement("a");
    link.href = `?symbol=${encodeURIComponent(symbol)}`;
    link.textContent = symbol;
    return link;
  });
  at("known-symbols").replaceChildren(...links.flatMap((link) => [link, " "]));
}

function changed() {
  chart.follow(series, unknown);
  news.show(series.news());
}

// On a folder that was empty, the first symbol that appears is shown.
function chooseIfNone() {
  const [first] = series.symbol ? [] : table.sorted();
  if (first) select(first.symbol, false);
}

function heading() {
  const { symbol } = series;
  const held = table.symbols.get(symbol);
  document.title = `${symbol || "Live"} · Tickwire`;
  at("selected").textContent = symbol;
  at("quote").textContent = held ? quote(held) : "";
  status.source(held?.bar?.source);
  table.selected(symbol);
  if (symbol) files(symbol);
}

// What can be downloaded is of the symbol that is shown.
function files(symbol) {
  const shown = `${symbol} ${series.table}`;
  if (at("files") === null || at("files").dataset.shown === shown) return;
  at("files").dataset.shown = shown;
  at("files-symbol").textContent = symbol;
  for (const link of at("files").querySelectorAll("a")) {
    const asked = new URLSearchParams({ symbol, format: link.dataset.format });
    if (link.dataset.bars !== undefined && series.table) link.dataset.measurement = series.table;
    link.href = `/api/v1/export/${link.dataset.measurement}?${asked}`;
  }
  at("series-link").href = `/api/v1/series?symbol=${encodeURIComponent(symbol)}`;
  at("series-link").textContent = `series of ${symbol}`;
}

function quote({ bar, volatility }) {
  const parts = bar ? [price(bar.close)] : [];
  for (const name of ["log_return", "realized"]) {
    const measure = table.measures.find((measure) => measure.name === name);
    const text = measure && percent(volatility?.[name], measure);
    if (text) parts.push(`${measure.label.toLowerCase()} ${text} %`);
  }
  return parts.join(" · ");
}

// The time of one's own, in the zone that everything is shown in.
at("own-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const [from, to] = ["own-from", "own-to"].map((id) => fromZone(Date.parse(`${at(id).value}Z`)));
  at("own-problem").textContent = from < to ? "" : "The end must lie after the beginning.";
  if (!(from < to)) return;
  chart.showOwn(from, to);
  at("own").open = false;
});

at("own").addEventListener("toggle", () => {
  if (!at("own").open || series.bars.length === 0) return;
  const local = (time) => new Date(toZone(time)).toISOString().slice(0, 16);
  const view = chart.view();
  [at("own-from").value, at("own-to").value] = [local(view.from), local(view.to)];
});

at("picture").addEventListener("click", () => save(at("chart"), `${series.symbol}-${new Date().toISOString().slice(0, 10)}`));

function zoneChanged() {
  status.times();
  recent.times();
  table.drawSoon();
  changed();
}

addEventListener("zonechange", zoneChanged);
addEventListener("themechange", () => chart.restyle());

addEventListener("popstate", () => {
  const symbol = new URL(location.href).searchParams.get("symbol") ?? offered;
  if (symbol) select(symbol, false);
});

zoneChanged();
load();
