//! WSquare: each input by its squared weights.

use glocal_compute::{ComputeError, Tensor};

use crate::op::Part;
use crate::rule::Stabilizer;
use crate::rule::affine_rule::AffineRule;
use crate::rule::terms::{Branch, Gate, InputPart, Term};

/// `R_in = fᵀ(R / s(f(1; W², b²)); W²)`.
///
/// Domain: unbounded inputs, usually the first layer. Conserves relevance but for the bias and the stabilizer.
/// Source: Montavon et al. 2017, doi 10.1016/j.patcog.2016.11.008, the w²-rule.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WSquare {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominator. Default: false.
    pub zero_bias: bool,
}

impl AffineRule for WSquare {
    fn name(&self) -> &'static str {
        "WSquare"
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
        let bias = self.bias(Part::Square);
        let terms = vec![Term { sign: 1.0, input: InputPart::Ones, weight: Part::Square, bias }];
        Ok(vec![Branch { coefficient: 1.0, gate: Gate::All, terms }])
    }
}
