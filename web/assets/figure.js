// The figure as Plotly takes it: candles with news, volume, and two panels of
// volatility over one axis of time.

import { clock, needsYear, plain, shortDate, toZone } from "./format.js";
import { charted } from "./legend.js";

const MINUTE = 60_000;
const HEADLINES_SHOWN = 4;
const LINE_LENGTH = 64;
// Above the prices: the names of the day's parts, and the toolbar.
const BAND = 30;
const TICK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080].map((minutes) => minutes * MINUTE);

// Where each panel lies, from the bottom up.
const DOMAINS = { window: [0, 0.16], perBar: [0.215, 0.4], volume: [0.455, 0.535], price: [0.565, 1] };

const iso = (at) => new Date(toZone(at)).toISOString().slice(0, 19);
const percentOf = (value) => (value === null || value === undefined ? null : value * 100);

// `view` is the time shown, `hides` tells measures that are not, `look` has the colours.
export function figure(series, view, hides, look) {
  const margin = view.to - view.from;
  const bars = series.bars.between(view.from - margin, view.to + margin);
  const rows = withGaps(series.volatility.between(view.from - margin, view.to + margin));
  const seen = {
    bars: series.bars.between(view.from, view.to),
    rows: series.volatility.between(view.from, view.to),
    measures: charted(series.measures).filter(({ measure }) => !hides(measure.name)),
  };
  const prices = extent(seen.bars.flatMap(({ low, high }) => [low, high]));
  const lift = prices ? (prices[1] - prices[0]) * 0.05 : 0;
  return {
    data: [candles(bars, look), news(series, bars, lift, look), volume(bars, look), ...seen.measures.map((entry) => line(entry, rows, look))],
    layout: { ...frame(series, view, look), ...axes(seen, prices, lift, look), ...labels(series, view, look) },
  };
}

function candles(bars, look) {
  const of = (field) => bars.map((bar) => bar[field]);
  const coloured = (color) => ({ line: { color, width: 1 }, fillcolor: color });
  return {
    type: "candlestick", uid: "bars", hoverinfo: "none", xaxis: "x", yaxis: "y",
    x: bars.map((bar) => toZone(bar.start_timestamp)),
    open: of("open"), high: of("high"), low: of("low"), close: of("close"),
    increasing: coloured(look.up), decreasing: coloured(look.down),
  };
}

function volume(bars, look) {
  return {
    type: "bar", uid: "volume", hoverinfo: "none", xaxis: "x", yaxis: "y2",
    x: bars.map((bar) => toZone(bar.start_timestamp)), y: bars.map((bar) => bar.volume),
    marker: { color: look.volume, line: { width: 0 } },
  };
}

function line({ measure, colour }, rows, look) {
  const share = measure.panel === "share";
  return {
    type: "scatter", mode: "lines", uid: measure.name, hoverinfo: "none", connectgaps: false,
    xaxis: "x", yaxis: { per_bar: "y3", window: "y4", share: "y5" }[measure.panel],
    x: rows.map((row) => toZone(row.window_end)),
    // An area would slope over what is not known.
    y: rows.map((row) => percentOf(row[measure.name]) ?? (share ? 0 : null)),
    line: share ? { width: 0 } : { width: 1.5, color: look[colour] },
    ...(share ? { fill: "tozeroy", fillcolor: look.share } : {}),
  };
}

// Where no window was, the line is broken.
function withGaps(rows) {
  return rows.flatMap((row, index) => {
    const before = rows[index - 1]?.window_end ?? row.window_end;
    if (row.window_end - before <= MINUTE) return [row];
    return [{ window_end: before + MINUTE }, { window_end: row.window_end - MINUTE }, row];
  });
}

