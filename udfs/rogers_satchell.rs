//! Rogers–Satchell volatility per bar, from the prices within each bar; valid with drift.
//!
//! With u = ln(H/O), d = ln(L/O), c = ln(C/O): √(Σ [u(u − c) + d(d − c)] / n) over the n bars
//! of the window. Needs one bar. Rogers and Satchell, 1991, "Estimating Variance from High, Low
//! and Closing Prices", Annals of Applied Probability 1.

use arroyo_udf_plugin::udf;

#[udf]
pub fn rogers_satchell(
    start_timestamp: Vec<i64>,
    received_timestamp: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
) -> Option<f64> {
    // For each start the latest version, of equal versions the last to arrive; in time order.
    fn settled(starts: &[i64], received: &[i64]) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..starts.len()).collect();
        if starts.windows(2).any(|pair| pair[0] >= pair[1]) {
            rows.sort_by_key(|&row| (starts[row], received[row]));
            rows.dedup_by(|later, kept| {
                let repeated = starts[*later] == starts[*kept];
                if repeated {
                    *kept = *later;
                }
                repeated
            });
        }
        rows
    }

    if [received_timestamp.len(), open.len(), high.len(), low.len(), close.len()]
        != [start_timestamp.len(); 5]
    {
        return None;
    }
    let rows = settled(&start_timestamp, &received_timestamp);
    if rows.is_empty() {
        return None;
    }
    let terms = rows.iter().map(|&row| {
        let up = (high[row] / open[row]).ln();
        let down = (low[row] / open[row]).ln();
        let body = (close[row] / open[row]).ln();
        up * (up - body) + down * (down - body)
    });
    let squared = terms.sum::<f64>() / rows.len() as f64;
    squared.is_finite().then(|| squared.max(0.0).sqrt())
}
