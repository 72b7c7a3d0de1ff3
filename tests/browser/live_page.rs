//! What a newcomer sees after `tickwire up`.

use std::fmt::Write;
use std::time::Instant;

use crate::harness::{Running, Sandbox, sample_bars, wait_for};
use crate::webdriver::{Browser, LIGHT};

/// True once the candles and the measures under them have points.
pub const CHARTED: &str = "(() => {
    const traces = document.querySelector('.js-plotly-plot').data;
    const filled = (trace) => trace.x && trace.x.length > 100;
    return traces.some((trace) => trace.type === 'candlestick' && filled(trace))
        && traces.some((trace) => trace.type !== 'candlestick' && filled(trace));
})()";

#[test]
fn a_first_start_fills_the_charts_and_keeps_them_moving() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let started = Instant::now();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    browser.go(&format!("http://{address}/?symbol=AAPL"));
    browser.until("filled charts", CHARTED);
    println!("charts filled {:.1} s after the start of the process", started.elapsed().as_secs_f64());
    let text = browser.script("return document.body.innerText.toUpperCase()");
    assert!(text.as_str().unwrap().contains("SIMULATION"), "a simulation is impossible to overlook");

    let points =
        "document.querySelector('.js-plotly-plot').data.map((trace) => JSON.stringify(trace.x)).join()";
    let before = browser.script(&format!("window.seenBefore = {points}; return window.seenBefore.length"));
    assert!(before.as_u64().unwrap() > 1_000);
    browser.until("the charts to move by themselves", &format!("{points} !== window.seenBefore"));
}

#[test]
fn a_symbol_is_chosen_in_the_table_and_kept_in_the_address() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("the table", "document.querySelector('tr[data-symbol=TSLA] a')");
    browser.script("document.querySelector('tr[data-symbol=TSLA] a').click()");
    browser.until("the symbol in the address", "location.search.includes('symbol=TSLA')");
    browser.until("its chart", "document.querySelector('h2').innerText.includes('TSLA')");
}

#[test]
fn nothing_is_fetched_from_elsewhere_and_nothing_breaks_the_policy() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("filled charts", CHARTED);
    let elsewhere = browser.script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)
             .filter((name) => !name.startsWith(location.origin) && !name.startsWith('data:') && !name.startsWith('blob:'))",
    );
    assert_eq!(elsewhere, serde_json::json!([]));
}

#[test]
fn history_is_brought_when_the_chart_is_moved_before_what_it_has() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    // Four days of one bar in five minutes: more than is loaded at first.
    let mut bars = String::from("start_ms,symbol,open,high,low,close,volume\n");
    for day in 0..4_i64 {
        for minute in 0..960 {
            let start = 1_380_528_000_000 + day * 86_400_000 + minute * 60_000;
            bars.push_str(&format!("{start},AAPL,100,101,99,100.5,10\n"));
        }
    }
    sandbox.file("bars.csv", bars);
    let running = sandbox.start("up --listen 127.0.0.1:0 --prices replay:bars.csv --speed max");
    let address = running.address();
    wait_for("everything in the store", || {
        let shown = sandbox.run("export stock_prices");
        (shown.out.lines().count() > 3_840).then_some(())
    });
    browser.go(&format!("http://{address}/?symbol=AAPL"));
    browser.until("filled charts", CHARTED);
    let first = "Math.min(...document.querySelector('.js-plotly-plot').data[0].x)";
    let begins = browser.script(&format!("return window.begins = {first}"));
    browser.click("[data-range=week]");
    browser.until("all four days", &format!("{first} <= {}", 1_380_528_000_000_i64));
    assert!(begins.as_f64().unwrap() > 1_380_600_000_000.0, "only two days were loaded at first");
}

#[test]
fn the_table_has_a_small_curve_of_every_symbol() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/", running.address()));
    browser.until("curves", "document.querySelectorAll('td.spark polyline').length >= 5");
}

// The Status page: what did not validate is seen, and the page keeps itself up to date.