// One marker a minute, above that minute's bar, with its headlines.
function news(series, bars, lift, look) {
  const minutes = new Map();
  const first = bars[0]?.start_timestamp ?? Infinity;
  for (const article of series.articles.values()) {
    const minute = Math.floor(article.published_timestamp / MINUTE) * MINUTE;
    if (minute >= first) minutes.set(minute, [...(minutes.get(minute) ?? []), article]);
  }
  const points = [...minutes].map(([minute, articles]) => {
    const before = series.bars.rows[series.bars.from(minute + 1) - 1];
    return { x: toZone(minute), y: before.high + lift, text: headlines(articles), url: articles[0].url };
  });
  return {
    type: "scatter", mode: "markers", uid: "news", xaxis: "x", yaxis: "y",
    x: points.map(({ x }) => x), y: points.map(({ y }) => y),
    hoverinfo: "text", hovertext: points.map(({ text }) => text), customdata: points.map(({ url }) => url),
    marker: { symbol: "triangle-down", size: 10, color: look.news, line: { color: look.paper, width: 1 } },
  };
}

function headlines(articles) {
  const texts = articles.slice(0, HEADLINES_SHOWN).map(({ headline }) => wrapped(headline).map(plain).join("<br>"));
  const more = articles.length - texts.length;
  return [...texts, ...(more > 0 ? [`and ${more} more`] : [])].join("<br>");
}

function wrapped(text) {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    if (lines.at(-1).length + word.length > LINE_LENGTH && lines.at(-1) !== "") lines.push("");
    lines.push(`${lines.pop()} ${word}`.trim());
  }
  return lines;
}

function frame(series, view, look) {
  return {
    width: look.width, height: look.height, autosize: false, showlegend: false, bargap: 0.2, uirevision: "kept",
    margin: { l: 8, r: look.narrow ? 44 : 56, t: BAND, b: 38 }, paper_bgcolor: look.paper, plot_bgcolor: look.paper,
    font: { family: look.font, size: look.small, color: look.ink },
    hovermode: "x", hoverdistance: 12, dragmode: look.narrow ? false : "pan",
    hoverlabel: { bgcolor: look.paper, bordercolor: look.news, font: { family: look.font, color: look.ink, size: look.small + 1 }, align: "left" },
    modebar: { color: look.quiet, activecolor: look.ink, bgcolor: "rgba(0,0,0,0)" },
    xaxis: {
      type: "date", range: [iso(view.from), iso(view.to)], uirevision: view.drawn, anchor: "y4", rangeslider: { visible: false },
      gridcolor: look.grid, linecolor: look.grid, tickfont: { color: look.quiet, size: look.small }, ...ticks(series, view, look),
      rangebreaks: series.silences().map(({ from, to }) => ({ bounds: [iso(from), iso(to)] })), showspikes: true, spikemode: "across", spikesnap: "hovered data", spikethickness: 1, spikecolor: look.quiet, spikedash: "dot",
    },
  };
}

// At most so many full hours or minutes of the zone's clock in the time shown, and
// as many beside it for who drags; silences have none.
function ticks(series, view, look) {
  const most = look.narrow ? 5 : 12;
  const silences = series.silences();
  const isSilent = (at) => silences.some(({ from, to }) => at >= from && at < to);
  const shown = silences.reduce((left, { from, to }) => left - Math.max(0, Math.min(to, view.to) - Math.max(from, view.from)), view.to - view.from);
  const step = TICK_STEPS.find((step) => shown / step <= most) ?? TICK_STEPS.at(-1);
  const margin = view.to - view.from;
  const found = [];
  for (let at = view.from - margin; at <= view.to + margin; at += 1) {
    // The zone's clock may be set between two ticks.
    const past = toZone(at) % step;
    at += past === 0 ? 0 : step - past;
    if (at <= view.to + margin && !isSilent(at)) found.push(at);
  }
  // Where a silence is left out, two ticks may come too close: the later stays.
  const place = (at) => silences.reduce((place, { from, to }) => place - Math.max(0, Math.min(to, at) - from), at);
  const kept = [];
  for (const at of found.reverse()) {
    if (kept.length === 0 || place(kept[0]) - place(at) >= 0.75 * step) kept.unshift(at);
  }
  const withYear = needsYear([view.from, view.to]);
  // Near the edge there is no room for a date.
  const first = kept.find((at) => at >= view.from + shown / (look.narrow ? 7 : 16));
  const date = (at) => shortDate(at, withYear).slice(look.narrow ? 4 : 0);
  const text = (at, index) => (at === first || (index > 0 && date(at) !== date(kept[index - 1])) ? `${clock(at)}<br>${date(at)}` : clock(at));
  return { tickmode: "array", tickangle: 0, tickvals: kept.map(iso), ticktext: kept.map(text) };
}

