//! Random numbers by seed, name and date: the same on every platform and in any order of asking.

use chrono::{Datelike, NaiveDate};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One stream of random numbers, independent of all others.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream `name` of a day; of a name, the first 24 bytes count.
    pub fn new(seed: u64, name: &str, date: NaiveDate) -> Draws {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for (slot, byte) in key[8..].iter_mut().zip(name.bytes()) {
            *slot = byte;
        }
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(u64::from(date.num_days_from_ce().unsigned_abs()));
        Draws(stream)
    }

    /// From 0, included, to 1, excluded.
    pub fn uniform(&mut self) -> f64 {
        const TO_UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * TO_UNIT
    }

    /// Whether something of probability `p` happens.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// One of 0 .. `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }

    /// As good as normal, mean 0 and deviation 1: a sum of eight uniforms,
    /// which unlike the usual methods takes no function that differs from one
    /// platform to the next.
    pub fn normal(&mut self) -> f64 {
        const MEAN: f64 = 8.0 * 65_535.0 / 2.0;
        // The variance of eight uniforms over 0 .. 65536 is 8 / 12 · 65536².
        const TO_UNIT: f64 = 1.224_744_871_391_589 / 65_536.0;
        let mut sum = 0;
        for _ in 0..2 {
            let bits = self.0.next_u64();
            sum += (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        }
        (sum as f64 - MEAN) * TO_UNIT
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// How many of something happen that happens `mean` times on average.
    pub fn poisson(&mut self, mean: f64) -> usize {
        let mut left = mean - self.exponential();
        let mut count = 0;
        while left > 0.0 {
            count += 1;
            left -= self.exponential();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, name: &str, day: u32) -> Draws {
        Draws::new(seed, name, NaiveDate::from_ymd_opt(2024, 3, day).unwrap())
    }

    #[test]
    fn seed_name_and_date_each_make_another_stream() {
        let first = |seed, name, day| draws(seed, name, day).uniform().to_bits();
        assert_eq!(first(1, "AAPL", 5), first(1, "AAPL", 5));
        for other in [first(2, "AAPL", 5), first(1, "IBM", 5), first(1, "AAPL", 6)] {
            assert_ne!(other, first(1, "AAPL", 5));
        }
    }

    #[test]
    fn the_numbers_have_the_moments_that_they_claim() {
        const COUNT: usize = 200_000;
        let mut draws = draws(7, "moments", 5);
        let mut moments = |draw: &dyn Fn(&mut Draws) -> f64| {
            let values: Vec<f64> = (0..COUNT).map(|_| draw(&mut draws)).collect();
            let mean = values.iter().sum::<f64>() / COUNT as f64;
            (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / COUNT as f64)
        };
        for (name, (mean, variance), (true_mean, true_variance)) in [
            ("uniform", moments(&Draws::uniform), (0.5, 1.0 / 12.0)),
            ("normal", moments(&Draws::normal), (0.0, 1.0)),
            ("exponential", moments(&Draws::exponential), (1.0, 1.0)),
            ("poisson", moments(&|draws| draws.poisson(3.0) as f64), (3.0, 3.0)),
            ("below", moments(&|draws| draws.below(3) as f64), (1.0, 2.0 / 3.0)),
        ] {
            assert!((mean - true_mean).abs() < 0.02, "{name}: mean {mean}");
            assert!((variance / true_variance - 1.0).abs() < 0.03, "{name}: variance {variance}");
        }
    }
}
