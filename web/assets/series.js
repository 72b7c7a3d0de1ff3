// What is known of one symbol: bars, volatility rows and articles by time.
// Taking something in twice changes nothing.

const MINUTE = 60_000;
// A silence longer than this is left out of the axis of time.
const SILENCE = 60 * MINUTE;

const BARS_KEPT = 2 * 16 * 60;
const BEFORE_CUT = 240;

export class Series {
  constructor(symbol) {
    this.symbol = symbol;
    // The measurement of its bars, as the server names it.
    this.table = null;
    this.measures = [];
    this.sessions = [];
    this.gaps = [];
    // Whether the store has bars before those held here, and how many are kept.
    this.moreBefore = false;
    this.kept = BARS_KEPT;
    this.bars = new ByTime();
    this.volatility = new ByTime();
    this.articles = new Map();
  }

  // The answer of /api/v1/series.
  load({ measures, sessions, gaps, bars, volatility, news, more_before, table }) {
    this.table = table;
    if (measures.length > 0) this.measures = measures;
    this.sessions = together(this.sessions, sessions, ({ date }) => date, ({ pre_open }) => pre_open);
    this.gaps = together(this.gaps, gaps, ({ from, to }) => `${from} ${to}`, ({ from }) => from);
    const first = bars.rows[0]?.[bars.columns.indexOf("start_timestamp")] ?? Infinity;
    if (this.bars.length === 0 || first <= this.bars.times[0]) this.moreBefore = more_before;
    // What the store holds is the latest version; when it was received is not among it.
    for (const bar of objects(bars)) this.bars.put(bar.start_timestamp, bar);
    this.take({ volatility: objects(volatility), news });
  }

  // Older history, before everything that is held.
  prepend(answer) {
    this.kept += answer.bars.rows.length;
    this.load(answer);
    this.moreBefore &&= answer.bars.rows.length > 0;
  }

  // The opening of the day that lies so many trading days back; before all that is held where it may be older.
  daysBack(count) {
    const traded = this.sessions.filter(({ pre_open, post_close }) => this.bars.from(pre_open) < this.bars.from(post_close));
    if (traded.length < count && this.moreBefore) return this.bars.times[0] - 1;
    return (traded.at(-count) ?? traded[0])?.pre_open ?? this.bars.times[0];
  }

  // The data of an event.
  take({ bars = [], volatility = [], news = [] }) {
    for (const bar of bars) this.bars.put(bar.start_timestamp, bar, isLaterVersion);
    for (const row of volatility) this.volatility.put(row.window_end, row);
    for (const article of news) this.articles.set(article.id, article);
    if (this.bars.length > this.kept + BEFORE_CUT) this.cut();
    return bars.length + volatility.length + news.length > 0;
  }

  // Whether the last session that is known has begun: the server knows the next.
  isPastItsSessions() {
    return this.bars.length > 0 && this.bars.times.at(-1) >= (this.sessions.at(-1)?.pre_open ?? -Infinity);
  }

  // The spans in which nothing was heard, in the order of time.
  silences() {
    const { bars, volatility } = this;
    const found = [];
    for (let index = 1; index < bars.length; index += 1) {
      const [before, after] = [bars.times[index - 1], bars.times[index]];
      if (after - before <= SILENCE) continue;
      // Windows go on closing after the last bar of a day.
      const heard = Math.max(before, volatility.times[volatility.from(after) - 1] ?? before);
      const silence = { from: heard + 2 * MINUTE, to: after - 2 * MINUTE };
      if (silence.to - silence.from > SILENCE / 2) found.push(silence);
    }
    return found;
  }

  // The time that lies `span` before `to` on an axis without the silences.
  before(to, span) {
    let from = to - span;
    for (const silence of this.silences().reverse()) {
      if (from >= silence.to) break;
      from -= silence.to - silence.from;
    }
    return from;
  }

  cut() {
    const first = this.bars.times[this.bars.length - this.kept];
    this.moreBefore = true;
    this.bars.dropBefore(first);
    this.volatility.dropBefore(first);
    for (const [id, article] of this.articles) {
      if (article.published_timestamp < first) this.articles.delete(id);
    }
  }

  // Newest first.
  news() {
    return [...this.articles.values()].sort((a, b) => b.published_timestamp - a.published_timestamp);
  }
}

// Two lists in the order of time; of two of one name the newer stays.
function together(held, more, nameOf, timeOf) {
  const all = new Map([...held, ...more].map((one) => [nameOf(one), one]));
  return [...all.values()].sort((one, other) => timeOf(one) - timeOf(other));
}

function isLaterVersion(bar, held) {
  return (bar.received_timestamp ?? 0) >= (held.received_timestamp ?? 0);
}

function objects({ columns, rows }) {
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])));
}

// Rows in the order of their times, one a time.
export class ByTime {
  constructor() {
    this.times = [];
    this.rows = [];
  }

  get length() {
    return this.times.length;
  }

  get last() {
    return this.rows.at(-1) ?? null;
  }

  // The newest row that is full enough, else the newest.
  newest(isFull) {
    return this.rows.findLast(isFull) ?? this.last;
  }

  // The index of the first row at or after a time.
  from(time) {
    if (this.length === 0 || this.times.at(-1) < time) return this.length;
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  at(time) {
    const index = this.from(time);
    return this.times[index] === time ? this.rows[index] : null;
  }

  put(time, row, replaces = () => true) {
    const index = this.from(time);
    if (this.times[index] !== time) {
      this.times.splice(index, 0, time);
      this.rows.splice(index, 0, row);
    } else if (replaces(row, this.rows[index])) {
      this.rows[index] = row;
    }
  }

  dropBefore(time) {
    const index = this.from(time);
    this.times.splice(0, index);
    this.rows.splice(0, index);
  }

  // The rows of [from, to].
  between(from, to) {
    return this.rows.slice(this.from(from), this.from(to + 1));
  }
}
