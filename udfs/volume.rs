//! Volume of a window, in shares, in which a repeated or corrected bar counts once.
//!
//! Σ volume over the bars of the window; a plain sum over the rows would count such bars again.
//! Needs one bar.

use arroyo_udf_plugin::udf;

#[udf]
pub fn volume(start_timestamp: Vec<i64>, received_timestamp: Vec<i64>, volume: Vec<f64>) -> Option<f64> {
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

    if [received_timestamp.len(), volume.len()] != [start_timestamp.len(); 2] {
        return None;
    }
    let rows = settled(&start_timestamp, &received_timestamp);
    if rows.is_empty() {
        return None;
    }
    let total: f64 = rows.iter().map(|&row| volume[row]).sum();
    total.is_finite().then_some(total)
}
