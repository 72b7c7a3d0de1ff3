// The table of all symbols: kept up to date in place, sorted by any column.

import { Spark } from "./spark.js";
import { clock, dayAndClock, needsYear, percent, price, shortDate } from "./format.js";

export class Table {
  constructor({ select }) {
    this.select = select;
    this.live = document.getElementById("live");
    this.body = document.getElementById("rows");
    this.head = document.querySelector("#table thead tr");
    this.symbols = new Map();
    this.sparks = new Map();
    this.measures = [];
    this.loaded = false;
    this.column = this.live.dataset.sort;
    this.ascending = this.live.dataset.order === "ascending";
    this.lines = new Map();
    this.waiting = false;
    this.head.addEventListener("click", (event) => this.headClicked(event));
    this.body.addEventListener("click", (event) => this.bodyClicked(event));
  }

  // The answer of /api/v1/symbols.
  load({ measures, symbols }) {
    this.loaded = true;
    if (measures.length > 0 && measures.length !== this.measures.length) this.columns(measures);
    this.take(symbols);
  }

  // The answer of /api/v1/sparks.
  loadSparks(answer) {
    for (const [symbol, spark] of Object.entries(answer)) this.sparks.set(symbol, new Spark(spark));
    this.drawSoon();
  }

  clear() {
    this.symbols.clear();
    this.sparks.clear();
    this.lines.clear();
    this.body.replaceChildren();
  }

  // Newest rows; what stands behind what is shown is passed over.
  take(symbols) {
    for (const { symbol, bar, volatility } of symbols) {
      const held = this.symbols.get(symbol) ?? { symbol, bar: null, volatility: null };
      if (bar && bar.start_timestamp >= (held.bar?.start_timestamp ?? -Infinity)) held.bar = bar;
      if (bar) this.sparks.get(symbol)?.take(bar);
      if (volatility && standsBefore(volatility, held.volatility)) held.volatility = volatility;
      this.symbols.set(symbol, held);
    }
    this.drawSoon();
  }

  selected(symbol) {
    this.chosen = symbol;
    this.drawSoon();
  }

  // Draws once a frame at most.
  drawSoon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    // Until everything is known, what the server has rendered is better.
    if (!this.loaded) return;
    const focused = document.activeElement;
    this.withYear = needsYear([...this.symbols.values()].flatMap(({ volatility }) => (volatility ? [volatility.window_end] : [])));
    this.sorted().forEach((held, index) => {
      const line = this.line(held.symbol);
      this.fill(line, held);
      if (this.body.children[index] !== line) this.body.insertBefore(line, this.body.children[index] ?? null);
    });
    while (this.body.children.length > this.symbols.size) this.body.lastElementChild.remove();
    // A line that moved has lost the focus that it had.
    if (focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
    document.getElementById("no-symbols").hidden = this.symbols.size > 0;
  }

  sorted() {
    const turn = this.ascending ? 1 : -1;
    const value = ({ symbol, bar, volatility }) =>
      this.column === "symbol" ? symbol : this.column === "close" ? bar?.close : volatility?.[this.column];
    return [...this.symbols.values()].sort((one, other) => {
      const [a, b] = [value(one) ?? null, value(other) ?? null];
      if (a === null || b === null) return (a === null) - (b === null) || (one.symbol < other.symbol ? -1 : 1);
      if (a === b) return one.symbol < other.symbol ? -1 : 1;
      return (a < b ? -1 : 1) * turn;
    });
  }

  line(symbol) {
    let line = this.lines.get(symbol);
    if (line === undefined) {
      line = document.createElement("tr");
      line.dataset.symbol = symbol;
      const name = document.createElement("th");
      name.scope = "row";
      const link = document.createElement("a");
      link.href = `?symbol=${encodeURIComponent(symbol)}`;
      link.textContent = symbol;
      name.append(link);
      const spark = document.createElement("td");
      spark.className = "spark";
      line.append(name, spark);
      this.lines.set(symbol, line);
    }
    return line;
  }

  fill(line, { symbol, bar, volatility }) {
    const texts = [
      price(bar?.close),
      ...this.measures.map((measure) => percent(volatility?.[measure.name], measure)),
      volatility ? this.until(volatility.window_end) : "",
    ];
    while (line.children.length < texts.length + 2) line.append(document.createElement("td"));
    texts.forEach((text, index) => {
      const cell = line.children[index + 2];
      if (cell.textContent !== text) cell.textContent = text;
    });
    line.lastElementChild.className = "until";
    this.curve(line.children[1], this.sparks.get(symbol));
    if (symbol === this.chosen) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
  }

  // Drawn where it has changed.
  curve(cell, spark) {
    const drawn = `${spark?.until} ${spark?.closes.at(-1)}`;
    if (spark === undefined || cell.dataset.drawn === drawn) return;
    cell.dataset.drawn = drawn;
    cell.replaceChildren(spark.draw());
  }

  // Of what is not of today the date as well.
  until(time) {
    return shortDate(time, true) === shortDate(Date.now(), true) ? clock(time) : dayAndClock(time, this.withYear);
  }

  // A measure that was not there when the page was rendered gets its column.
  columns(measures) {
    this.measures = measures;
    this.lines.clear();
    this.body.replaceChildren();
    const headings = [["symbol", "Symbol", "The ticker"], ["close", "Last", "The close of the newest bar"],
      ...measures.map(({ name, label, about }) => [name, label, about])];
    const cells = headings.map(([column, label, about]) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.dataset.column = column;
      const link = document.createElement("a");
      link.href = `?sort=${encodeURIComponent(column)}`;
      link.title = about;
      link.textContent = label;
      cell.append(link);
      return cell;
    });
    const curves = document.createElement("th");
    curves.scope = "col";
    curves.className = "spark";
    curves.textContent = "Last hour";
    this.head.replaceChildren(cells[0], curves, ...cells.slice(1), this.head.lastElementChild);
    this.markSorted();
  }

  markSorted() {
    for (const cell of this.head.children) {
      if (cell.dataset.column === this.column) cell.setAttribute("aria-sort", this.ascending ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
  }

  headClicked(event) {
    const column = event.target.closest("th")?.dataset.column;
    if (column === undefined || isForAnotherTab(event)) return;
    event.preventDefault();
    this.ascending = this.column === column ? !this.ascending : column === "symbol";
    this.column = column;
    this.markSorted();
    this.drawSoon();
  }

  bodyClicked(event) {
    const symbol = event.target.closest("tr")?.dataset.symbol;
    if (symbol === undefined || isForAnotherTab(event)) return;
    event.preventDefault();
    this.select(symbol);
  }
}

// As the server chooses it: a window with enough bars before newer ones with fewer.
const ENOUGH_BARS = 15;
const hasEnough = ({ bars }) => (bars ?? ENOUGH_BARS) >= ENOUGH_BARS;

function standsBefore(row, held) {
  if (held === null || hasEnough(row) !== hasEnough(held)) return held === null || hasEnough(row);
  return row.window_end >= held.window_end;
}

const isForAnotherTab = (event) => event.ctrlKey || event.metaKey || event.shiftKey;
