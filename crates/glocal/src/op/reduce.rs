//! Folding whole axes by their sum or mean (ONNX `GlobalAveragePool`, `ReduceMean`, `ReduceSum`).

use glocal_compute::backend::{Reduction, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{DefaultRule, Op, OpKind, Propagate, Structure, attribute, single};

/// Folds axes of each sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    /// What the axes are folded to.
    pub fold: Fold,
    /// The axes, counted with the batch as 0: at least 1, ascending.
    pub axes: Vec<usize>,
    /// Whether the folded axes stay, with size 1.
    pub keep_axes: bool,
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

impl Reduce {
    /// The shape of a sample without the folded axes.
    fn remaining(&self, shape: &[usize]) -> Vec<usize> {
        let kept = shape.iter().enumerate().filter(|(axis, _)| !self.axes.contains(&(axis + 1)));
        kept.map(|(_, &size)| size).collect()
    }
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
        if !self.keep_axes {
            return Ok(self.remaining(&shape));
        }
        Ok(shape)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let reduction = if self.fold == Fold::Sum { Reduction::Sum } else { Reduction::Mean };
        let folded = backend.reduce(single("Reduce", inputs)?, &self.axes, reduction)?;
        if self.keep_axes {
            return Ok(folded);
        }
        folded.reshape([&[folded.batch()], self.remaining(folded.sample_shape()).as_slice()].concat())
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let mut shape = single("Reduce", inputs)?.shape().to_vec();
        let count: usize = self.axes.iter().filter_map(|&axis| shape.get(axis)).product();
        if let Some(batch) = shape.first_mut() {
            *batch = 1;
        }
        let share = if self.fold == Fold::Sum { 1.0 } else { 1.0 / count as f32 };
        let folded =
            shape.iter().enumerate().skip(1).map(|(axis, &size)| if self.axes.contains(&axis) { 1 } else { size });
        let folded = folded.collect();
        Ok(Box::new(Stretched { folded, share: Tensor::full(shape, share)? }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Norm
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Reduce(self)
    }
}

/// The adjoint of a sum or mean: every element gets the same share.
#[derive(Debug)]
struct Stretched {
    /// The shape of one sample of the output with its folded axes.
    folded: Vec<usize>,
    share: Tensor,
}

impl Propagate for Stretched {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let relevance = relevance.reshape([&[relevance.batch()], self.folded.as_slice()].concat())?;
        Ok(vec![backend.zip(&relevance, &self.share, Zip::Multiply)?])
    }
}
