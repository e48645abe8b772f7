//! Ops that make axes anew (ONNX `Gather` with constant indices, `Expand`, `Tile`, `Resize`, `Upsample`): each element is
//! one of the input's, or a weighted sum of a few.

use glocal_compute::{Backend, ComputeError, Resampling, Rows, Tensor};

use crate::op::{Budget, DefaultRule, Op, OpKind, Propagate, Structure, attribute, single};

/// Makes axes anew, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Resample {
    /// What it is called.
    pub purpose: Purpose,
    /// Axes, counted with the batch as 0 and at least 1, and how each is made of the one before.
    pub axes: Vec<(usize, Resampling)>,
}

/// What axes are made anew for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To choose elements.
    Gather,
    /// To repeat them.
    Expand,
    /// To change the size of a map.
    Resize,
}

impl Resample {
    fn only_chooses(&self) -> bool {
        self.axes.iter().all(|(_, resampling)| resampling.only_chooses())
    }
}

impl Op for Resample {
    fn kind(&self) -> OpKind {
        match self.purpose {
            Purpose::Gather => OpKind::Gather,
            Purpose::Expand => OpKind::Expand,
            Purpose::Resize => OpKind::Resize,
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let mut shape = single("Resize", inputs)?.to_vec();
        for (axis, resampling) in &self.axes {
            let size = axis.checked_sub(1).and_then(|axis| shape.get_mut(axis));
            match size {
                Some(size) if *size == resampling.from() => *size = resampling.to(),
                size => {
                    let reason = format!("axis {axis} has {size:?} elements, {} were expected", resampling.from());
                    return Err(attribute("Resize", "axes", reason));
                }
            }
        }
        Ok(shape)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let mut x = single("Resize", inputs)?.clone();
        for (axis, resampling) in &self.axes {
            x = backend.resample(&x, *axis, resampling)?;
        }
        Ok(x)
    }

    fn linearize(&self, _: &dyn Backend, _: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let back = self.axes.iter().rev().map(|(axis, resampling)| (*axis, resampling.transposed()));
        Ok(Box::new(Adjoint { axes: back.collect(), keeps: self.only_chooses() }))
    }

    /// Relevance follows elements that are taken as they are; those that are mixed get their share of the sum.
    fn default_rule(&self) -> DefaultRule {
        if self.only_chooses() { DefaultRule::Follow } else { DefaultRule::Norm }
    }

    fn structure(&self) -> Structure<'_> {
        if self.axes.is_empty() { Structure::Identity } else { Structure::Other }
    }
}

#[derive(Debug)]
struct Adjoint {
    axes: Vec<(usize, Resampling)>,
    /// Whether every element of the output is one of the input.
    keeps: bool,
}

impl Propagate for Adjoint {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let mut relevance = relevance;
        for (axis, resampling) in &self.axes {
            relevance = backend.resample(&relevance, *axis, resampling)?;
        }
        Ok(vec![relevance])
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(if self.keeps { Budget::Kept } else { Budget::None })
    }
}
