// The one live connection of the page: it resumes by itself, and asks for the
// history again where the log no longer reaches back.

// After so long without an event a page that comes back to the front connects anew.
const STALE = 30_000;
// The pause after a refusal, and the longest one: it doubles while they go on.
const REFUSED = 3_000;
const LONGEST = 48_000;

export class Stream {
  constructor({ update, reset, state }) {
    this.on = { update, reset, state };
    this.source = null;
    this.symbol = "";
    this.place = "";
    this.heard = 0;
    this.pause = REFUSED;
    document.addEventListener("visibilitychange", () => this.wake());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => event.persisted && this.on.reset());
  }

  // Listens for `symbol` (may be empty) from a place in the log on, else from now on.
  open(symbol, place) {
    this.close();
    this.symbol = symbol;
    this.place = place ?? "";
    const asked = new URLSearchParams();
    if (symbol) asked.set("symbol", symbol);
    if (this.place) asked.set("cursor", this.place);
    const source = new EventSource(`/events?${asked}`);
    this.source = source;
    this.heard = Date.now();
    this.on.state("wait", "connecting");
    source.onopen = () => {
      this.pause = REFUSED;
      this.on.state("ok", "live");
    };
    source.onerror = () => this.failed(source);
    source.addEventListener("update", (event) => {
      this.place = event.lastEventId;
      this.heard = Date.now();
      this.on.update(JSON.parse(event.data));
    });
    source.addEventListener("reset", () => {
      this.close();
      this.on.reset();
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  // A browser connects again by itself, with the last place, unless it was refused.
  failed(source) {
    if (source !== this.source) return;
    if (source.readyState === EventSource.CLOSED) {
      this.close();
      this.on.state("bad", "refused, trying again");
      setTimeout(() => this.source === null && this.on.reset(), this.pause * (1 + Math.random()));
      this.pause = Math.min(this.pause * 2, LONGEST);
    } else {
      this.on.state("bad", "lost, connecting again");
    }
  }

  wake() {
    if (document.visibilityState !== "visible" || this.source === null) return;
    if (Date.now() - this.heard > STALE) this.open(this.symbol, this.place);
  }
}