function axes(seen, prices, lift, look) {
  const axis = (domain, range, more = {}) => ({
    domain, range: range ?? [0, 1], side: "right", fixedrange: true, zeroline: false,
    gridcolor: look.grid, linecolor: look.grid, tickfont: { color: look.quiet, size: look.small }, nticks: 5, ...more,
  });
  const values = (panel) => seen.measures.filter(({ measure }) => measure.panel === panel)
    .flatMap(({ measure }) => seen.rows.map((row) => percentOf(row[measure.name])));
  return {
    yaxis: axis(DOMAINS.price, prices && [prices[0] - lift, prices[1] + 2.5 * lift], { nticks: 8 }),
    yaxis2: axis(DOMAINS.volume, upTo(seen.bars.map((bar) => bar.volume)), { nticks: 3, tickformat: "~s" }),
    yaxis3: axis(DOMAINS.perBar, upTo(values("per_bar")), { tickformat: "~g" }),
    yaxis4: axis(DOMAINS.window, upTo(values("window")), { tickformat: "~g" }),
    yaxis5: axis(DOMAINS.window, [0, 100], { side: "left", overlaying: "y4", showgrid: false, showticklabels: false }),
  };
}

// Times before the open and after the close are shaded where a market has them, and so is what is missing; every part says what it shows.
function labels({ sessions, gaps, bars }, view, look) {
  const end = Math.min((bars.times.at(-1) ?? view.to) + MINUTE, view.to);
  const withYear = needsYear([view.from, view.to]);
  const parts = sessions.flatMap(({ date, pre_open, open, close, post_close, half_day }) => [
    { from: pre_open, to: open, text: "Pre-market", shaded: true },
    { from: open, to: close, text: shortDate(Date.parse(`${date}T17:00Z`), withYear) + (half_day ? ", half day" : "") },
    { from: close, to: post_close, text: "After hours", shaded: true },
  ]).filter(({ from, to }) => from < to && from < end && to > view.from);
  const text = (place) => ({ showarrow: false, xanchor: "left", font: { size: look.small, color: look.quiet }, ...place });
  const title = (domain, words) => text({ text: words, xref: "paper", yref: "paper", x: 0, y: domain[1], yanchor: "bottom" });
  const missing = gaps.filter(({ from, to }) => from < view.to && to > view.from);
  const rectangle = (from, to, fillcolor) => ({
    type: "rect", xref: "x", yref: "paper", x0: iso(from), x1: iso(to), y0: 0, y1: 1, fillcolor, line: { width: 0 }, layer: "below",
  });
  return {
    shapes: [
      ...parts.filter(({ shaded }) => shaded).map(({ from, to }) => rectangle(from, Math.min(to, end), look.shade)),
      ...missing.map(({ from, to }) => rectangle(from, to, look.missing)),
    ],
    annotations: [
      ...parts.filter(({ from, to }) => !look.narrow && Math.min(to, end) - Math.max(from, view.from) > (view.to - view.from) / 14)
        .map((part) => text({ text: part.text, xref: "x", yref: "paper", x: iso(Math.max(part.from, view.from)), y: 1, yanchor: "bottom" })),
      ...missing.map(({ from, to, reason }) => text({
        text: "bars missing", hovertext: wrapped(reason).map(plain).join("<br>"), xref: "x", yref: "paper", textangle: -90,
        x: iso((Math.max(from, view.from) + Math.min(to, view.to)) / 2), xanchor: "center", y: DOMAINS.price[0], yanchor: "bottom",
      })),
      title(DOMAINS.volume, "Volume"),
      title(DOMAINS.perBar, "Standard deviation per minute bar, %"),
      title(DOMAINS.window, "Total over 30 minutes, %, and jump share, 0 to 100 %"),
    ],
  };
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value === null || value === undefined) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low === Infinity) return null;
  return low === high ? [low * 0.999, high * 1.001] : [low, high];
}

function upTo(values) {
  const found = extent(values);
  return found && [0, found[1] > 0 ? found[1] * 1.06 : 1];
}
