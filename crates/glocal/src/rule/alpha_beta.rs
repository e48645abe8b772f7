//! AlphaBeta: what raised the output, less a share of what lowered it.

use glocal_compute::{ComputeError, Tensor};

use crate::op::Part;
use crate::rule::Stabilizer;
use crate::rule::affine_rule::AffineRule;
use crate::rule::terms::{Branch, Gate};
use crate::rule::z_plus::contributions;

/// `R_in = α·(x⁺·fᵀ(R/s(z₊); W⁺) + x⁻·fᵀ(R/s(z₊); W⁻)) − β·(x⁺·fᵀ(R/s(z₋); W⁻) + x⁻·fᵀ(R/s(z₋); W⁺))` with
/// `z₊ = f(x⁺; W⁺, b⁺) + f(x⁻; W⁻, 0)` and `z₋ = f(x⁺; W⁻, b⁻) + f(x⁻; W⁺, 0)`.
///
/// Domain: any input; `α − β = 1`, both at least 0. Conserves relevance but for biases, stabilizer, and outputs that one
/// side has no share in: without anything that lowers them they hand down α of what they get.
/// Source: Bach et al. 2015, doi 10.1371/journal.pone.0130140, eq. 60, where β has the other sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlphaBeta {
    alpha: f32,
    beta: f32,
    /// Keeps the denominators from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominators. Default: false.
    pub zero_bias: bool,
}

impl AlphaBeta {
    /// The rule for `alpha − beta = 1`, both not negative; `None` for other numbers.
    pub fn new(alpha: f32, beta: f32) -> Option<Self> {
        let valid = alpha >= 0.0 && beta >= 0.0 && (alpha - beta - 1.0).abs() <= f32::EPSILON * alpha;
        valid.then(|| Self { alpha, beta, stabilizer: Stabilizer::default(), zero_bias: false })
    }

    /// The weights α = 2 and β = 1 of the presets.
    pub fn two_one(stabilizer: Stabilizer, zero_bias: bool) -> Self {
        Self { alpha: 2.0, beta: 1.0, stabilizer, zero_bias }
    }
}

impl AffineRule for AlphaBeta {
    fn name(&self) -> &'static str {
        "AlphaBeta"
    }

    fn parameters(&self) -> String {
        format!("alpha={},beta={},", self.alpha, self.beta)
    }

    fn stabilizer(&self) -> &Stabilizer {
        &self.stabilizer
    }

    fn zero_bias(&self) -> bool {
        self.zero_bias
    }

    fn reads_output(&self) -> bool {
        false
    }

    fn branches(&self, _: &Tensor) -> Result<Vec<Branch>, ComputeError> {
        let (positive, negative) = (Part::Positive, Part::Negative);
        let raised = contributions(positive, negative, self.bias(positive));
        let lowered = contributions(negative, positive, self.bias(negative));
        Ok(vec![
            Branch { coefficient: self.alpha, gate: Gate::All, terms: raised },
            Branch { coefficient: -self.beta, gate: Gate::All, terms: lowered },
        ])
    }
}
