// The small curve of a symbol's last closes.

const KEPT = 60;
const [WIDTH, HEIGHT] = [72, 18];
const SVG = "http://www.w3.org/2000/svg";

export class Spark {
  constructor({ until, closes }) {
    this.until = until;
    this.closes = closes;
  }

  // The close of the newest bar, or a correction of it.
  take({ start_timestamp, close }) {
    if (start_timestamp < this.until) return;
    if (start_timestamp === this.until) this.closes.pop();
    this.until = start_timestamp;
    this.closes.push(close);
    if (this.closes.length > KEPT) this.closes.shift();
  }

  // Drawn anew; the numbers beside it say the same to who does not see it.
  draw() {
    const low = Math.min(...this.closes);
    const height = Math.max(...this.closes) - low || 1;
    const step = WIDTH / Math.max(1, this.closes.length - 1);
    const points = this.closes.map((close, index) => `${(index * step).toFixed(1)},${(HEIGHT - 1 - ((close - low) / height) * (HEIGHT - 2)).toFixed(1)}`);
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    picture.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("points", points.join(" "));
    line.setAttribute("class", this.closes.at(-1) >= this.closes[0] ? "rising" : "falling");
    picture.append(line);
    return picture;
  }
}