#[test]
fn a_bad_row_is_found_among_the_dead_letters_and_replaying_it_says_why_it_stays() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let bars = "start_ms,symbol,open,high,low,close,volume\n1380893400000,AAPL,100,101,99,100.5,10\n1380893460000,AAPL,100,90,99,100.5,10\n";
    sandbox.file("bars.csv", bars);
    let running = sandbox.start("up --listen 127.0.0.1:0 --prices replay:bars.csv --speed max");
    let address = running.address();
    wait_for("the dead letter", || sandbox.out("dead-letters list").contains("bars.csv").then_some(()));
    browser.go(&format!("http://{address}/status"));
    browser.click("th[scope=row] a[href='/status/dead-letters/0/0']");
    assert!(browser.text(".event").contains("1380893460000,AAPL,100,90"));
    browser.click("button[name=place]");
    assert!(browser.text(".notice.bad").contains("1 left as they are"));
}

#[test]
fn stages_go_on_with_their_rates_while_the_page_is_open() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/status", running.address()));
    browser.until("a rate", "/\\d bars/.test(document.querySelector('#stages').textContent)");
}

// The watchlist's form, with scripts and without.

#[test]
fn the_form_does_everything_without_scripts() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/watchlist", running.address()));
    browser.says("#entries", "Nothing is watched yet");

    browser.write("#symbol", "AAPL");
    browser.write("#term", "apple (iphone");
    browser.click("#entry-form button.main");
    browser.says("#term-problem mark", "(");
    browser.write("#term", "apple AND iphone");
    browser.click("#entry-form button.main");
    browser.says(".notice.good", "added AAPL with `apple AND iphone`");

    browser.write("#many", "MSFT, NVDA");
    browser.click("button[value=many]");
    browser.says(".notice.good", "added MSFT, NVDA");
    browser.click("button[value='up 3']");
    browser.says(".notice.good", "changed the order");
    browser.click("button[value='remove 1']");
    browser.says(".notice.good", "removed AAPL");
    browser.click("a[href='/watchlist?edit=1#entry']");
    browser.write("#sections", "");
    browser.write("#term", "nvidia");
    browser.click("#entry-form button.main");
    browser.says(".notice.good", "nvidia");
    assert_eq!(sandbox.out("watch list").matches("nvidia").count(), 1);
    browser.click(".changes li:first-child button");
    let undone = || (!sandbox.out("watch list").contains("nvidia")).then_some(());
    wait_for("the change to be undone", undone);
}

#[test]
fn a_term_is_checked_and_previewed_in_place() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let address = running.address();
    browser.go(&format!("http://{address}/news"));
    browser.until("a headline", "location.reload() || document.querySelector('.articles .headline')");
    browser.go(&format!("http://{address}/watchlist"));
    browser.write("#term", "apple AND");
    browser.click("#sections");
    browser.until(
        "the mistake",
        "document.querySelector('#term-problem').textContent.includes('AND needs a word')",
    );
    browser.write("#term", "Simulated");
    browser.click("#preview-button");
    browser.until("headlines", "document.querySelectorAll('#preview .headlines li').length > 0");
    browser.says("#preview", "Stored headlines");
    assert_eq!(browser.script("return document.querySelector('#term').value"), "Simulated");
    sandbox.out("watch add MSFT");
    browser.until("the change made elsewhere", "!document.querySelector('#changed').hidden");
}

// The News page: headlines are searched and narrowed, without scripts.

/// Two headlines of one company and one of another.
const ARTICLES: &str = "id,symbol,search_term,headline,url,section_id,section_name,published_ms\n\
    a,AAPL,Apple,Apple opens a shop,https://example.org/a,business,Business,1784298600000\n\
    b,AAPL,Apple,Apple closes a shop,https://example.org/b,technology,Technology,1784299200000\n\
    c,TSLA,Tesla,Tesla opens a factory,https://example.org/c,business,Business,1784385600000\n";

