//! Every job of prices and news over real minute bars, with news planted at known
//! times, against rows worked out here by plain loops.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use testkit::real_bars;

use crate::harness::Sandbox;

const MINUTE: i64 = 60_000;
/// Relative, or absolute below one.
const TOLERANCE: f64 = 1e-9;

/// Of each symbol so many articles: every so many bars one, so many seconds after
/// the bar began. Some come twice, some belong to nobody.
const EVERY: usize = 97;

struct Bar {
    open: f64,
    close: f64,
    volume: f64,
}

type Bars = BTreeMap<String, BTreeMap<i64, Bar>>;

/// An article's identity and publication, by symbol.
type News = BTreeMap<String, Vec<(String, i64)>>;

struct Scene {
    sandbox: Sandbox,
    file: PathBuf,
    bars: Bars,
    news: News,
}

impl Scene {
    fn new() -> Scene {
        let file = real_bars();
        let bars = read(&std::fs::read_to_string(&file).unwrap());
        let (news, text) = planted(&bars);
        let sandbox = Sandbox::new();
        sandbox.file("news.csv", text);
        Scene { sandbox, file, bars, news }
    }

    /// The rows of a job by its columns; of a NULL column there is nothing.
    fn compute(&self, job: &str) -> Vec<BTreeMap<String, String>> {
        rows(&self.sandbox.out(&format!("compute {job} --bars {} --news news.csv", self.file.display())))
    }
}

fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let fields = names.iter().zip(line.split(',')).filter(|(_, field)| !field.is_empty());
            fields.map(|(name, field)| ((*name).to_owned(), field.to_owned())).collect()
        })
        .collect()
}

fn read(text: &str) -> Bars {
    let mut symbols = Bars::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse::<f64>().unwrap();
        let bar = Bar { open: number(2), close: number(5), volume: number(6) };
        symbols.entry(fields[1].into()).or_default().insert(fields[0].parse().unwrap(), bar);
    }
    symbols
}

fn planted(bars: &Bars) -> (News, String) {
    let mut text = "id,symbol,search_term,headline,url,published_timestamp\n".to_owned();
    let mut news = News::new();
    for (symbol, bars) in bars {
        for (number, (start, _)) in bars.iter().enumerate().filter(|(number, _)| number % EVERY == 40) {
            let (id, published) = (format!("{symbol}/{number}"), start + (number as i64 % 55) * 1_000);
            let times = if number % 3 == 0 { 2 } else { 1 };
            for time in 0..times {
                let _ = writeln!(text, "{id},{symbol},term {time},Something,https://example.org,{published}");
            }
            let _ = writeln!(text, "{id}/none,,term,Something,https://example.org,{published}");
            let _ = writeln!(text, "{id}/gone,GONE,term,Something,https://example.org,{published}");
            news.entry(symbol.clone()).or_default().push((id, published));
        }
    }
    // Before the first bar of all, and long after the last.
    text.push_str("early,AAPL,term,Something,https://example.org,1000000000000\n");
    text.push_str("late,AAPL,term,Something,https://example.org,1900000000000\n");
    (news, text)
}

/// Bars with their starts.
type Path<'a> = Vec<(i64, &'a Bar)>;

/// A window: symbol, start, its bars, and how many articles it holds.
type Window<'a> = (&'a str, i64, Path<'a>, usize);

/// Every window of `minutes` with a bar.
fn windows(scene: &Scene, minutes: i64) -> Vec<Window<'_>> {
    let mut found = Vec::new();
    for (symbol, bars) in &scene.bars {
        let mut starts = BTreeSet::new();
        for bar in bars.keys() {
            let minute = bar.div_euclid(MINUTE) * MINUTE;
            starts.extend((0..minutes).map(|back| minute - back * MINUTE));
        }
        for start in starts {
            let span = start..start + minutes * MINUTE;
            let held = bars.range(span.clone()).map(|(at, bar)| (*at, bar)).collect();
            let news = scene.news.get(symbol).map_or(&[][..], Vec::as_slice);
            let articles = news.iter().filter(|(_, at)| span.contains(at)).count();
            found.push((symbol.as_str(), start, held, articles));
        }
    }
    found
}

