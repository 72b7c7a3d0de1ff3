// The chart on the page: which time it shows, and when it is drawn.

import { colours } from "./colours.js";
import { figure } from "./figure.js";
import { fromZone, isWebAddress } from "./format.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NARROW = 640;
// A drawing that took long is given this many times as long before the next.
const REST = 4;
const SHORTEST_REST = 200;
// A window with as many bars stands for its symbol.
const ENOUGH_BARS = Number(document.getElementById("live").dataset.enough);

// The colours of the style sheet that the figure is drawn in.
const USED = [
  "up", "down", "volume", "news", "share", "grid", "ink", "quiet", "paper", "shade", "missing",
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((number) => `line-${number}`),
];

const CONFIG = {
  displaylogo: false, scrollZoom: false, doubleClick: false, showTips: false,
  modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "toImage"]],
};

export class Chart {
  // `older` is told up to what time history is to be brought.
  constructor(element, legend, { older }) {
    this.element = element;
    this.older = older;
    this.legend = legend;
    this.series = null;
    // "hour", "session", "all" and "week" follow the newest bar; an own range stays.
    this.range = "session";
    this.own = null;
    this.pointed = null;
    this.drawn = 0;
    this.dragged = false;
    this.asked = false;
    this.busy = false;
    this.restUntil = 0;
    this.looks = null;
    for (const button of document.querySelectorAll("[data-range]")) {
      button.addEventListener("click", () => this.show(button.dataset.range));
    }
    // While the chart is dragged, drawing would take it out of the hand.
    element.addEventListener("pointerdown", () => (this.dragged = true));
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => this.released());
    new ResizeObserver(() => this.restyle()).observe(element);
  }

  // Takes another series, or the same with more in it.
  follow(series, unknown) {
    this.unknown = unknown;
    if (this.series?.symbol !== series.symbol) this.own = null;
    this.series = series;
    this.drawSoon();
  }

  show(range) {
    if (range !== "live") this.range = range;
    this.own = null;
    this.drawSoon();
  }

  // A time of the reader's own choice.
  showOwn(from, to) {
    this.own = { from, to };
    this.drawSoon();
  }

  restyle() {
    this.looks = null;
    this.drawSoon();
  }

  // Draws in a coming frame, the fewer the longer a drawing takes.
  drawSoon() {
    this.asked = true;
    if (this.busy || this.dragged || this.series === null) return;
    this.busy = true;
    const rest = Math.max(0, this.restUntil - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.draw()), rest);
  }

  released() {
    this.dragged = false;
    if (this.asked) this.drawSoon();
  }

  async draw() {
    try {
      const plotly = await loaded();
      if (!this.dragged) {
        this.asked = false;
        await this.render(plotly);
      }
    } catch (error) {
      console.error(error);
      this.note("The chart could not be drawn. Reload the page; the table below is complete without it.");
    }
    this.busy = false;
    if (this.asked) this.drawSoon();
  }

  async render(plotly) {
    const empty = this.series.bars.length === 0;
    this.note(empty && !this.unknown ? `Waiting for the first bars${this.series.symbol && ` of ${this.series.symbol}`}.` : "");
    if (empty) return this.clear(plotly);
    const began = performance.now();
    const wanted = this.view();
    if (wanted.from < this.series.bars.times[0] - MINUTE && this.series.moreBefore) this.older();
    const view = { ...wanted, drawn: (this.drawn += 1) };
    const { data, layout } = figure(this.series, view, this.legend.isHidden, this.look());
    await plotly.react(this.element, data, layout, { ...CONFIG, displayModeBar: this.look().narrow ? false : "hover" });
    if (view.drawn === 1) {
      performance.mark("first chart");
      this.listen();
    }
    this.element.dataset.drawn = String(view.drawn);
    this.mark();
    this.legend.show(this.series.measures);
    this.point();
    const took = performance.now() - began;
    this.restUntil = performance.now() + Math.max(SHORTEST_REST, REST * took);
  }

  note(text) {
    const note = document.getElementById("chart-note");
    note.hidden = text === "";
    note.textContent = text;
  }

  clear(plotly) {
    if (this.drawn > 0) plotly.purge(this.element);
    this.drawn = 0;
    this.legend.point(null, null);
  }

  // Shows the values at the time that is pointed at, else the newest.
  point() {
    const { bars, volatility } = this.series;
    // As in the table: the thin windows at the end of a day do not stand for the symbol.
    if (this.pointed === null) return this.legend.point(bars.last, volatility.newest((row) => (row.bars ?? ENOUGH_BARS) >= ENOUGH_BARS));
    this.legend.point(bars.at(this.pointed), volatility.at(this.pointed));
  }

  // The time shown: [from, to] in epoch milliseconds.
  view() {
    if (this.own !== null) return this.own;
    const { bars, volatility } = this.series;
    const [first, last] = [bars.times[0], bars.times.at(-1)];
    const to = Math.max(last, Math.min(volatility.times.at(-1) ?? last, last + 2 * MINUTE)) + 2 * MINUTE;
    if (this.range === "hour") return { from: this.series.before(to, HOUR), to };
    if (this.range === "week") return { from: this.series.daysBack(5) - 2 * MINUTE, to };
    const from = this.range === "all" ? this.lastTwoDays(first) : Math.max(first, this.sessionStart(last));
    // The first minutes of a day are shown at a width that can be read.
    return { from: Math.min(bars.times[bars.from(from)] - MINUTE, this.series.before(to, HOUR / 2)), to };
  }

  // However much history has been brought.
  lastTwoDays(first) {
    return this.series.sessions.length > 3 ? Math.max(first, this.series.daysBack(2)) : first;
  }

  // Shortly before the open. Until half an hour after it, too little has
  // happened to be looked at alone, and the session before stays in view.
  sessionStart(last) {
    const days = this.series.sessions.filter(({ pre_open }) => pre_open <= last);
    const [before, day] = days.length > 1 ? days.slice(-2) : [undefined, days[0]];
    if (day === undefined) return last - 8 * HOUR;
    if (last >= day.open + HOUR / 2) return day.open - HOUR / 2;
    return before === undefined ? day.pre_open : before.open - HOUR / 2;
  }

  listen() {
    this.element.on("plotly_relayout", (change) => {
      const range = [change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0], change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1]];
      if (range[0] === undefined || range[1] === undefined) return;
      const [from, to] = range.map((text) => fromZone(typeof text === "number" ? text : Date.parse(`${text.replace(" ", "T")}Z`)));
      this.own = { from, to };
      this.drawSoon();
    });
    this.element.on("plotly_hover", ({ xvals }) => {
      this.pointed = Math.round(fromZone(xvals[0]) / MINUTE) * MINUTE;
      this.point();
    });
    this.element.on("plotly_unhover", () => {
      this.pointed = null;
      this.point();
    });
    this.element.on("plotly_click", ({ points }) => {
      const url = points.find(({ data }) => data.uid === "news")?.customdata;
      if (isWebAddress(url)) open(url, "_blank", "noopener,noreferrer");
    });
  }

  mark() {
    for (const button of document.querySelectorAll("[data-range]")) {
      if (button.dataset.range === "live") button.hidden = this.own === null;
      else button.setAttribute("aria-pressed", String(this.own === null && button.dataset.range === this.range));
    }
  }

  // The page's own colours.
  look() {
    if (this.looks === null) {
      const root = getComputedStyle(document.documentElement);
      this.looks = {
        ...Object.fromEntries(colours(...USED).map((colour, index) => [USED[index], colour])),
        font: root.getPropertyValue("--font").trim(),
        narrow: this.element.clientWidth < NARROW, width: this.element.clientWidth, height: this.element.clientHeight, small: 11,
      };
    }
    return this.looks;
  }
}

// plotly.js comes by its own script element and may be later than the data.
async function loaded() {
  if (!globalThis.Plotly && document.readyState !== "complete") {
    await new Promise((resolve) => addEventListener("load", resolve, { once: true }));
  }
  if (!globalThis.Plotly) throw new Error("plotly.js has not been loaded");
  return globalThis.Plotly;
}
