//! How activation and relevance of a concept are distributed over the samples, and how they go together.

use num_bigint::BigInt;

use crate::search::exact_sum::{ExactSum, to_f64};

/// The exponent of the product of two units of [`ExactSum`].
const SQUARED_UNIT: i32 = -640;

/// Running statistics of one concept's scores, exact: they do not depend on how the samples were split or ordered.
///
/// Relevance has a value for each pair of a sample and a target, activation one for each sample. Values that are infinite or
/// not a number are left out, with the whole pair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// The activation of each sample.
    pub activation: Moments,
    /// The relevance of each pair.
    pub relevance: Moments,
    /// The activation of each pair, so that a sample of several targets counts several times.
    pub activation_of_pairs: Moments,
    /// The sum of activation times relevance over all pairs.
    pub products: ExactSum,
}

/// The number of values, their sum, and that of their squares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moments {
    /// The number of values.
    pub count: u64,
    /// Their sum.
    pub sum: ExactSum,
    /// The sum of their squares.
    pub squares: ExactSum,
}

impl Statistics {
    /// Takes in the activation of a sample.
    pub fn add_sample(&mut self, activation: f32) {
        self.activation.add(activation);
    }

    /// Takes in the activation and relevance of a sample for one of its targets.
    pub fn add_pair(&mut self, activation: f32, relevance: f32) {
        if activation.is_finite() && relevance.is_finite() {
            self.relevance.add(relevance);
            self.activation_of_pairs.add(activation);
            self.products.add_product(activation, relevance);
        }
    }

    /// Takes in what others have seen.
    pub fn merge(&mut self, other: &Self) {
        self.activation.merge(&other.activation);
        self.relevance.merge(&other.relevance);
        self.activation_of_pairs.merge(&other.activation_of_pairs);
        self.products.merge(&other.products);
    }

    /// Pearson's correlation of activation and relevance over all pairs, from -1 to 1; `None` where one of them is constant.
    pub fn correlation(&self) -> Option<f64> {
        let (activation, relevance) = (&self.activation_of_pairs, &self.relevance);
        let variation = activation.variation() * relevance.variation();
        if variation == BigInt::ZERO {
            return None;
        }
        let products = squared_units(relevance.count, &self.products);
        let together = products - activation.sum.integer() * relevance.sum.integer();
        // Such integers may be too large for floats; their ratio is not.
        let half = variation.bits() as i32 / 2;
        let (together, variation) = (to_f64(&together, -half), to_f64(&variation, -2 * half));
        Some((together / variation.sqrt()).clamp(-1.0, 1.0))
    }
}

impl Moments {
    fn add(&mut self, value: f32) {
        if value.is_finite() {
            self.count += 1;
            self.sum.add(value);
            self.squares.add_product(value, value);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// The mean; `None` of no values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.value() / self.count as f64)
    }

    /// The variance of the values as they are, that is with their number, not one less, below; `None` of no values.
    pub fn variance(&self) -> Option<f64> {
        let count = self.count as f64;
        (self.count > 0).then(|| to_f64(&self.variation(), SQUARED_UNIT) / count / count)
    }

    /// `count`² times the variance, as a whole number of squared units.
    fn variation(&self) -> BigInt {
        let sum = self.sum.integer();
        squared_units(self.count, &self.squares) - &sum * &sum
    }
}

/// `count` times a sum, in squared units.
fn squared_units(count: u64, sum: &ExactSum) -> BigInt {
    (sum.integer() * count) << (SQUARED_UNIT / 2).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn statistics(pairs: &[(f32, f32)]) -> Statistics {
        let mut statistics = Statistics::default();
        for (activation, relevance) in pairs {
            statistics.add_sample(*activation);
            statistics.add_pair(*activation, *relevance);
        }
        statistics
    }

    #[test]
    fn of_few_values() {
        let found = statistics(&[(1.0, 2.0), (2.0, 1.0), (3.0, -3.0)]);
        assert_eq!((found.activation.mean(), found.activation.variance()), (Some(2.0), Some(2.0 / 3.0)));
        assert_eq!(found.relevance.mean(), Some(0.0));
        assert_eq!(found.relevance.variance(), Some(14.0 / 3.0));
        // The covariance is -5/3, the variances are 2/3 and 14/3.
        let expected = -5.0 / 28f64.sqrt();
        assert!((found.correlation().unwrap() - expected).abs() < 4.0 * f64::EPSILON, "{:?}", found.correlation());
        let alike = statistics(&[(1e-30, 3e-30), (2e20, 6e20), (-7.0, -21.0)]);
        assert!(alike.correlation().unwrap() > 1.0 - 1e-6, "{:?}", alike.correlation());
    }

    #[test]
    fn what_does_not_vary_has_no_variance_and_no_correlation() {
        let found = statistics(&[(0.1, 1.0); 1000]);
        assert_eq!(found.activation.variance(), Some(0.0));
        assert_eq!(found.correlation(), None);
        let none = statistics(&[]);
        assert_eq!((none.activation.mean(), none.activation.variance(), none.correlation()), (None, None, None));
    }

    #[test]
    fn small_differences_of_large_values_are_seen() {
        // Where squares are summed as floats, nothing is left of this variance.
        let found = statistics(&[(8_388_608.0, 0.0), (8_388_609.0, 0.0)]);
        assert_eq!(found.activation.variance(), Some(0.25));
    }

    #[test]
    fn infinite_values_are_left_out_with_their_pair() {
        let found = statistics(&[(1.0, 2.0), (f32::INFINITY, 5.0), (4.0, f32::NAN)]);
        assert_eq!((found.activation.count, found.relevance.count, found.activation_of_pairs.count), (2, 1, 1));
    }

    proptest! {
        #[test]
        fn agree_with_double_precision(pairs in prop::collection::vec((-100f32..100.0, -1f32..1.0), 2..40)) {
            /// Sums of up to 40 terms of size 10⁴ in double precision are off by less than 40 · 10⁴ · 2⁻⁵².
            const OFF: f64 = 1e-10;
            let found = statistics(&pairs);
            let count = pairs.len() as f64;
            let mean = |of: &dyn Fn(f64, f64) -> f64| {
                pairs.iter().map(|(a, r)| of(f64::from(*a), f64::from(*r))).sum::<f64>() / count
            };
            let (a, r) = (mean(&|a, _| a), mean(&|_, r| r));
            let (aa, rr) = (mean(&|x, _| (x - a) * (x - a)), mean(&|_, y| (y - r) * (y - r)));
            let ar = mean(&|x, y| (x - a) * (y - r));
            prop_assert!((found.activation.mean().unwrap() - a).abs() < OFF);
            prop_assert!((found.activation.variance().unwrap() - aa).abs() < OFF);
            prop_assert!((found.relevance.variance().unwrap() - rr).abs() < OFF);
            if aa > 1e-3 && rr > 1e-3 {
                prop_assert!((found.correlation().unwrap() - ar / (aa * rr).sqrt()).abs() < 1e4 * OFF);
            }
        }

        #[test]
        fn merging_changes_no_bit(pairs in prop::collection::vec((any::<f32>(), any::<f32>()), 0..30), cut in 0usize..30) {
            let cut = cut.min(pairs.len());
            let mut merged = statistics(&pairs[cut..]);
            merged.merge(&statistics(&pairs[..cut]));
            prop_assert_eq!(merged, statistics(&pairs));
        }
    }
}
