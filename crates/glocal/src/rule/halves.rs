//! Halves: both factors of a product count the same.

use std::borrow::Cow;

use glocal_compute::backend::Map;
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{Budget, Op, OpKind, Propagate};
use crate::rule::norm::Shares;
use crate::rule::{Rule, Stabilizer};

/// `R_i = ½ · x_i · fᵢᵀ(R / s(z))` for the two factors `x_i` of a product `z`, in each of which it is linear. Element by
/// element that is `½ R`, which is what a product of that kind gets exactly, without a denominator.
///
/// Domain: products of two activations, element by element or of matrices. Conserves relevance; for matrices but for what
/// the stabilizer takes.
/// Source: Achtibat et al. 2024, arXiv 2402.05602, prop. 3.3 (uniform rule).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Halves {
    /// Keeps the denominator of matrix products from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
}

impl Rule for Halves {
    fn describe(&self) -> String {
        format!("Halves({})", self.stabilizer.describe())
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        match op.kind() {
            OpKind::Product | OpKind::MatrixProduct => Ok(()),
            _ => Err("a product of two activations".into()),
        }
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        if op.kind() == OpKind::MatrixProduct {
            return Ok(Box::new(Shares::new(backend, op, inputs, output, &self.stabilizer, 0.5)?));
        }
        Ok(Box::new(Split { shapes: inputs.iter().map(|x| x.sample_shape().to_vec()).collect() }))
    }
}

/// Half to each factor, summed over what broadcasting stretched.
#[derive(Debug)]
struct Split {
    shapes: Vec<Vec<usize>>,
}

impl Propagate for Split {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let half = backend.map(&relevance, Map::Affine { factor: 0.5, offset: 0.0 })?;
        self.shapes.iter().map(|shape| backend.sum_to(&half, shape)).collect()
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}
