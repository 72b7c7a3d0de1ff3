//! Range of a window in percent: how far its highest price lies above its lowest.
//!
//! With H the highest high and L the lowest low: 100 · (H / L − 1). Needs one bar.

use arroyo_udf_plugin::udf;

#[udf]
pub fn high_low(
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
    let highest = rows.iter().map(|&row| high[row]).reduce(f64::max)?;
    let lowest = rows.iter().map(|&row| low[row]).reduce(f64::min)?;
    let range = 100.0 * (highest / lowest - 1.0);
    range.is_finite().then_some(range)
}
