//! How far means over samples can be trusted.

use crate::random::Sequence;

/// What resamples draw from; random rankings have another.
const STREAM: u32 = 2;

/// The percentile bootstrap: samples are drawn anew, with replacement and as many as there are, and what is computed from their
/// means is looked at over all of these resamples.
///
/// All statistics of one call see the same resamples, so that differences of them are paired by sample. Results depend on the
/// seed and the rows alone.
///
/// Source: Efron and Tibshirani 1993, doi 10.1201/9780429246593, chapter 13.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How often samples are drawn anew. Default: 1,000.
    pub resamples: u32,
    /// The part of the resamples whose statistics lie in the interval, the same number on both sides of it. Default: 0.95.
    pub confidence: f64,
    /// The seed. Default: 0.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1000, confidence: 0.95, seed: 0 }
    }
}

/// A statistic of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Of the samples as they are; NaN where it is undefined.
    pub value: f64,
    /// Where it lies over resamples; `None` for fewer than two samples, or where it is undefined for any of the resamples.
    pub interval: Option<Interval>,
}

/// A range of a statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether the two have no point in common.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.high < other.low || other.high < self.low
    }
}

impl Bootstrap {
    /// The `statistics` of the means of `rows`, each row with the same numbers of one sample. A statistic may be NaN, where it
    /// is undefined.
    pub fn of_means(&self, rows: &[Vec<f64>], statistics: impl Fn(&[f64]) -> Vec<f64>) -> Vec<Estimate> {
        let columns = rows.first().map_or(0, Vec::len);
        let means = |weights: &[u32]| {
            let mut means = vec![0.0; columns];
            for (row, &weight) in rows.iter().zip(weights).filter(|(_, weight)| **weight > 0) {
                means.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(weight) * value);
            }
            means.iter_mut().for_each(|mean| *mean /= rows.len().max(1) as f64);
            means
        };
        let values = statistics(&means(&vec![1; rows.len()]));
        let mut seen = vec![Vec::with_capacity(self.resamples as usize); values.len()];
        for resample in 0..if rows.len() < 2 { 0 } else { self.resamples } {
            let mut sequence = Sequence::new(self.seed, STREAM, resample);
            let mut weights = vec![0; rows.len()];
            (0..rows.len()).for_each(|_| weights[sequence.below(rows.len())] += 1);
            for (seen, value) in seen.iter_mut().zip(statistics(&means(&weights))) {
                seen.push(value);
            }
        }
        let estimate = |(value, seen)| Estimate { value, interval: self.interval(seen) };
        values.into_iter().zip(seen).map(estimate).collect()
    }

    fn interval(&self, mut seen: Vec<f64>) -> Option<Interval> {
        if seen.is_empty() || seen.iter().any(|value| value.is_nan()) {
            return None;
        }
        seen.sort_by(f64::total_cmp);
        let outside = (1.0 - self.confidence) / 2.0;
        Some(Interval { low: quantile(&seen, outside), high: quantile(&seen, 1.0 - outside) })
    }
}

/// The value below which the part `at` of the sorted values lies, on a line between two of them.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place.floor();
    let (low, high) = (sorted[below as usize], sorted[place.ceil() as usize]);
    // Infinite ends are not to become NaN.
    if low == high { low } else { low + (high - low) * (place - below) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` rows of two even random numbers in 0 to 1, the second one half of it the first.
    fn rows(count: usize, number: u32) -> Vec<Vec<f64>> {
        const FINE: usize = 1 << 20;
        let mut sequence = Sequence::new(11, 77, number);
        let mut next = || (sequence.below(FINE) as f64 + 0.5) / FINE as f64;
        (0..count).map(|_| [next(), next()]).map(|[a, b]| vec![a, (a + b) / 2.0]).collect()
    }

    fn means(means: &[f64]) -> Vec<f64> {
        means.to_vec()
    }

    #[test]
    fn intervals_repeat_by_seed() {
        let rows = rows(30, 0);
        let of = |seed| Bootstrap { seed, ..Bootstrap::default() }.of_means(&rows, means);
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        assert_eq!(of(3)[0].value, of(4)[0].value);
    }

    #[test]
    fn intervals_cover_what_they_say() {
        const TRIALS: u32 = 400;
        /// 95 % of the trials, less what percentile intervals lack at 40 samples and four standard deviations of chance.
        const AT_LEAST: u32 = 358;
        /// All trials would mean that intervals are too wide.
        const AT_MOST: u32 = 396;
        let bootstrap = Bootstrap { resamples: 300, ..Bootstrap::default() };
        let covered = |trial: &u32| {
            let interval = bootstrap.of_means(&rows(40, *trial), means)[0].interval.unwrap();
            interval.low <= 0.5 && 0.5 <= interval.high
        };
        let covered = (0..TRIALS).filter(covered).count() as u32;
        assert!((AT_LEAST..=AT_MOST).contains(&covered), "{covered} of {TRIALS}");
    }

    #[test]
    fn differences_are_paired_by_sample() {
        let rows: Vec<Vec<f64>> = rows(30, 5).into_iter().map(|row| vec![row[0], row[0] + 0.25]).collect();
        let estimates = Bootstrap::default().of_means(&rows, |means| vec![means[0], means[1] - means[0]]);
        let width = |estimate: &Estimate| estimate.interval.map(|interval| interval.high - interval.low).unwrap();
        assert!(width(&estimates[0]) > 0.05 && width(&estimates[1]) < 1e-12, "{estimates:?}");
    }

    #[test]
    fn what_is_undefined_has_no_interval() {
        let bootstrap = Bootstrap::default();
        let undefined = bootstrap.of_means(&rows(9, 0), |means| vec![f64::NAN, means[0]]);
        assert!(undefined[0].value.is_nan() && undefined[0].interval.is_none() && undefined[1].interval.is_some());
        assert_eq!(bootstrap.of_means(&[vec![2.0]], means), [Estimate { value: 2.0, interval: None }]);
        assert_eq!(bootstrap.of_means(&[], means), []);
    }

    #[test]
    fn quantiles_lie_between_values() {
        let sorted = [0.0, 1.0, 2.0, 4.0];
        assert_eq!([0.0, 0.5, 1.0].map(|at| quantile(&sorted, at)), [0.0, 1.5, 4.0]);
        assert_eq!(quantile(&[f64::INFINITY; 2], 0.3), f64::INFINITY);
    }

    #[test]
    fn intervals_that_touch_are_not_apart() {
        let interval = |low, high| Interval { low, high };
        assert!(interval(0.0, 1.0).is_apart_from(&interval(2.0, 3.0)));
        assert!(interval(2.0, 3.0).is_apart_from(&interval(0.0, 1.0)));
        assert!(!interval(0.0, 1.0).is_apart_from(&interval(1.0, 3.0)));
    }
}
