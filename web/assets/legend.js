// The measures above the chart: which are drawn, and their values at the time
// that is pointed at, else the newest.

import { bigNumber, dateAndClock, percent, price } from "./format.js";
import { recall, remember } from "./remember.js";

const GROUPS = [
  { panel: "per_bar", title: "Per bar, %" },
  { panel: "window", title: "30 min, %" },
  { panel: "share", title: "" },
];
const COLOURS = 8;

// The measures that are drawn, each with the name of its colour.
export function charted(measures) {
  let index = 0;
  return measures.filter(({ panel }) => panel !== "return").map((measure) => {
    if (measure.panel === "share") return { measure, colour: "share" };
    index += 1;
    return { measure, colour: `line-${((index - 1) % COLOURS) + 1}` };
  });
}

export class Legend {
  constructor({ changed }) {
    this.changed = changed;
    this.element = document.getElementById("legend");
    this.readout = document.getElementById("readout");
    this.hidden = new Set(recall("hidden")?.split(","));
    this.shown = "";
    this.values = new Map();
  }

  isHidden = (name) => this.hidden.has(name);

  // A button for each measure; the same ones stay as they are.
  show(measures) {
    const names = measures.map(({ name }) => name).join();
    if (names === this.shown) return;
    this.shown = names;
    this.values.clear();
    const groups = GROUPS.map(({ panel, title }) => {
      const group = document.createElement("div");
      group.className = "group";
      const label = document.createElement("span");
      label.className = "title";
      label.textContent = title;
      const buttons = charted(measures).filter(({ measure }) => measure.panel === panel).map((entry) => this.button(entry));
      group.append(...(title ? [label] : []), ...buttons);
      return group;
    });
    this.element.replaceChildren(...groups.filter((group) => group.querySelector("button")));
  }

  button({ measure, colour }) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = measure.about;
    button.style.setProperty("--colour", `var(--${colour})`);
    button.setAttribute("aria-pressed", String(!this.hidden.has(measure.name)));
    const value = document.createElement("span");
    value.className = "value";
    button.append(measure.label, " ", value);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(measure.name)) this.hidden.add(measure.name);
      remember("hidden", [...this.hidden].join());
      button.setAttribute("aria-pressed", String(!this.hidden.has(measure.name)));
      this.changed();
    });
    this.values.set(measure, value);
    return button;
  }

  // The bar and the volatility of one time; either may be missing.
  point(bar, row) {
    for (const [measure, value] of this.values) {
      const text = row ? percent(row[measure.name], measure) : "";
      value.textContent = text === "" ? "–" : measure.panel === "share" ? `${text} %` : text;
    }
    this.readout.replaceChildren(...(bar ? pairs(bar) : []));
  }
}

function pairs({ start_timestamp, open, high, low, close, volume }) {
  const texts = [["", dateAndClock(start_timestamp)], ["O", price(open)], ["H", price(high)], ["L", price(low)], ["C", price(close)], ["Vol", bigNumber(volume)]];
  return texts.map(([name, text]) => {
    const pair = document.createElement("span");
    const label = document.createElement("b");
    label.textContent = name;
    pair.append(label, text);
    return pair;
  });
}
