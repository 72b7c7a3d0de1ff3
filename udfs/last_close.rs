//! Last price: the close of the newest bar of a window, in its currency.
//!
//! Needs one bar.

use arroyo_udf_plugin::udf;

#[udf]
pub fn last_close(start_timestamp: Vec<i64>, received_timestamp: Vec<i64>, close: Vec<f64>) -> Option<f64> {
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
    let newest = settled(&start_timestamp, &received_timestamp).last().map(|&row| close[row])?;
    newest.is_finite().then_some(newest)
}
