//! Volatility of the last ten minutes, in standard deviations from its mean over the window.
//!
//! The window is divided into blocks of ten minutes, counted back from its newest bar. With v
//! the root of the mean squared log return of a block, each return counted in the block of its
//! later close: (v₀ − mean(v₁ …)) / sd(v₁ …) with the sample standard deviation, and 0 if all
//! blocks are equal. Blocks of fewer than five returns are left out. Needs the newest block and
//! five more. The usual standard score, of realized volatility as in `realized`.

use arroyo_udf_plugin::udf;

#[udf]
pub fn volatility_zscore(
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
    let rows = settled(&start_timestamp, &received_timestamp);
    let newest = start_timestamp[*rows.last()?];
    // For each block, counted back: the number of returns and the sum of their squares.
    let mut blocks: std::collections::BTreeMap<i64, (u32, f64)> = std::collections::BTreeMap::new();
    for pair in rows.windows(2) {
        let back = newest.saturating_sub(start_timestamp[pair[1]]) / 600_000;
        let (returns, squares) = blocks.entry(back).or_default();
        *returns += 1;
        *squares += (close[pair[1]] / close[pair[0]]).ln().powi(2);
    }
    blocks.retain(|_, (returns, _)| *returns >= 5);
    let level_of = |&(returns, squares): &(u32, f64)| (squares / f64::from(returns)).sqrt();
    let last = level_of(blocks.get(&0)?);
    let others: Vec<f64> =
        blocks.iter().filter(|(back, _)| **back > 0).map(|(_, block)| level_of(block)).collect();
    if others.len() < 5 {
        return None;
    }
    let mean = others.iter().sum::<f64>() / others.len() as f64;
    let squared: f64 = others.iter().map(|other| (other - mean).powi(2)).sum();
    let deviation = (squared / (others.len() - 1) as f64).sqrt();
    // A smaller deviation is a rounding error of the sums.
    let rounding = 1e-12 * mean.abs();
    let score = if deviation > rounding { (last - mean) / deviation } else { 0.0 };
    let is_told = last.is_finite() && (deviation > rounding || (last - mean).abs() <= rounding);
    (is_told && score.is_finite()).then_some(score)
}
