//! Relative strength index of a window's closes, from 0 (only losses) to 100 (only gains).
//!
//! With G and L the averages of gains and losses from each close to the next over 14 bars: 100
//! · G / (G + L), and 50 if the price did not move. The averages begin as the means of the
//! first 14 changes; each further change enters with a weight of 1/14. Needs 15 bars. Wilder,
//! 1978, "New Concepts in Technical Trading Systems".

use arroyo_udf_plugin::udf;

#[udf]
pub fn rsi(start_timestamp: Vec<i64>, received_timestamp: Vec<i64>, close: Vec<f64>) -> Option<f64> {
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
    let period = 14;
    if close.len() <= period {
        return None;
    }
    let (mut gain, mut loss) = (0.0, 0.0);
    for (at, pair) in close.windows(2).enumerate() {
        let change = pair[1] - pair[0];
        // The first 14 changes are summed up to their mean.
        let kept = if at < period { 1.0 } else { 1.0 - 1.0 / period as f64 };
        gain = gain * kept + change.max(0.0) / period as f64;
        loss = loss * kept + (-change).max(0.0) / period as f64;
        if !change.is_finite() {
            return None;
        }
    }
    let index = if gain + loss > 0.0 { 100.0 * gain / (gain + loss) } else { 50.0 };
    index.is_finite().then_some(index)
}
