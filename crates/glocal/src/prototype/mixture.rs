//! A mixture of Gaussians with diagonal covariances: densities and the steps of expectation maximisation.
//!
//! Everything is computed in double precision and in a fixed order.

/// How many partial sums a sum has: as many as make it fast, added up in a fixed order.
const LANES: usize = 8;

/// One Gaussian of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Component {
    /// The part of the vectors that are its.
    pub weight: f64,
    pub mean: Vec<f64>,
    pub variance: Vec<f64>,
    /// One over each variance.
    precision: Vec<f64>,
    /// The logarithm of the weighted density at the mean.
    peak: f64,
}

/// Several of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixture {
    pub components: Vec<Component>,
}

/// What variances are drawn towards.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prior {
    /// With the weight of so many vectors.
    pub samples: f64,
    /// The variance of each concept.
    pub variance: Vec<f64>,
    /// The least variance.
    pub floor: f64,
}

impl Component {
    /// With variances above zero.
    pub fn new(weight: f64, mean: Vec<f64>, variance: Vec<f64>) -> Self {
        let logarithms: f64 = variance.iter().map(|variance| (std::f64::consts::TAU * variance).ln()).sum();
        let precision = variance.iter().map(|variance| 1.0 / variance).collect();
        Self { weight, mean, precision, peak: weight.ln() - logarithms / 2.0, variance }
    }

    /// The squared distance of a vector from the mean, in standard deviations.
    pub fn distance(&self, row: &[f32]) -> f64 {
        let mut sums = [0.0; LANES];
        let lanes = row.chunks(LANES).zip(self.mean.chunks(LANES)).zip(self.precision.chunks(LANES));
        for ((row, mean), precision) in lanes {
            for (lane, sum) in sums.iter_mut().enumerate().take(row.len()) {
                let difference = f64::from(row[lane]) - mean[lane];
                *sum += difference * difference * precision[lane];
            }
        }
        sums.iter().sum()
    }

    /// The logarithm of the weighted density at a vector.
    pub fn log_density(&self, row: &[f32]) -> f64 {
        self.peak - self.distance(row) / 2.0
    }
}

impl Mixture {
    /// The logarithm of the density at a vector, and each component's part of it into `parts`.
    pub fn parts(&self, row: &[f32], parts: &mut Vec<f64>) -> f64 {
        parts.clear();
        parts.extend(self.components.iter().map(|component| component.log_density(row)));
        let largest = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = parts.iter().map(|part| (part - largest).exp()).sum();
        parts.iter_mut().for_each(|part| *part = (*part - largest).exp() / sum);
        largest + sum.ln()
    }

    /// The logarithm of the density at a vector.
    pub fn log_likelihood(&self, row: &[f32]) -> f64 {
        self.parts(row, &mut Vec::new())
    }

    /// The component that a vector most likely belongs to, the first on ties, and how likely that is.
    pub fn nearest(&self, row: &[f32]) -> (usize, f64) {
        let mut parts = Vec::new();
        self.parts(row, &mut parts);
        let mut best = 0;
        for (index, part) in parts.iter().enumerate() {
            if *part > parts[best] {
                best = index;
            }
        }
        (best, parts.get(best).copied().unwrap_or(1.0))
    }

    /// The expectation: the parts of all components in all rows, row by row, and the log-likelihood of all.
    pub fn expectation(&self, rows: &[&[f32]]) -> (Vec<f64>, f64) {
        let mut all = Vec::with_capacity(rows.len() * self.components.len());
        let (mut parts, mut sum) = (Vec::with_capacity(self.components.len()), 0.0);
        for row in rows {
            sum += self.parts(row, &mut parts);
            all.extend_from_slice(&parts);
        }
        (all, sum)
    }

    /// The maximisation: the mixture of `count` components that explains the rows best, given the `parts` of the components in
    /// each. A component without any part is left out.
    pub fn maximization(rows: &[&[f32]], parts: &[f64], count: usize, prior: &Prior) -> Self {
        let concepts = prior.variance.len();
        let component = |index: usize| {
            let part = |row: usize| parts[row * count + index];
            let total: f64 = (0..rows.len()).map(part).sum();
            // Less than rounding can tell from none.
            if total <= f64::EPSILON {
                return None;
            }
            let mut mean = vec![0.0; concepts];
            for (number, row) in rows.iter().enumerate().filter(|(number, _)| part(*number) > 0.0) {
                let part = part(number);
                mean.iter_mut().zip(*row).for_each(|(mean, value)| *mean += part * f64::from(*value));
            }
            mean.iter_mut().for_each(|mean| *mean /= total);
            let mut variance: Vec<f64> = prior.variance.iter().map(|variance| variance * prior.samples).collect();
            for (number, row) in rows.iter().enumerate().filter(|(number, _)| part(*number) > 0.0) {
                let part = part(number);
                for ((variance, value), mean) in variance.iter_mut().zip(*row).zip(&mean) {
                    let difference = f64::from(*value) - mean;
                    *variance += part * difference * difference;
                }
            }
            let of = total + prior.samples;
            variance.iter_mut().for_each(|variance| *variance = (*variance / of).max(prior.floor));
            Some(Component::new(total / rows.len() as f64, mean, variance))
        };
        Self { components: (0..count).filter_map(component).collect() }
    }

    /// What the prior adds to the log-likelihood, but for a constant.
    pub fn log_prior(&self, prior: &Prior) -> f64 {
        let of_component = |component: &Component| -> f64 {
            let towards = prior.variance.iter().zip(&component.variance);
            towards.map(|(towards, variance)| variance.ln() + towards / variance).sum()
        };
        -prior.samples / 2.0 * self.components.iter().map(of_component).sum::<f64>()
    }

    /// The number of numbers that a fit chooses.
    pub fn parameters(&self) -> usize {
        let numbers: usize = self.components.iter().map(|component| 2 * component.mean.len() + 1).sum();
        numbers.saturating_sub(1)
    }
}
