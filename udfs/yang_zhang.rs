//! Yang–Zhang volatility per bar, from the gaps between bars, bodies and ranges; valid with
//! drift.
//!
//! Over the m = n − 1 bars from the second on, with o = ln(Oᵢ/Cᵢ₋₁), u = ln(H/O), d = ln(L/O),
//! c = ln(C/O): √(s²(o) + k s²(c) + (1 − k) RS), where s² is the sample variance (divisor m −
//! 1), RS the mean of u(u − c) + d(d − c), and k = 0.34 / (1.34 + (m + 1)/(m − 1)). Needs three
//! bars. Yang and Zhang, 2000, "Drift Independent Volatility Estimation Based on High, Low,
//! Open, and Close Prices", Journal of Business 73.

use arroyo_udf_plugin::udf;

#[udf]
pub fn yang_zhang(
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
    if rows.len() < 3 {
        return None;
    }
    let m = (rows.len() - 1) as f64;
    // In two passes: the mean square minus the squared mean would lose digits in a window with
    // a stock split.
    let variance = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / m;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (m - 1.0)
    };
    let gaps: Vec<f64> = rows.windows(2).map(|pair| (open[pair[1]] / close[pair[0]]).ln()).collect();
    let bodies: Vec<f64> = rows[1..].iter().map(|&row| (close[row] / open[row]).ln()).collect();
    let within = rows[1..].iter().zip(&bodies).map(|(&row, &body)| {
        let up = (high[row] / open[row]).ln();
        let down = (low[row] / open[row]).ln();
        up * (up - body) + down * (down - body)
    });
    let k = 0.34 / (1.34 + (m + 1.0) / (m - 1.0));
    let squared = variance(&gaps) + k * variance(&bodies) + (1.0 - k) * (within.sum::<f64>() / m);
    squared.is_finite().then(|| squared.max(0.0).sqrt())
}
