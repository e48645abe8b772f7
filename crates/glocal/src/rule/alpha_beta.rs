//! AlphaBeta: what raised the output, less a share of what lowered it.

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Propagate};
use crate::rule::epsilon::zero_bias;
use crate::rule::terms::{self, Branch, Gate};
use crate::rule::z_plus::{negative_contributions, positive_contributions};
use crate::rule::{Rule, Stabilizer, needs_affine};

/// `R_in = α·(x⁺·fᵀ(R/s(z₊); W⁺) + x⁻·fᵀ(R/s(z₊); W⁻)) − β·(x⁺·fᵀ(R/s(z₋); W⁻) + x⁻·fᵀ(R/s(z₋); W⁺))` with
/// `z₊ = f(x⁺; W⁺, b⁺) + f(x⁻; W⁻, 0)` and `z₋ = f(x⁺; W⁻, b⁻) + f(x⁻; W⁺, 0)`.
///
/// Domain: any input. Conserves relevance but for biases, stabilizer, and outputs that one side has no share in.
/// Source: Bach et al. 2015, doi 10.1371/journal.pone.0130140, eq. 60.
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

impl Rule for AlphaBeta {
    fn describe(&self) -> String {
        let Self { alpha, beta, .. } = self;
        format!("AlphaBeta(alpha={alpha},beta={beta},{}{})", self.stabilizer.describe(), zero_bias(self.zero_bias))
    }

    fn accepts(&self, op: &dyn Op) -> Result<(), &'static str> {
        needs_affine(op)
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let branches = [
            Branch { coefficient: self.alpha, gate: Gate::All, terms: positive_contributions(self.zero_bias) },
            Branch { coefficient: -self.beta, gate: Gate::All, terms: negative_contributions(self.zero_bias) },
        ];
        terms::prepare(&branches, &self.stabilizer, backend, op, inputs, output)
    }
}
