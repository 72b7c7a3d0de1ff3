//! `tickwire compute volatility` over real minute bars, against the formulas computed here by plain loops.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::{LN_2, PI};
use std::sync::OnceLock;

use testkit::real_bars;

use crate::harness::Sandbox;

const HEADER: &str = "symbol,window_start,window_end,bars,realized,bipower,parkinson,garman_klass,\
                      rogers_satchell,gkyz,yang_zhang,jump_share,log_return,volume,received_until";
const MINUTE: i64 = 60_000;
const WINDOW: i64 = 30 * MINUTE;

/// Relative.
const TOLERANCE: f64 = 1e-9;

#[test]
fn every_window_of_the_real_bars_is_as_the_formulas_say() {
    let output = computed();
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some(HEADER));

    let mut windows = 0;
    for expected in expected_rows() {
        let line = lines.next().unwrap_or_else(|| panic!("the output ends before {expected:?}"));
        expected.assert_is(line);
        windows += 1;
    }
    assert_eq!(lines.next(), None, "the output goes on after the last window");
    assert!(windows > 15_000, "only {windows} windows were compared");
}

#[test]
fn the_published_reference_rows_come_out() {
    let output = computed();
    let columns: Vec<&str> = HEADER.split(',').collect();
    for (symbol, window_start, bars, values) in REFERENCE {
        let start = format!("{symbol},{window_start},");
        let line = output.lines().find(|line| line.starts_with(&start));
        let fields: Vec<&str> = line.unwrap_or_else(|| panic!("no row {start}")).split(',').collect();
        assert_eq!(fields[3], bars.to_string(), "bars of {start}");
        for (name, value) in REFERENCE_COLUMNS.iter().zip(values) {
            let column = columns.iter().position(|column| column == name).expect("a column of the output");
            assert!(
                agree(fields[column], Some(value)),
                "{name} of {start} is {}, not {value}",
                fields[column]
            );
        }
    }
}

const REFERENCE_COLUMNS: [&str; 7] =
    ["realized", "parkinson", "garman_klass", "rogers_satchell", "gkyz", "yang_zhang", "bipower"];

#[rustfmt::skip]
const REFERENCE: [(&str, i64, usize, [f64; 7]); 5] = [
    ("AAPL", 1401967020000, 19, [0.00241642267708, 0.000312415150803, 0.000196693363188, 0.000113708798713, 0.000467574407641, 0.000452501967432, 0.00204353687769]),
    ("AAPL", 1402307940000, 17, [0.000992142395133, 0.000159265364501, 8.94242007911e-05, 0.0, 0.000354538324418, 0.000348929603145, 0.000930120940183]),
    ("BAC", 1381240620000, 30, [0.00330196515662, 0.00078629918053, 0.00083863061753, 0.000957986455142, 0.000946402373367, 0.00101938733343, 0.0031284301606]),
    ("IBM", 1381261020000, 26, [0.00857598035347, 0.000733475635279, 0.000678101291314, 0.000662904147588, 0.00151085844193, 0.00154063291283, 0.00653837350805]),
    ("SPY", 1381390380000, 3, [0.000268561269811, 0.000159982929766, 8.98270988134e-05, 0.0, 0.00014170844117, 0.000171510165165, 0.00021287540694]),
];

/// What the command prints, computed once for all tests.
fn computed() -> &'static str {
    static OUTPUT: OnceLock<String> = OnceLock::new();
    OUTPUT.get_or_init(|| Sandbox::new().out(&format!("compute volatility --bars {}", real_bars().display())))
}

#[derive(Clone, Copy)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

/// The bars of each symbol by their start; of a repeated start the last in the file.
fn bars_by_symbol() -> BTreeMap<String, BTreeMap<i64, Bar>> {
    let text = std::fs::read_to_string(real_bars()).expect("the file of bars is readable");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("start_ms,symbol,open,high,low,close,volume"));
    let mut symbols: BTreeMap<String, BTreeMap<i64, Bar>> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |index: usize| fields[index].parse::<f64>().expect("a number");
        let bar =
            Bar { open: number(2), high: number(3), low: number(4), close: number(5), volume: number(6) };
        let start = fields[0].parse().expect("a time");
        symbols.entry(fields[1].to_owned()).or_default().insert(start, bar);
    }
    symbols
}

#[derive(Debug)]
struct Row {
    symbol: String,
    window_start: i64,
    bars: usize,
    /// From `realized` to `volume`, in the order of the header.
    measures: [Option<f64>; 10],
    /// The end of its last bar: the file says nothing else of receipts.
    received_until: i64,
}

