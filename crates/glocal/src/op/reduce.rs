//! Folding whole axes by their sum or mean (ONNX `GlobalAveragePool`, `ReduceMean`, `ReduceSum`).

use glocal_compute::backend::{Reduction, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{DefaultRule, Op, OpKind, Propagate, attribute, single};

/// Folds axes of each sample; they stay with size 1 (a [`Reshape`](crate::op::layout::Reshape) drops them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    /// What the axes are folded to.
    pub fold: Fold,
    /// The axes, counted with the batch as 0: at least 1, ascending.
    pub axes: Vec<usize>,
}

/// What axes are folded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The mean, as the pool over all spatial axes that it is.
    GlobalAveragePool,
}

impl Op for Reduce {
    fn kind(&self) -> OpKind {
        match self.fold {
            Fold::Sum => OpKind::ReduceSum,
            Fold::Mean => OpKind::ReduceMean,
            Fold::GlobalAveragePool => OpKind::AveragePool,
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let mut shape = single("Reduce", inputs)?.to_vec();
        let rank = shape.len();
        for &axis in &self.axes {
            match axis.checked_sub(1).and_then(|axis| shape.get_mut(axis)) {
                Some(size) => *size = 1,
                None => {
                    let reason = format!("axis {axis} is not one of 1 to {rank}: samples cannot be mixed");
                    return Err(attribute("Reduce", "axes", reason));
                }
            }
        }
        Ok(shape)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let reduction = if self.fold == Fold::Sum { Reduction::Sum } else { Reduction::Mean };
        backend.reduce(single("Reduce", inputs)?, &self.axes, reduction)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let mut shape = single("Reduce", inputs)?.shape().to_vec();
        let count: usize = self.axes.iter().filter_map(|&axis| shape.get(axis)).product();
        if let Some(batch) = shape.first_mut() {
            *batch = 1;
        }
        let share = if self.fold == Fold::Sum { 1.0 } else { 1.0 / count as f32 };
        Ok(Box::new(Stretched { share: Tensor::full(shape, share)? }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Norm
    }
}

/// The adjoint of a sum or mean: every element gets the same share.
#[derive(Debug)]
struct Stretched {
    share: Tensor,
}

impl Propagate for Stretched {
    fn propagate(&self, backend: &dyn Backend, relevance: &Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.zip(relevance, &self.share, Zip::Multiply)?])
    }
}
