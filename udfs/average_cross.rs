//! Moving-average cross: the percentage by which the fast average lies above the slow one.
//!
//! With F the mean of the last 10 closes and S that of the last 50: 100 · (F − S) / S. Its sign
//! changes where the averages cross. Needs 50 bars. Brock, Lakonishok and LeBaron, 1992,
//! "Simple Technical Trading Rules and the Stochastic Properties of Stock Returns", Journal of
//! Finance 47.

use arroyo_udf_plugin::udf;

#[udf]
pub fn average_cross(
    start_timestamp: Vec<i64>,
    received_timestamp: Vec<i64>,
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

    if [received_timestamp.len(), close.len()] != [start_timestamp.len(); 2] {
        return None;
    }
    let close: Vec<f64> =
        settled(&start_timestamp, &received_timestamp).iter().map(|&row| close[row]).collect();
    let (fast, slow) = (10, 50);
    if close.len() < slow {
        return None;
    }
    let mean = |bars: usize| close[close.len() - bars..].iter().sum::<f64>() / bars as f64;
    let cross = 100.0 * (mean(fast) - mean(slow)) / mean(slow);
    cross.is_finite().then_some(cross)
}