impl Row {
    fn assert_is(&self, line: &str) {
        let fields: Vec<&str> = line.split(',').collect();
        let (start, end) = (self.window_start, self.window_start + WINDOW);
        let key = [self.symbol.clone(), start.to_string(), end.to_string(), self.bars.to_string()];
        assert_eq!(fields[..4], key, "in {line}");
        assert_eq!(fields.len(), 15, "in {line}");
        assert_eq!(fields[14], self.received_until.to_string(), "in {line}");
        for ((field, &expected), name) in
            fields[4..14].iter().zip(&self.measures).zip(HEADER.split(',').skip(4))
        {
            assert!(agree(field, expected), "{name} is {field:?}, not {expected:?}, in {line}");
        }
    }
}

/// Whether a field holds the expected value; empty is NULL.
fn agree(field: &str, expected: Option<f64>) -> bool {
    match (field.parse::<f64>(), expected) {
        (Ok(value), Some(expected)) => (value - expected).abs() <= TOLERANCE * expected.abs(),
        (Err(_), None) => field.is_empty(),
        _ => false,
    }
}

/// One row per symbol and window, aligned to the epoch, that holds a bar; ordered by both.
fn expected_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (symbol, bars) in bars_by_symbol() {
        let mut starts = BTreeSet::new();
        for start in bars.keys() {
            let minute = start.div_euclid(MINUTE) * MINUTE;
            starts.extend((0..30).map(|back| minute - back * MINUTE));
        }
        for window_start in starts {
            let (starts, window): (Vec<i64>, Vec<Bar>) =
                bars.range(window_start..window_start + WINDOW).map(|(start, bar)| (*start, *bar)).unzip();
            rows.push(Row {
                symbol: symbol.clone(),
                window_start,
                bars: window.len(),
                measures: measures(&window),
                received_until: starts[starts.len() - 1] + MINUTE,
            });
        }
    }
    rows
}

fn measures(bars: &[Bar]) -> [Option<f64>; 10] {
    let n = bars.len();
    let mut within = Within::default();
    let mut between = Within::default();
    let (mut gaps, mut bodies, mut returns) = (Vec::new(), Vec::new(), Vec::new());
    let mut volume = 0.0;
    for (i, bar) in bars.iter().enumerate() {
        within.add(bar);
        volume += bar.volume;
        if i > 0 {
            between.add(bar);
            gaps.push((bar.open / bars[i - 1].close).ln());
            bodies.push((bar.close / bar.open).ln());
            returns.push((bar.close / bars[i - 1].close).ln());
        }
    }

    let mut variation = 0.0;
    for r in &returns {
        variation += r * r;
    }
    let mut products = 0.0;
    for i in 1..returns.len() {
        products += returns[i].abs() * returns[i - 1].abs();
    }
    let bipower = PI / 2.0 * products;
    let mut squared_gaps = 0.0;
    for gap in &gaps {
        squared_gaps += gap * gap;
    }
    let garman_klass =
        |terms: &Within| terms.squared_ranges / 2.0 - (2.0 * LN_2 - 1.0) * terms.squared_bodies;

    let root = |squared: f64| if squared > 0.0 { squared.sqrt() } else { 0.0 };
    let from = |needs: usize, value: f64| if n >= needs { Some(value) } else { None };
    let jumps = if variation > bipower { (variation - bipower) / variation } else { 0.0 };
    [
        from(2, root(variation)),
        from(3, root(bipower)),
        from(1, root(within.squared_ranges / (4.0 * n as f64 * LN_2))),
        from(1, root(garman_klass(&within) / n as f64)),
        from(1, root(within.rogers_satchell / n as f64)),
        from(2, root((squared_gaps + garman_klass(&between)) / (n as f64 - 1.0))),
        from(3, root(yang_zhang(&gaps, &bodies, between.rogers_satchell))),
        from(3, jumps),
        from(1, (bars[n - 1].close / bars[0].open).ln()),
        from(1, volume),
    ]
}

/// Sums over bars of what happens within each.
#[derive(Default)]
struct Within {
    squared_ranges: f64,
    squared_bodies: f64,
    rogers_satchell: f64,
}

impl Within {
    fn add(&mut self, bar: &Bar) {
        let range = (bar.high / bar.low).ln();
        let (u, d, c) = ((bar.high / bar.open).ln(), (bar.low / bar.open).ln(), (bar.close / bar.open).ln());
        self.squared_ranges += range * range;
        self.squared_bodies += c * c;
        self.rogers_satchell += u * (u - c) + d * (d - c);
    }
}

fn yang_zhang(gaps: &[f64], bodies: &[f64], rogers_satchell: f64) -> f64 {
    let m = gaps.len() as f64;
    let k = 0.34 / (1.34 + (m + 1.0) / (m - 1.0));
    sample_variance(gaps) + k * sample_variance(bodies) + (1.0 - k) * rogers_satchell / m
}

fn sample_variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mut sum = 0.0;
    for value in values {
        sum += value;
    }
    let mean = sum / count;
    let mut deviations = 0.0;
    for value in values {
        deviations += (value - mean) * (value - mean);
    }
    deviations / (count - 1.0)
}