#[track_caller]
fn assert_row(row: &BTreeMap<String, String>, key: (&str, i64, i64), expected: &[(&str, Option<f64>)]) {
    let (symbol, start, end) = key;
    let times = [&row["symbol"], &row["window_start"], &row["window_end"]];
    assert_eq!(times, [symbol, &start.to_string(), &end.to_string()]);
    for (name, expected) in expected {
        let found = row.get(*name).map(|field| field.parse::<f64>().unwrap());
        let agrees = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(agrees, "{name} is {found:?}, not {expected:?}, in {row:?}");
    }
}

fn returns(bars: &[(i64, &Bar)]) -> Vec<f64> {
    bars.windows(2).map(|pair| (pair[1].1.close / pair[0].1.close).ln()).collect()
}

fn realized(bars: &[(i64, &Bar)]) -> Option<f64> {
    let squared: f64 = returns(bars).iter().map(|r| r * r).sum();
    (bars.len() >= 2).then(|| squared.sqrt())
}

fn jump_share(bars: &[(i64, &Bar)]) -> Option<f64> {
    let returns = returns(bars);
    let squared: f64 = returns.iter().map(|r| r * r).sum();
    let products: f64 = (1..returns.len()).map(|at| (returns[at] * returns[at - 1]).abs()).sum();
    let jumps = (squared - std::f64::consts::FRAC_PI_2 * products).max(0.0);
    (bars.len() >= 3).then_some(if squared > 0.0 { jumps / squared } else { 0.0 })
}

fn moved(bars: &[(i64, &Bar)]) -> f64 {
    bars[bars.len() - 1].1.close / bars[0].1.open
}

#[test]
fn the_impact_of_planted_news_is_as_counted_by_hand() {
    let scene = Scene::new();
    let (rows, expected) = (scene.compute("news_impact"), windows(&scene, 30));
    assert_eq!(rows.len(), expected.len());
    let mut with_news = 0;
    for (row, (symbol, start, bars, articles)) in rows.iter().zip(&expected) {
        with_news += usize::from(*articles > 0);
        let volume = bars.iter().map(|(_, bar)| bar.volume).sum();
        assert_row(
            row,
            (symbol, *start, start + 30 * MINUTE),
            &[
                ("articles", Some(*articles as f64)),
                ("realized", realized(bars)),
                ("jump_share", jump_share(bars)),
                ("log_return", Some(moved(bars).ln())),
                ("volume", Some(volume)),
            ],
        );
    }
    assert!(with_news > 1_000 && rows.len() - with_news > 1_000, "{with_news} of {}", rows.len());
}

#[test]
fn the_ranks_of_the_movers_are_those_of_their_windows() {
    let scene = Scene::new();
    let rows = scene.compute("movers");
    let windows = windows(&scene, 30);
    assert_eq!(rows.len(), windows.len());
    let mut together: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for (symbol, start, bars, _) in &windows {
        together.entry(*start).or_default().push((*symbol, bars));
    }
    // Articles are ranked whether or not their symbol has bars in the window.
    let ranked_by_news = |start: i64| {
        let span = start..start + 30 * MINUTE;
        let count = |(symbol, news): (&String, &Vec<(String, i64)>)| {
            let all = news.iter().filter(|(_, at)| span.contains(at)).count();
            (std::cmp::Reverse(all), symbol.clone())
        };
        let mut ranked: Vec<_> = scene.news.iter().map(count).collect();
        let gone = scene.news.values().flatten().filter(|(_, at)| span.contains(at)).count();
        ranked.push((std::cmp::Reverse(gone), "GONE".into()));
        ranked.retain(|(articles, _)| articles.0 > 0);
        ranked.sort();
        ranked
    };
    let rank = |mut values: Vec<(f64, &str)>, symbol: &str| {
        values.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        1.0 + values.iter().position(|(_, known)| *known == symbol).unwrap() as f64
    };
    let mut contested = 0;
    for (row, (symbol, start, bars, articles)) in rows.iter().zip(&windows) {
        let others = &together[start];
        contested += usize::from(others.len() > 1);
        let by = |value: &dyn Fn(&Path<'_>) -> f64| {
            others.iter().map(|(symbol, bars)| (value(bars), *symbol)).collect::<Vec<_>>()
        };
        // The shared row is where the two could differ in the last bit; the file's do not.
        let volatility = rank(by(&|bars| realized(bars).unwrap_or(-1.0)), symbol);
        let return_rank = rank(by(&|bars| moved(bars).ln()), symbol);
        let news = ranked_by_news(*start).iter().position(|(_, known)| known == symbol);
        assert_row(
            row,
            (symbol, *start, start + 30 * MINUTE),
            &[
                ("volatility_rank", Some(volatility)),
                ("return_rank", Some(return_rank)),
                ("news_rank", news.map(|at| at as f64 + 1.0)),
                ("articles", Some(*articles as f64)),
                ("realized", realized(bars)),
                ("log_return", Some(moved(bars).ln())),
            ],
        );
    }
    assert!(contested > 5_000, "only {contested} windows with rivals");
}

