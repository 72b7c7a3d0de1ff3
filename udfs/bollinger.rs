//! Bollinger position (%b): the last close relative to the bands, 0 on the lower, 1 on the
//! upper.
//!
//! With m and s the mean and the population standard deviation of the last 20 closes, the bands
//! are m ± 2s: (c − (m − 2s)) / 4s, and 0.5 if the price did not move. Needs 20 bars.
//! Bollinger, 2001, "Bollinger on Bollinger Bands".

use arroyo_udf_plugin::udf;

#[udf]
pub fn bollinger(start_timestamp: Vec<i64>, received_timestamp: Vec<i64>, close: Vec<f64>) -> Option<f64> {
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
    let period = 20;
    if close.len() < period {
        return None;
    }
    let last = &close[close.len() - period..];
    let mean = last.iter().sum::<f64>() / period as f64;
    let deviation = (last.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / period as f64).sqrt();
    if !deviation.is_finite() {
        return None;
    }
    // A smaller deviation is a rounding error of the sums.
    if deviation <= 1e-12 * mean.abs() {
        return Some(0.5);
    }
    let position = (last[period - 1] - (mean - 2.0 * deviation)) / (4.0 * deviation);
    position.is_finite().then_some(position)
}