#[test]
fn headlines_are_found_by_words_symbol_section_and_day_without_scripts() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("news.csv", ARTICLES);
    let line = format!(
        "up --listen 127.0.0.1:0 --prices replay:{} --news replay:news.csv --speed max",
        sample_bars().display()
    );
    let running = sandbox.start(&line);
    let page = format!("http://{}/news", running.address());
    wait_for("the headlines", || {
        browser.go(&page);
        browser.text("#found + .unit").contains("3 articles").then_some(())
    });

    browser.write("#q", "shop -closes");
    browser.click("form.filters button.main");
    browser.says("#found + .unit", "1 article");
    browser.says(".articles", "Apple opens a shop");
    browser.click("form.filters a.button");
    browser.says("#found + .unit", "3 articles");

    for (narrowed, count) in [
        ("symbol=AAPL", "2 articles"),
        ("section=business", "2 articles"),
        ("from=2026-07-18", "1 article"),
        ("from=2026-07-18&symbol=AAPL", "0 articles"),
    ] {
        browser.go(&format!("{page}?{narrowed}"));
        browser.says("#found + .unit", count);
    }
    browser.go(&format!("{page}?from=yesterday"));
    browser.says("#problem", "`from` is no day");
}

// The Alerts page: rules are changed, switched and added without scripts.

#[test]
fn rules_are_changed_switched_added_and_removed_without_scripts() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let page = format!("http://{}/alerts", running.address());
    sandbox.out("rules add steep --signal percent_move --above 3 --hysteresis 1");
    browser.go(&page);

    browser.write("#threshold-steep", "a lot");
    browser.click("#rule-steep button[value=adjust]");
    browser.says("#problem-steep", "a lot");
    assert!(sandbox.out("rules list").contains("steep"));
    browser.write("#threshold-steep", "4.5");
    browser.click("#rule-steep button[value=adjust]");
    browser.says("#rules", "steep");
    let steep = || {
        let rules = sandbox.out("rules list");
        rules.lines().find(|line| line.contains("steep")).map(str::to_owned)
    };
    assert!(steep().unwrap().contains("4.5"), "{:?}", steep());

    browser.click("#rule-steep button[value=disable]");
    browser.says("#rule-steep", "Switch on");
    assert!(steep().unwrap().contains("off"), "{:?}", steep());
    browser.click("#rule-steep button[value=enable]");
    browser.says("#rule-steep", "Switch off");
    browser.click("#rule-steep button[value=remove]");
    browser.write("input[name=name][required]", "calm");
    assert_eq!(steep(), None);

    browser.write("form[aria-labelledby=add-title] input[name=threshold]", "0.5");
    browser.click("form[aria-labelledby=add-title] button");
    browser.says("#rules", "calm");
    assert!(sandbox.out("rules list").contains("calm"));
}

// The Explore page: an answer as a table, a chart and a picture of it; and by
// a plain form.

const CLOSES: &str =
    "SELECT start_timestamp, symbol, close FROM stock_prices ORDER BY start_timestamp LIMIT 300";

#[test]
fn an_answer_is_drawn_and_its_chart_saved_as_a_picture() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    let page = format!("http://{}/explore", running.address());
    wait_for("bars", || (sandbox.run("export stock_prices").out.lines().count() > 1_000).then_some(()));
    browser.go(&page);
    browser.until("a table", "location.reload() || document.querySelector('.tables details')");
    browser.write("#sql", CLOSES);
    browser.click("#query button.main");
    browser.until("the chart", "document.querySelector('#answer-chart').dataset.drawn");
    assert_eq!(browser.script("return document.querySelector('#across').value"), "start_timestamp");
    assert_eq!(browser.script("return document.querySelector('#apart').value"), "symbol");
    assert!(
        browser.script("return document.querySelector('#answer-chart').data.length").as_u64().unwrap() > 1
    );
    // The picture is made and handed to the browser as a file; no policy stands in its way.
    browser.script(
        "window.saved = [];
         const click = HTMLAnchorElement.prototype.click;
         document.addEventListener('click', (event) => { if (event.target.download) { window.saved.push(event.target.download); event.preventDefault(); } }, true);
         HTMLAnchorElement.prototype.click = function () { if (this.download) { window.saved.push(this.download); } else { click.call(this); } };",
    );
    browser.click("#picture");
    browser.until("the picture", "window.saved.some((name) => name.endsWith('.png'))");
}