#[test]
fn the_path_around_each_planted_article_holds_its_bars() {
    let scene = Scene::new();
    let mut expected = Vec::new();
    for (symbol, news) in &scene.news {
        for (id, published) in news {
            let minute = published.div_euclid(MINUTE) * MINUTE;
            for (start, bar) in scene.bars[symbol].range(minute - 30 * MINUTE..=minute + 60 * MINUTE) {
                let path_time = published + start - minute;
                expected.push((symbol.clone(), id.clone(), (start - minute) / MINUTE, path_time, bar));
            }
        }
    }
    expected.sort_by(|a, b| (&a.0, a.3, &a.1).cmp(&(&b.0, b.3, &b.1)));
    let rows = scene.compute("news_reaction");
    assert_eq!(rows.len(), expected.len());
    assert!(rows.len() > 1_000);
    for (row, (symbol, id, minute, path_time, bar)) in rows.iter().zip(&expected) {
        assert_eq!([&row["symbol"], &row["id"]], [symbol, id]);
        assert_eq!([&row["minute"], &row["path_time"]], [&minute.to_string(), &path_time.to_string()]);
        assert_eq!(row["close"].parse::<f64>().unwrap(), bar.close);
        assert_eq!(row["volume"].parse::<f64>().unwrap(), bar.volume);
    }
}

