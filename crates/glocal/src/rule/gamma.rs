//! Gamma: what agrees with the output's sign counts more.

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Part, Propagate};
use crate::rule::epsilon::{bias, zero_bias};
use crate::rule::terms::{self, Branch, Gate, InputPart, Term};
use crate::rule::{Rule, Stabilizer, needs_affine};

/// With `Wp = W + γW⁺`, `Wn = W + γW⁻`: where `z > 0`, `zp = f(x⁺; Wp, b + γb⁺) + f(x⁻; Wn, 0)` and
/// `R_in = x⁺·fᵀ(R/s(zp); Wp) + x⁻·fᵀ(R/s(zp); Wn)`; where `z < 0` the mirror image, `x⁺` with `Wn, b + γb⁻` and `x⁻`
/// with `Wp`; nothing where `z = 0`.
///
/// Domain: any input. Conserves relevance but for biases, stabilizer, and outputs that are zero.
/// Source: Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10; generalized to any sign by Andéol et al. 2021.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    /// γ; not negative. Default: 0.25.
    pub gamma: f32,
    /// Keeps the denominators from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominators. Default: false.
    pub zero_bias: bool,
}

impl Default for Gamma {
    fn default() -> Self {
        Self { gamma: 0.25, stabilizer: Stabilizer::default(), zero_bias: false }
    }
}

impl Rule for Gamma {
    fn describe(&self) -> String {
        format!("Gamma(gamma={},{}{})", self.gamma, self.stabilizer.describe(), zero_bias(self.zero_bias))
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
        let (more, less) = (Part::FavourPositive(self.gamma), Part::FavourNegative(self.gamma));
        let branch = |gate, with_positive, with_negative| {
            let term = |input, weight, bias| Term { sign: 1.0, input, weight, bias };
            let terms = vec![
                term(InputPart::Positive, with_positive, bias(self.zero_bias, with_positive)),
                term(InputPart::Negative, with_negative, None),
            ];
            Branch { coefficient: 1.0, gate, terms }
        };
        let branches = [branch(Gate::PositiveOutput, more, less), branch(Gate::NegativeOutput, less, more)];
        terms::prepare(&branches, &self.stabilizer, backend, op, inputs, output)
    }
}
