//! A mean with its standard error and its confidence band.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean of so many values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// How many values.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The standard error of the mean, s/√n with divisor n − 1 in s; none of a single value.
    pub standard_error: Option<f64>,
    /// Lower and upper end of the confidence band, mean ∓ t·standard error
    /// with n − 1 degrees of freedom; none of a single value.
    pub band: Option<(f64, f64)>,
}

impl Estimate {
    /// The mean of `values`, taken as independent; none of no values.
    pub(crate) fn of(values: &[f64], confidence: f64) -> Option<Estimate> {
        let sample = Sample::of(values)?;
        let standard_error = sample.variance.map(|variance| (variance / sample.count as f64).sqrt());
        let band = standard_error.map(|error| {
            let reach = t_quantile(sample.count - 1, confidence) * error;
            (sample.mean - reach, sample.mean + reach)
        });
        Some(Estimate { count: sample.count, mean: sample.mean, standard_error, band })
    }

    /// Whether the band leaves zero out: the mean differs from zero, at that confidence.
    pub fn rejects_zero(&self) -> bool {
        self.band.is_some_and(|(low, high)| low > 0.0 || high < 0.0)
    }
}

/// Count, mean and variance of some values.
pub(crate) struct Sample {
    pub count: usize,
    pub mean: f64,
    /// With divisor n − 1; none of a single value.
    pub variance: Option<f64>,
}

impl Sample {
    /// In two passes, so that no digits are lost to a large mean; none of no values.
    pub fn of(values: &[f64]) -> Option<Sample> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let variance = (count > 1).then(|| squares / (count - 1) as f64);
        Some(Sample { count, mean, variance })
    }
}

/// How many standard errors a two-sided band of `confidence` reaches to each
/// side, by Student's t distribution.
pub(crate) fn t_quantile(degrees_of_freedom: usize, confidence: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, degrees_of_freedom as f64) {
        Ok(t) => t.inverse_cdf(0.5 + confidence / 2.0),
        // No degree of freedom: nothing is known, so the band has no end.
        Err(_) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_printed_tables() {
        for (degrees, quantile) in [(1, 12.706), (2, 4.303), (4, 2.776), (24, 2.064), (1_000, 1.962)] {
            assert!((t_quantile(degrees, 0.95) - quantile).abs() < 5e-4, "{degrees}");
        }
        assert_eq!(t_quantile(0, 0.95), f64::INFINITY);
    }

    #[test]
    fn a_band_reaches_t_standard_errors_to_each_side() {
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        let error = (2.5_f64 / 5.0).sqrt();
        assert_eq!((estimate.count, estimate.mean), (5, 3.0));
        assert!((estimate.standard_error.unwrap() - error).abs() < 1e-12);
        let (low, high) = estimate.band.unwrap();
        assert!((low - (3.0 - 2.776_445 * error)).abs() < 1e-5 && (low + high - 6.0).abs() < 1e-12);
        assert!(estimate.rejects_zero());
        assert!(!Estimate::of(&[-1.0, 1.5], 0.95).unwrap().rejects_zero());
    }

    #[test]
    fn a_single_value_has_no_band_and_no_value_no_mean() {
        let single = Estimate::of(&[1.0], 0.95).unwrap();
        assert_eq!((single.mean, single.standard_error, single.band), (1.0, None, None));
        assert!(!single.rejects_zero());
        assert_eq!(Estimate::of(&[], 0.95), None);
    }
}