#[test]
fn the_signals_are_as_their_formulas_say() {
    let scene = Scene::new();
    let (rows, expected) = (scene.compute("signals"), windows(&scene, 120));
    assert_eq!(rows.len(), expected.len());
    let mut scored = 0;
    for (row, (symbol, start, bars, articles)) in rows.iter().zip(&expected) {
        let closes: Vec<f64> = bars.iter().map(|(_, bar)| bar.close).collect();
        let score = score(bars);
        scored += usize::from(score.is_some());
        assert_row(
            row,
            (symbol, *start, start + 120 * MINUTE),
            &[
                ("volatility_zscore", score),
                ("jump_share", jump_share(bars)),
                ("articles", Some(*articles as f64)),
                ("close", closes.last().copied()),
                ("percent_move", Some(100.0 * (moved(bars) - 1.0))),
                ("average_cross", cross(&closes)),
                ("rsi", strength(&closes)),
                ("bollinger", position(&closes)),
            ],
        );
    }
    assert!(scored > 1_000, "only {scored} windows have a score");
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn score(bars: &[(i64, &Bar)]) -> Option<f64> {
    let newest = bars[bars.len() - 1].0;
    let mut blocks = [(0, 0.0); 12];
    for (at, r) in returns(bars).into_iter().enumerate() {
        let block = &mut blocks[((newest - bars[at + 1].0) / (10 * MINUTE)) as usize];
        *block = (block.0 + 1, block.1 + r * r);
    }
    let level =
        |(returns, squares): &(i32, f64)| (*returns >= 5).then(|| (squares / f64::from(*returns)).sqrt());
    let others: Vec<f64> = blocks[1..].iter().filter_map(level).collect();
    let last = level(&blocks[0])?;
    if others.len() < 5 {
        return None;
    }
    let centre = mean(&others);
    let squares: Vec<f64> = others.iter().map(|other| (other - centre) * (other - centre)).collect();
    let deviation = (squares.iter().sum::<f64>() / (others.len() as f64 - 1.0)).sqrt();
    match deviation < 1e-12 * centre || deviation == 0.0 {
        true => ((last - centre).abs() <= 1e-12 * centre).then_some(0.0),
        false => Some((last - centre) / deviation),
    }
}

fn cross(closes: &[f64]) -> Option<f64> {
    let slow = closes.len().checked_sub(50)?;
    let (fast, slow) = (mean(&closes[closes.len() - 10..]), mean(&closes[slow..]));
    Some((fast / slow - 1.0) * 100.0)
}

fn strength(closes: &[f64]) -> Option<f64> {
    if closes.len() < 15 {
        return None;
    }
    let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let smoothed = |side: f64| {
        let sides: Vec<f64> = changes.iter().map(|change| (change * side).max(0.0)).collect();
        sides[14..].iter().fold(mean(&sides[..14]), |average, now| (average * 13.0 + now) / 14.0)
    };
    let (gain, loss) = (smoothed(1.0), smoothed(-1.0));
    Some(if gain + loss == 0.0 { 50.0 } else { 100.0 - 100.0 * loss / (gain + loss) })
}

fn position(closes: &[f64]) -> Option<f64> {
    let last = &closes[closes.len().checked_sub(20)?..];
    let centre = mean(last);
    let squares: Vec<f64> = last.iter().map(|close| (close - centre) * (close - centre)).collect();
    let deviation = mean(&squares).sqrt();
    Some(if deviation < 1e-9 { 0.5 } else { 0.5 + (last[19] - centre) / (4.0 * deviation) })
}

#[test]
fn order_and_repetition_in_the_files_change_no_byte_of_any_job() {
    let scene = Scene::new();
    // What was received when is kept in the file, as a shuffled file must.
    let bars = std::fs::read_to_string(&scene.file).unwrap();
    let text: Vec<String> = bars
        .lines()
        .skip(1)
        .enumerate()
        .map(|(at, line)| format!("{line},{}", 1_700_000_000_000_u64 + at as u64))
        .collect();
    let header = "start_ms,symbol,open,high,low,close,volume,received_timestamp";
    let mixed: Vec<&String> =
        (0..7).flat_map(|from| text.iter().skip(from).step_by(7)).chain(&text[..500]).collect();
    let joined =
        |lines: Vec<&String>| lines.into_iter().fold(format!("{header}\n"), |all, line| all + line + "\n");
    scene.sandbox.file("straight.csv", joined(text.iter().collect()));
    scene.sandbox.file("mixed.csv", joined(mixed));
    let news = std::fs::read_to_string(scene.sandbox.path("news.csv")).unwrap();
    let (first, articles) = news.split_once('\n').unwrap();
    let turned: String =
        articles.lines().rev().chain(articles.lines().take(9)).map(|line| format!("{line}\n")).collect();
    scene.sandbox.file("turned.csv", format!("{first}\n{turned}"));
    for job in ["news_impact", "news_reaction", "movers", "signals"] {
        let straight = scene.sandbox.out(&format!("compute {job} --bars straight.csv --news news.csv"));
        let mixed = scene.sandbox.out(&format!("compute {job} --bars mixed.csv --news turned.csv"));
        assert!(straight == mixed, "{job} differs");
    }
}

#[test]
fn as_of_arrival_equals_everything_where_everything_came_at_once() {
    let scene = Scene::new();
    let line = format!("--bars {} --news news.csv", scene.file.display());
    for job in ["news_impact", "signals"] {
        let all = scene.sandbox.out(&format!("compute {job} {line}"));
        let known = scene.sandbox.out(&format!("compute {job} {line} --as-of-arrival"));
        assert!(all == known, "{job} differs");
    }
}
