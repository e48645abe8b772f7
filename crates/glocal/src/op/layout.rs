//! Ops that only move elements: `Concat`, `Slice` (and `Split`), `Pad`, `Reshape` (and `Flatten`, `Squeeze`,
//! `Unsqueeze`), `Transpose`. Relevance follows the element.

use glocal_compute::backend::PadMode;
use glocal_compute::{Backend, ComputeError, Rows, SliceRange, Tensor};

use crate::op::{Budget, DefaultRule, Op, OpKind, Propagate, Structure, attribute, input_count, single};

/// Joins activations along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat {
    /// The axis, counted with the batch as 0; at least 1.
    pub axis: usize,
}

/// A range of every axis but the batch; one output of a `Split` is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// One range for each axis of a sample.
    pub ranges: Vec<SliceRange>,
}

/// Adds or removes elements at the borders of every axis but the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// For each axis of a sample, the elements added (or, negative, removed) before and after.
    pub pads: Vec<(isize, isize)>,
    /// What stands in the padding.
    pub mode: PadMode,
}

/// The same elements under another shape of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The shape of one sample afterwards.
    pub shape: Vec<usize>,
}

/// Reorders the axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transpose {
    /// For each axis of the output, the axis of the input; axis 0, the batch, stays.
    pub permutation: Vec<usize>,
}

impl Op for Concat {
    fn kind(&self) -> OpKind {
        OpKind::Concat
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err(input_count("Concat", "at least 1", 0));
        };
        let axis = self.axis.checked_sub(1).filter(|&axis| axis < first.len()).ok_or_else(|| {
            let reason = format!("axis {} is not one of 1 to {}: samples cannot be mixed", self.axis, first.len());
            attribute("Concat", "axis", reason)
        })?;
        let mut shape = first.to_vec();
        for input in rest {
            let fits = input.len() == shape.len() && (0..shape.len()).all(|i| i == axis || input[i] == shape[i]);
            if !fits {
                return Err(ComputeError::shapes("Concat", first, input));
            }
            shape[axis] += input[axis];
        }
        Ok(shape)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.concat(inputs, self.axis)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let mut start = 0;
        let mut parts = Vec::with_capacity(inputs.len());
        for input in inputs {
            let whole = |&count: &usize| SliceRange { start: 0, step: 1, count };
            let mut ranges: Vec<SliceRange> = input.sample_shape().iter().map(whole).collect();
            if let Some(range) = self.axis.checked_sub(1).and_then(|axis| ranges.get_mut(axis)) {
                range.start = start;
                start += range.count;
            }
            parts.push(ranges);
        }
        Ok(Box::new(Parted { parts }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

#[derive(Debug)]
struct Parted {
    parts: Vec<Vec<SliceRange>>,
}

impl Propagate for Parted {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        self.parts.iter().map(|ranges| backend.slice(&relevance, ranges)).collect()
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}

impl Op for Slice {
    fn kind(&self) -> OpKind {
        OpKind::Slice
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Slice", inputs)?;
        if input.len() != self.ranges.len() {
            return Err(ComputeError::shapes("Slice", &vec![0; self.ranges.len()], input));
        }
        for (range, &size) in self.ranges.iter().zip(input) {
            let steps = range.count.saturating_sub(1) as isize;
            let last = steps.checked_mul(range.step).and_then(|way| range.start.checked_add_signed(way));
            if range.count > 0 && (range.start >= size || last.is_none_or(|last| last >= size)) {
                return Err(attribute("Slice", "starts", format!("{range:?} is outside an axis of {size}")));
            }
        }
        Ok(self.ranges.iter().map(|range| range.count).collect())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.slice(single("Slice", inputs)?, &self.ranges)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let shape = single("Slice", inputs)?.sample_shape().to_vec();
        Ok(Box::new(Moved { op: self.clone(), shape }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

impl Op for Pad {
    fn kind(&self) -> OpKind {
        OpKind::Pad
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Pad", inputs)?;
        if input.len() != self.pads.len() {
            return Err(ComputeError::shapes("Pad", &vec![0; self.pads.len()], input));
        }
        let padded = |(&size, &(before, after)): (&usize, &(isize, isize))| {
            size.checked_add_signed(before)?.checked_add_signed(after)
        };
        let shape: Option<Vec<usize>> = input.iter().zip(&self.pads).map(padded).collect();
        shape.ok_or_else(|| attribute("Pad", "pads", format!("{:?} removes more than {input:?} holds", self.pads)))
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.pad(single("Pad", inputs)?, &self.pads, self.mode)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let shape = single("Pad", inputs)?.sample_shape().to_vec();
        Ok(Box::new(Moved { op: self.clone(), shape }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

impl Op for Reshape {
    fn kind(&self) -> OpKind {
        OpKind::Reshape
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Reshape", inputs)?;
        if input.iter().product::<usize>() != self.shape.iter().product::<usize>() {
            return Err(ComputeError::shapes("Reshape", &self.shape, input));
        }
        Ok(self.shape.clone())
    }

    fn forward(&self, _: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        with_sample_shape(single("Reshape", inputs)?, &self.shape)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let shape = single("Reshape", inputs)?.sample_shape().to_vec();
        Ok(Box::new(Moved { op: self.clone(), shape }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

impl Op for Transpose {
    fn kind(&self) -> OpKind {
        OpKind::Transpose
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Transpose(self)
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Transpose", inputs)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        let valid = self.permutation.first() == Some(&0) && sorted.iter().copied().eq(0..=input.len());
        if !valid {
            let reason = format!("{:?} does not reorder the axes 1 to {} of a sample", self.permutation, input.len());
            return Err(attribute("Transpose", "perm", reason));
        }
        Ok(self.permutation.iter().skip(1).map(|&axis| input[axis - 1]).collect())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.transpose(single("Transpose", inputs)?, &self.permutation)
    }

    fn linearize(&self, _: &dyn Backend, _: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let mut permutation = vec![0; self.permutation.len()];
        for (to, &from) in self.permutation.iter().enumerate() {
            permutation[from] = to;
        }
        Ok(Box::new(Moved { op: Self { permutation }, shape: Vec::new() }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

/// The adjoint of an op that moves elements, for an input of `shape`.
#[derive(Debug)]
struct Moved<O> {
    op: O,
    shape: Vec<usize>,
}

impl Propagate for Moved<Slice> {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.slice_input_gradient(&relevance, &self.op.ranges, &self.shape)?])
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}

impl Propagate for Moved<Pad> {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.pad_input_gradient(&relevance, &self.op.pads, self.op.mode, &self.shape)?])
    }
}

impl Propagate for Moved<Reshape> {
    fn propagate(&self, _: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![with_sample_shape(&relevance, &self.shape)?])
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}

/// Here `op` is the inverse permutation.
impl Propagate for Moved<Transpose> {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.transpose(&relevance, &self.op.permutation)?])
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}

/// `[N, ...] → [N, shape...]`
fn with_sample_shape(x: &Tensor, shape: &[usize]) -> Result<Tensor, ComputeError> {
    x.reshape([&[x.batch()], shape].concat())
}
