//! Realized volatility of a window (not scaled to a bar): the root of the sum of squared log
//! returns.
//!
//! With r the log return from each close to the next: √(Σ r²). Needs two bars. Andersen and
//! Bollerslev, 1998, "Answering the Skeptics: Yes, Standard Volatility Models Do Provide
//! Accurate Forecasts", International Economic Review 39.

use arroyo_udf_plugin::udf;

#[udf]
pub fn realized(start_timestamp: Vec<i64>, received_timestamp: Vec<i64>, close: Vec<f64>) -> Option<f64> {
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

    if [received_timestamp.len(), close.len()] != [start_timestamp.len(); 2] {
        return None;
    }
    let close: Vec<f64> =
        settled(&start_timestamp, &received_timestamp).iter().map(|&row| close[row]).collect();
    if close.len() < 2 {
        return None;
    }
    let squared: f64 = close.windows(2).map(|pair| (pair[1] / pair[0]).ln().powi(2)).sum();
    squared.is_finite().then(|| squared.max(0.0).sqrt())
}
