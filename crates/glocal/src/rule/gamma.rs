//! Gamma: what agrees with the output's sign counts more.

use glocal_compute::{ComputeError, Tensor};

use crate::op::Part;
use crate::rule::Stabilizer;
use crate::rule::affine_rule::AffineRule;
use crate::rule::terms::{Branch, Gate};
use crate::rule::z_plus::contributions;

/// With `Wp = W + γW⁺`, `Wn = W + γW⁻`: where `z > 0`, `zp = f(x⁺; Wp, b + γb⁺) + f(x⁻; Wn, 0)` and
/// `R_in = x⁺·fᵀ(R/s(zp); Wp) + x⁻·fᵀ(R/s(zp); Wn)`; where `z < 0` the mirror image, `x⁺` with `Wn, b + γb⁻` and `x⁻`
/// with `Wp`; nothing where `z = 0`.
///
/// Domain: any input. Conserves relevance but for biases, stabilizer, and outputs that are zero.
/// Source: Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10; generalized to any sign by Andéol et al. 2021, arXiv
/// 2106.04923.
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

impl AffineRule for Gamma {
    fn name(&self) -> &'static str {
        "Gamma"
    }

    fn parameters(&self) -> String {
        format!("gamma={},", self.gamma)
    }

    fn stabilizer(&self) -> &Stabilizer {
        &self.stabilizer
    }

    fn zero_bias(&self) -> bool {
        self.zero_bias
    }

    fn branches(&self, _: &Tensor) -> Result<Vec<Branch>, ComputeError> {
        let (more, less) = (Part::FavourPositive(self.gamma), Part::FavourNegative(self.gamma));
        let branch = |gate, with_positive, with_negative| {
            let terms = contributions(with_positive, with_negative, self.bias(with_positive));
            Branch { coefficient: 1.0, gate, terms }
        };
        Ok(vec![branch(Gate::PositiveOutput, more, less), branch(Gate::NegativeOutput, less, more)])
    }
}
