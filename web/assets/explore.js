// The Explore page: Ctrl+Enter runs the statement, and the answer is drawn from
// the table that it came as.

import { colours } from "./colours.js";
import { dateAndClock, toZone } from "./format.js";
import { save } from "./picture.js";

const at = (id) => document.getElementById(id);
const LINES = ["line-1", "line-4", "line-3", "line-6", "line-5", "line-7", "line-8", "line-2"];
// A text with more values than this is no name of lines; after eight they are dashed.
const MOST_LINES = 2 * LINES.length;
const CONFIG = { displaylogo: false, displayModeBar: false, responsive: true };

at("sql").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("query").requestSubmit();
});

// The answer, column by column.
function answer() {
  const heads = [...at("answer").querySelectorAll("thead th")];
  const lines = [...at("answer").querySelectorAll("tbody tr")];
  return heads.map((head, index) => {
    const kind = head.dataset.kind;
    const cells = lines.map((line) => line.children[index]);
    const value = (cell) => {
      if (cell.textContent === "") return null;
      return kind === "time" ? Number(cell.dataset.at) : kind === "number" ? Number(cell.textContent) : cell.textContent;
    };
    return { name: head.textContent, kind, values: cells.map(value) };
  });
}

function offer(select, columns, chosen) {
  for (const { name } of columns) select.add(new Option(name, name, false, name === chosen?.name));
}

const distinct = (column) => [...new Set(column.values)];

function figure(columns) {
  const named = (id) => columns.find(({ name }) => name === at(id).value);
  const [across, up, apart] = ["across", "up", "apart"].map(named);
  const names = apart ? distinct(apart) : [up.name];
  const [grid, ink, quiet, paper] = colours("grid", "ink", "quiet", "paper");
  const palette = colours(...LINES);
  const data = names.map((name, index) => {
    const rows = up.values.map((_, row) => row).filter((row) => !apart || apart.values[row] === name);
    if (across.kind !== "text") rows.sort((one, other) => across.values[one] - across.values[other]);
    const x = rows.map((row) => across.values[row]);
    const shown = across.kind === "time" ? x.map((time) => (time === null ? null : new Date(toZone(time)).toISOString().slice(0, 19))) : x;
    const colour = palette[index % palette.length];
    const mark = across.kind === "text" ? { type: "bar", marker: { color: colour } } : { type: "scatter", mode: rows.length > 60 ? "lines" : "lines+markers", line: { color: colour, width: 1.6, dash: index < palette.length ? "solid" : "dot" } };
    return { ...mark, name: String(name ?? "none"), x: shown, y: rows.map((row) => up.values[row]) };
  });
  const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, tickfont: { color: quiet }, automargin: true };
  return {
    data,
    layout: {
      autosize: true, showlegend: names.length > 1, legend: { orientation: "h", y: 1.12 }, bargap: 0.25,
      paper_bgcolor: paper, plot_bgcolor: paper, font: { color: ink, size: 12 }, margin: { l: 56, r: 16, t: 24, b: 40 },
      hoverlabel: { bgcolor: paper, font: { color: ink } },
      xaxis: { ...axis, type: across.kind === "time" ? "date" : across.kind === "text" ? "category" : "linear", title: { text: across.name } },
      yaxis: { ...axis, title: { text: up.name } },
    },
  };
}

async function draw(columns) {
  const { data, layout } = figure(columns);
  at("drawing").hidden = false;
  await Plotly.react(at("answer-chart"), data, layout, CONFIG);
  at("answer-chart").dataset.drawn = "true";
}

// Times were written in UTC; they are read in the reader's zone.
function times() {
  for (const cell of at("answer")?.querySelectorAll("[data-at]") ?? []) cell.textContent = dateAndClock(Number(cell.dataset.at));
}

async function show() {
  const columns = answer();
  const numbers = columns.filter(({ kind }) => kind === "number");
  const texts = columns.filter((column) => column.kind === "text" && distinct(column).length <= MOST_LINES);
  const across = columns.find(({ kind }) => kind === "time") ?? columns.find(({ kind }) => kind === "text") ?? columns[0];
  const up = numbers.find((column) => column !== across);
  if (!up) return;
  offer(at("across"), columns, across);
  offer(at("up"), numbers, up);
  offer(at("apart"), texts, across.kind === "time" ? texts.find((column) => distinct(column).length > 1) : undefined);
  if (!globalThis.Plotly) await new Promise((resolve) => addEventListener("load", resolve, { once: true }));
  const again = () => draw(columns).catch(console.error);
  await draw(columns);
  for (const id of ["across", "up", "apart"]) at(id).addEventListener("change", again);
  for (const event of ["themechange", "zonechange"]) addEventListener(event, again);
  at("picture").addEventListener("click", () => save(at("answer-chart"), `answer-${up.name}`));
}

if (at("drawing")) show().catch(console.error);
times();
addEventListener("zonechange", times);
