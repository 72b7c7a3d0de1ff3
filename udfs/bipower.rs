//! Bipower variation of a window (not scaled to a bar): its volatility without jumps.
//!
//! With r the log return from each close to the next: √((π/2) Σ |rᵢ|·|rᵢ₋₁|). Needs three bars.
//! Barndorff-Nielsen and Shephard, 2004, "Power and Bipower Variation with Stochastic
//! Volatility and Jumps", Journal of Financial Econometrics 2.

use arroyo_udf_plugin::udf;

#[udf]
pub fn bipower(start_timestamp: Vec<i64>, received_timestamp: Vec<i64>, close: Vec<f64>) -> Option<f64> {
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
    if close.len() < 3 {
        return None;
    }
    let returns: Vec<f64> = close.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
    let products: f64 = returns.windows(2).map(|pair| pair[0].abs() * pair[1].abs()).sum();
    let squared = std::f64::consts::FRAC_PI_2 * products;
    squared.is_finite().then(|| squared.max(0.0).sqrt())
}