#[test]
fn without_scripts_a_question_is_answered_and_a_mistake_shown_at_its_place() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = sandbox.start("up --listen 127.0.0.1:0");
    browser.go(&format!("http://{}/explore", running.address()));
    browser.write("#sql", "SELECT 1 + 1 AS two");
    browser.click("#query button.main");
    assert!(browser.text("#answer").contains('2'));
    browser.write("#sql", "SELECT FROM WHERE");
    browser.click("#query button.main");
    assert!(browser.text("#problem").contains("line 1, character"));
}

// The Event study page: the mean path is drawn, and stands in a table for those without scripts.

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
/// Monday, the 5th of January 2026, half past nine in New York.
const OPEN: i64 = 1_767_623_400_000;
/// Friday of that week, two hours and ten seconds into the session.
const PUBLISHED: i64 = OPEN + 4 * DAY + 120 * MINUTE + 10_000;

/// Five sessions that go up and down by a cent, and by two hundredths up at once
/// in the minute after the news.
fn week() -> String {
    let mut bars = "start_ms,symbol,open,high,low,close,volume\n".to_owned();
    for minute in (0..5).flat_map(|day| (0..390).map(move |minute| OPEN + day * DAY + minute * MINUTE)) {
        let level = if minute > PUBLISHED { 102.0 } else { 100.0 };
        let close = level + if minute / MINUTE % 2 == 0 { 0.0 } else { 0.01 };
        let (high, low) = (close + 0.01, close - 0.01);
        writeln!(bars, "{minute},AAPL,{close},{high},{low},{close},1000").unwrap();
    }
    bars
}

fn start(sandbox: &Sandbox) -> Running {
    sandbox.file("bars.csv", week());
    sandbox.file(
        "news.csv",
        format!("id,symbol,search_term,headline,url,published_ms\none,AAPL,Apple,Apple soars,https://example.org/1,{PUBLISHED}\n"),
    );
    sandbox.start("up --listen 127.0.0.1:0 --prices replay:bars.csv --news replay:news.csv --speed max")
}

/// Opens the page once the study has its article.
fn go(browser: &Browser, running: &Running) {
    let page = format!("http://{}/study?symbol=AAPL", running.address());
    wait_for("the study", || {
        browser.go(&page);
        browser.text("main").contains("1 used").then_some(())
    });
}

#[test]
fn the_mean_path_is_drawn_with_its_band_and_saved_as_a_picture() {
    let Some(browser) = Browser::open(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = start(&sandbox);
    go(&browser, &running);
    browser.until("the chart", "document.querySelector('#study-chart').dataset.drawn === 'true'");
    let drawn = browser.script(
        "const path = document.querySelector('#study-chart').data.find(({ name }) => name === 'Mean');
         return [path.y[path.x.indexOf(-5)], path.y[path.x.indexOf(30)]];",
    );
    let (before, after) = (drawn[0].as_f64().unwrap(), drawn[1].as_f64().unwrap());
    assert!(before.abs() < 0.05 && (after - 1.98).abs() < 0.05, "{before} % before and {after} % after");
    browser.script(
        "globalThis.saved = []; HTMLAnchorElement.prototype.click = function () { saved.push(this.download); };",
    );
    browser.click("#picture");
    browser.until("the picture", "saved.some((name) => name.startsWith('event-study-AAPL'))");
}

#[test]
fn without_scripts_the_table_has_the_whole_of_it() {
    let Some(browser) = Browser::open_without_scripts(LIGHT) else { return };
    let sandbox = Sandbox::new();
    let running = start(&sandbox);
    go(&browser, &running);
    browser.says("main", "The chart needs JavaScript");
    browser.says("table tbody", "1.98");
    browser.says("[aria-labelledby=articles-title] table", "Apple soars");
    browser.click("form.chooser button");
    browser.says("h1", "Event study of AAPL");
}
