//! Epsilon: each input by its share of the output.

use glocal_compute::{ComputeError, Tensor};

use crate::op::Part;
use crate::rule::Stabilizer;
use crate::rule::affine_rule::AffineRule;
use crate::rule::terms::{Branch, Gate, InputPart, Term};

/// `R_in = x · fᵀ(R / s(z); W)`, `z = f(x; W, b)`.
///
/// Domain: any input. Conserves relevance but for what the stabilizer and, without `zero_bias`, the bias take.
/// Source: Bach et al. 2015, doi 10.1371/journal.pone.0130140, eq. 58.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Epsilon {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominator. Default: false.
    pub zero_bias: bool,
}

impl AffineRule for Epsilon {
    fn name(&self) -> &'static str {
        "Epsilon"
    }

    fn stabilizer(&self) -> &Stabilizer {
        &self.stabilizer
    }

    fn zero_bias(&self) -> bool {
        self.zero_bias
    }

    fn branches(&self, _: &Tensor) -> Result<Vec<Branch>, ComputeError> {
        let bias = self.bias(Part::Whole);
        let terms = vec![Term { sign: 1.0, input: InputPart::Whole, weight: Part::Whole, bias }];
        Ok(vec![Branch { coefficient: 1.0, gate: Gate::All, terms }])
    }
}
