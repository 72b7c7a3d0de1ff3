//! Parkinson volatility per bar, from the ranges of the bars; assumes a price without drift.
//!
//! √(Σ ln(H/L)² / (4 n ln 2)) over the n bars of the window. Needs one bar. Parkinson, 1980,
//! "The Extreme Value Method for Estimating the Variance of the Rate of Return", Journal of
//! Business 53.

use arroyo_udf_plugin::udf;

#[udf]
pub fn parkinson(
    start_timestamp: Vec<i64>,
    received_timestamp: Vec<i64>,
    high: Vec<f64>,
    low: Vec<f64>,
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

    if [received_timestamp.len(), high.len(), low.len()] != [start_timestamp.len(); 3] {
        return None;
    }
    let rows = settled(&start_timestamp, &received_timestamp);
    if rows.is_empty() {
        return None;
    }
    let ranges: f64 = rows.iter().map(|&row| (high[row] / low[row]).ln().powi(2)).sum();
    let squared = ranges / (4.0 * rows.len() as f64 * std::f64::consts::LN_2);
    squared.is_finite().then(|| squared.max(0.0).sqrt())
}
