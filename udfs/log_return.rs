//! Log return of a window, from its first open to its last close.
//!
//! ln(Cₙ / O₁). Needs one bar.

use arroyo_udf_plugin::udf;

#[udf]
pub fn log_return(
    start_timestamp: Vec<i64>,
    received_timestamp: Vec<i64>,
    open: Vec<f64>,
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

    if [received_timestamp.len(), open.len(), close.len()] != [start_timestamp.len(); 3] {
        return None;
    }
    let rows = settled(&start_timestamp, &received_timestamp);
    let (&first, &last) = (rows.first()?, rows.last()?);
    let log_return = (close[last] / open[first]).ln();
    log_return.is_finite().then_some(log_return)
}
