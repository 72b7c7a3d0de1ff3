// The mean path of an event study: the price with its band over the minutes
// around publication, and the volume below.

import { colours } from "./colours.js";
import { save } from "./picture.js";

const element = document.getElementById("study-chart");
const percent = (value) => (value === null || value === undefined ? null : value * 100);
const CONFIG = { displaylogo: false, displayModeBar: false, responsive: true };

function figure({ minutes, symbol, confidence }) {
  const [line, band, grid, ink, quiet, paper, shade, news] = colours("line-1", "share", "grid", "ink", "quiet", "paper", "shade", "news");
  const x = minutes.map(({ minute }) => minute);
  const of = (name, part) => minutes.map((row) => row[name]?.[part] ?? null);
  const edge = (part) => ({
    type: "scatter", mode: "lines", x, y: of("cumulative", part).map(percent), line: { width: 0 }, hoverinfo: "skip", showlegend: false,
  });
  const path = {
    type: "scatter", mode: "lines", x, y: of("cumulative", "mean").map(percent), line: { color: line, width: 2 }, name: "Mean",
    customdata: minutes.map(({ cumulative }) => [percent(cumulative?.low), percent(cumulative?.high), cumulative?.articles]),
    hovertemplate: `minute %{x}: %{y:.3f} %<br>${confidence * 100} % band %{customdata[0]:.3f} to %{customdata[1]:.3f}<br>%{customdata[2]} articles<extra></extra>`,
  };
  const volume = {
    type: "bar", x, y: of("abnormal_volume", "mean").map((value) => (value === null ? null : Math.exp(value))), yaxis: "y2",
    marker: { color: quiet }, hovertemplate: "minute %{x}: %{y:.2f} times the usual volume<extra></extra>",
  };
  const axis = { gridcolor: grid, zerolinecolor: quiet, linecolor: grid, tickfont: { color: quiet } };
  const across = { type: "line", xref: "paper", x0: 0, x1: 1, yref: "y2", y0: 1, y1: 1, line: { color: grid, width: 1 } };
  return {
    data: [edge("low"), { ...edge("high"), fill: "tonexty", fillcolor: band }, path, volume],
    layout: {
      autosize: true, showlegend: false, hovermode: "closest", dragmode: false, bargap: 0.15,
      paper_bgcolor: paper, plot_bgcolor: paper, font: { color: ink, size: 12 }, margin: { l: 56, r: 16, t: 28, b: 44 },
      modebar: { color: quiet, activecolor: ink, bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink } },
      xaxis: { ...axis, range: [-30.5, 60.5], dtick: 10, zeroline: false, title: { text: `minutes from publication, ${symbol}` }, anchor: "y2" },
      yaxis: { ...axis, domain: [0.34, 1], title: { text: "abnormal return, %" } },
      yaxis2: { ...axis, domain: [0, 0.26], rangemode: "tozero", title: { text: "volume, ×" } },
      shapes: [
        { type: "rect", xref: "x", yref: "paper", x0: -30.5, x1: 0, y0: 0, y1: 1, fillcolor: shade, line: { width: 0 }, layer: "below" },
        { type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { color: news, width: 1 } },
        across,
      ],
      annotations: [
        { xref: "x", yref: "paper", x: -0.6, y: 1, yanchor: "bottom", xanchor: "right", showarrow: false, text: "before publication", font: { color: quiet } },
        { xref: "x", yref: "paper", x: 0.6, y: 1, yanchor: "bottom", xanchor: "left", showarrow: false, text: "after", font: { color: quiet } },
      ],
    },
  };
}

function note(text) {
  const note = document.getElementById("study-note");
  note.hidden = false;
  note.textContent = text;
}

async function show() {
  const answer = await fetch(`/api/v1/study?symbol=${encodeURIComponent(element.dataset.symbol)}`);
  if (!answer.ok) throw new Error(`the study was answered with ${answer.status}`);
  const study = await answer.json();
  // plotly.js comes by its own script element and may be later than the data.
  if (!globalThis.Plotly && document.readyState !== "complete") {
    await new Promise((resolve) => addEventListener("load", resolve, { once: true }));
  }
  const draw = async () => {
    const { data, layout } = figure(study);
    await Plotly.react(element, data, layout, CONFIG);
    element.dataset.drawn = "true";
  };
  await draw();
  addEventListener("themechange", draw);
}

if (element !== null) {
  const picture = document.getElementById("picture");
  picture.addEventListener("click", () => save(element, `event-study-${element.dataset.symbol}`));
  show().catch((error) => {
    console.error(error);
    note("The chart could not be drawn. Reload the page; the table below is complete without it.");
  });
}
