//! Garman–Klass volatility per bar with the gaps between bars, after Yang and Zhang.
//!
//! With o = ln(Oᵢ/Cᵢ₋₁): √(Σ [o² + ½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)²] / (n − 1)) over the second
//! to the last of the n bars of the window. Needs two bars.
//! Yang and Zhang, 2000, "Drift Independent Volatility Estimation Based on High, Low, Open, and
//! Close Prices", Journal of Business 73.

use arroyo_udf_plugin::udf;

#[udf]
pub fn gkyz(
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
    if rows.len() < 2 {
        return None;
    }
    let terms = rows.windows(2).map(|pair| {
        let (before, row) = (pair[0], pair[1]);
        let gap = (open[row] / close[before]).ln();
        let range = (high[row] / low[row]).ln();
        let body = (close[row] / open[row]).ln();
        gap.powi(2) + 0.5 * range.powi(2) - (2.0 * std::f64::consts::LN_2 - 1.0) * body.powi(2)
    });
    let squared = terms.sum::<f64>() / (rows.len() - 1) as f64;
    squared.is_finite().then(|| squared.max(0.0).sqrt())
}
