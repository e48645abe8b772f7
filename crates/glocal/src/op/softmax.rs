//! Softmax and its logarithm (ONNX `Softmax`, `LogSoftmax`).

use glocal_compute::backend::{Map, Reduction, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{DefaultRule, Op, OpKind, Propagate, Structure, attribute, single};

/// `exp(xᵢ) / Σⱼ exp(xⱼ)` along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The axis, counted with the batch as 0; at least 1.
    pub axis: usize,
    /// Whether the logarithm is taken.
    pub log: bool,
}

impl Op for Softmax {
    fn kind(&self) -> OpKind {
        if self.log { OpKind::LogSoftmax } else { OpKind::Softmax }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Softmax", inputs)?;
        if self.axis == 0 || self.axis > input.len() {
            let reason = format!("axis {} is not one of 1 to {}: samples cannot be mixed", self.axis, input.len());
            return Err(attribute("Softmax", "axis", reason));
        }
        Ok(input.to_vec())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let x = single("Softmax", inputs)?;
        if !self.log {
            return backend.softmax(x, self.axis);
        }
        let shifted = backend.zip(x, &backend.reduce(x, &[self.axis], Reduction::Maximum)?, Zip::Subtract)?;
        let total = backend.reduce(&backend.map(&shifted, Map::Exp)?, &[self.axis], Reduction::Sum)?;
        backend.zip(&shifted, &backend.map(&total, Map::Logarithm)?, Zip::Subtract)
    }

    fn linearize(
        &self,
        backend: &dyn Backend,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let probability =
            if self.log { backend.softmax(single("Softmax", inputs)?, self.axis)? } else { output.clone() };
        Ok(Box::new(Jacobian { op: *self, probability }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Required
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Softmax
    }
}

/// Softmax: `p ⊙ (r − Σ p·r)`; its logarithm: `r − p·Σ r`.
#[derive(Debug)]
struct Jacobian {
    op: Softmax,
    probability: Tensor,
}

impl Propagate for Jacobian {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let probability = backend.gather_rows(&self.probability, rows)?;
        let total = |x: &Tensor| backend.reduce(x, &[self.op.axis], Reduction::Sum);
        let gradient = if self.op.log {
            let share = backend.zip(&probability, &total(&relevance)?, Zip::Multiply)?;
            backend.zip(&relevance, &share, Zip::Subtract)?
        } else {
            let mean = total(&backend.zip(&probability, &relevance, Zip::Multiply)?)?;
            backend.zip(&probability, &backend.zip(&relevance, &mean, Zip::Subtract)?, Zip::Multiply)?
        };
        Ok(vec![gradient])
    }
}
