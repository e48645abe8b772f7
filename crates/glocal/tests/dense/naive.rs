//! The rules' equations, term by term over the written-out matrix, in double precision.

use crate::case::Matrix;

/// One summand of a denominator: for each connection and each output's bias, what it contributes.
pub struct Term<'a> {
    /// The input that stands for `x`.
    pub x: Vec<f64>,
    /// The change of the weights.
    pub weight: &'a dyn Fn(f64) -> f64,
    /// The change of the bias; left out when `None`.
    pub bias: Option<&'a dyn Fn(f64) -> f64>,
    /// Whether the relevance of an input is its contribution (`x · fᵀ`) or the weight alone (`fᵀ`).
    pub times_x: bool,
    pub sign: f64,
}

/// How a denominator is kept from zero.
#[derive(Clone, Copy, Debug)]
pub struct Stabilizer {
    pub epsilon: f64,
    pub clip: bool,
    pub norm_scale: bool,
}

impl From<glocal::rule::Stabilizer> for Stabilizer {
    fn from(glocal::rule::Stabilizer { epsilon, clip, norm_scale }: glocal::rule::Stabilizer) -> Self {
        Self { epsilon: f64::from(epsilon), clip, norm_scale }
    }
}

impl Stabilizer {
    /// The stabilizer of one sample whose denominators are `z`.
    fn of(self, z: &[f64]) -> Self {
        let scale = if self.norm_scale && z.iter().any(|&z| z != 0.0) { root_mean_square(z) } else { 1.0 };
        Self { epsilon: self.epsilon * scale, ..self }
    }

    fn apply(self, z: f64) -> f64 {
        let sign = if z < 0.0 { -1.0 } else { 1.0 };
        if self.clip { sign * z.abs().max(self.epsilon) } else { z + self.epsilon * sign }
    }
}

/// Relevances, and the size of the rounding errors that single precision may make in each.
#[derive(Clone)]
pub struct Relevance {
    pub values: Vec<f64>,
    pub bounds: Vec<f64>,
}

/// The denominators of one branch.
pub struct Denominators {
    /// `z`
    pub z: Vec<f64>,
    /// For each output, the sizes of the contributions in `z`, added up.
    pub sizes: Vec<f64>,
}

/// The largest ratio of what a denominator adds up to what is left that is still asked of single precision: the relative
/// error of the denominator is this times the number of terms times the precision, at most 1 in 10,000 here.
const WORST_CANCELLATION: f64 = 30.0;

impl Matrix {
    pub fn denominators(&self, terms: &[Term<'_>]) -> Denominators {
        let mut z = vec![0.0; self.outputs];
        let mut sizes = vec![0.0; self.outputs];
        for term in terms {
            for &(to, from, weight) in &self.connections {
                let contribution = (term.weight)(weight) * term.x[from];
                z[to] += term.sign * contribution;
                sizes[to] += contribution.abs();
            }
            if let Some(part) = term.bias {
                for (to, &bias) in self.bias.iter().enumerate() {
                    z[to] += term.sign * part(bias);
                    sizes[to] += part(bias).abs();
                }
            }
        }
        Denominators { z, sizes }
    }

    /// Which outputs single precision can divide by: those whose denominator is not the small rest of large terms.
    pub fn well_conditioned(&self, denominators: &Denominators, stabilizer: Stabilizer) -> Vec<bool> {
        let stabilizer = stabilizer.of(&denominators.z);
        let ratio = |(z, size): (&f64, &f64)| *size <= WORST_CANCELLATION * stabilizer.apply(*z).abs().min(z.abs());
        // A denominator of nothing at all is exactly zero in any precision.
        let fits = |(z, size): (&f64, &f64)| *size == 0.0 || ratio((z, size));
        denominators.z.iter().zip(&denominators.sizes).map(fits).collect()
    }

    /// `coefficient · Σ sign · x · fᵀ(R / s(z); W)` over `terms`, for the outputs that `gate` lets through.
    pub fn hand_down(
        &self,
        terms: &[Term<'_>],
        stabilizer: Stabilizer,
        (coefficient, gate): (f64, &[bool]),
        relevance: &[f64],
    ) -> Relevance {
        let Denominators { z, sizes } = self.denominators(terms);
        // How far off the mean of the squares may be, which the stabilizer of every output then is.
        let scaled = stabilizer.norm_scale && z.iter().any(|&z| z != 0.0);
        let scale = if scaled { root_mean_square(&sizes) / root_mean_square(&z) } else { 0.0 };
        let stabilizer = stabilizer.of(&z);
        let mut values = vec![0.0; self.inputs];
        let mut bounds = vec![0.0; self.inputs];
        for term in terms {
            for &(to, from, weight) in self.connections.iter().filter(|(to, ..)| gate[*to]) {
                let stabilized = stabilizer.apply(z[to]);
                let x = if term.times_x { term.x[from] } else { 1.0 };
                let share = coefficient * term.sign * x * (term.weight)(weight) * relevance[to] / stabilized;
                values[from] += share;
                bounds[from] += share.abs() * (1.0 + sizes[to] / stabilized.abs() + scale);
            }
        }
        Relevance { values, bounds }
    }

    /// `fᵀ(R)`
    pub fn gradient(&self, relevance: &[f64]) -> Relevance {
        let mut values = vec![0.0; self.inputs];
        let mut bounds = vec![0.0; self.inputs];
        for &(to, from, weight) in &self.connections {
            values[from] += weight * relevance[to];
            bounds[from] += (weight * relevance[to]).abs();
        }
        Relevance { values, bounds }
    }

    /// The largest number of terms that are added up for one output or one input.
    pub fn longest_sum(&self) -> usize {
        let mut by_output = vec![1; self.outputs];
        let mut by_input = vec![1; self.inputs];
        for &(to, from, _) in &self.connections {
            by_output[to] += 1;
            by_input[from] += 1;
        }
        by_output.into_iter().chain(by_input).max().unwrap()
    }
}

fn root_mean_square(values: &[f64]) -> f64 {
    (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
}

impl Relevance {
    pub fn plus(mut self, other: &Self) -> Self {
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
        self.bounds.iter_mut().zip(&other.bounds).for_each(|(sum, value)| *sum += value);
        self
    }
}
