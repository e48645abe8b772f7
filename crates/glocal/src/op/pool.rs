//! Max and average pooling over windows (ONNX `MaxPool`, `AveragePool`).

use std::sync::Arc;

use glocal_compute::backend::Winners;
use glocal_compute::{Backend, ComputeError, PoolGeometry, Rows, Tensor};

use crate::op::{Budget, DefaultRule, Op, OpKind, Patch, Propagate, Within, attribute, single};

/// The largest element of each window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxPool {
    /// The window.
    pub geometry: PoolGeometry,
}

/// The mean of each window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AveragePool {
    /// The window.
    pub geometry: PoolGeometry,
    /// Whether padding counts in the divisor.
    pub count_include_pad: bool,
}

impl Op for MaxPool {
    fn kind(&self) -> OpKind {
        OpKind::MaxPool
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        pooled_shape("MaxPool", single("MaxPool", inputs)?, &self.geometry)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        Ok(backend.max_pool(single("MaxPool", inputs)?, &self.geometry)?.0)
    }

    fn linearize(
        &self,
        backend: &dyn Backend,
        inputs: &[&Tensor],
        _: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        // Found again rather than kept by `forward`: a forward pass alone needs no winners, and pools are cheap.
        let (_, winners) = backend.max_pool(single("MaxPool", inputs)?, &self.geometry)?;
        Ok(Box::new(ToWinners { winners, geometry: self.geometry.clone() }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

/// All to the winner of each window, the first on ties.
#[derive(Debug)]
struct ToWinners {
    winners: Winners,
    geometry: PoolGeometry,
}

impl ToWinners {
    /// The winners of a patch of a sample, and the patch of the input that they lie in.
    fn cut(&self, patch: &Patch, sample: usize) -> Option<(Self, Patch)> {
        let (input_shape, output_shape) = (self.winners.input_shape.get(1..)?, self.winners.output_shape.get(1..)?);
        let input = windows_of(patch, &self.geometry, input_shape)?;
        let row: usize = output_shape.iter().product();
        let of_sample = self.winners.positions.get(sample * row..(sample + 1) * row)?;
        let shape = patch.shape();
        let mut positions = Vec::with_capacity(shape.iter().product());
        let mut place = vec![0; shape.len()];
        for _ in 0..shape.iter().product::<usize>() {
            let at = |index: usize, axis: usize| index * output_shape[axis] + patch.ranges()[axis].0 + place[axis];
            let mut position = *of_sample.get((0..place.len()).fold(0, at))? as usize;
            // From a position in the input's plane to one in its patch: coordinates from the last axis on.
            let (mut moved, mut size) = (0, 1);
            for (&axis, &(first, count)) in input_shape.iter().zip(input.ranges()).skip(1).rev() {
                moved += (position % axis).checked_sub(first).filter(|&inside| inside < count)? * size;
                (position, size) = (position / axis, size * count);
            }
            positions.push(u32::try_from(moved).ok()?);
            advance(&mut place, &shape);
        }
        let winners = Winners {
            input_shape: [&[1], input.shape().as_slice()].concat(),
            output_shape: [&[1], shape.as_slice()].concat(),
            positions: Arc::new(positions),
        };
        Some((Self { winners, geometry: self.geometry.clone() }, input))
    }
}

/// The next place in row-major order.
fn advance(place: &mut [usize], shape: &[usize]) {
    for (place, &size) in place.iter_mut().zip(shape).rev() {
        *place += 1;
        if *place < size {
            return;
        }
        *place = 0;
    }
}

/// The part of an input of `input_shape` that the windows of a part of the output lie over.
fn windows_of(output: &Patch, geometry: &PoolGeometry, input_shape: &[usize]) -> Option<Patch> {
    let mut ranges = vec![*output.ranges().first()?];
    for axis in 0..geometry.kernel.len() {
        let (&(first, count), stride) = (output.ranges().get(axis + 1)?, geometry.strides[axis]);
        let (size, before) = (*input_shape.get(axis + 1)?, geometry.pads_begin[axis]);
        let span = (geometry.kernel[axis] - 1) * geometry.dilations[axis] + 1;
        let start = (first * stride).saturating_sub(before);
        let end = ((first + count - 1) * stride + span).saturating_sub(before).min(size);
        ranges.push((start, end.checked_sub(start).filter(|&count| count > 0)?));
    }
    Some(Patch::new(ranges))
}

impl Propagate for ToWinners {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.max_pool_input_gradient(&relevance, rows, &self.winners)?])
    }

    fn within(&self, _: &dyn Backend, patch: &Patch, sample: usize) -> Result<Option<Within>, ComputeError> {
        Ok(self.cut(patch, sample).map(|(rule, input)| Within { rule: Box::new(rule), inputs: vec![input] }))
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}

impl Op for AveragePool {
    fn kind(&self) -> OpKind {
        OpKind::AveragePool
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        pooled_shape("AveragePool", single("AveragePool", inputs)?, &self.geometry)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.average_pool(single("AveragePool", inputs)?, &self.geometry, self.count_include_pad)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let spatial = single("AveragePool", inputs)?.sample_shape().get(1..).unwrap_or(&[]).to_vec();
        Ok(Box::new(Averaged { op: self.clone(), spatial }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Norm
    }
}

#[derive(Debug)]
struct Averaged {
    op: AveragePool,
    spatial: Vec<usize>,
}

impl Propagate for Averaged {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let AveragePool { geometry, count_include_pad } = &self.op;
        Ok(vec![backend.average_pool_input_gradient(&relevance, geometry, *count_include_pad, &self.spatial)?])
    }

    fn within(&self, _: &dyn Backend, patch: &Patch, _: usize) -> Result<Option<Within>, ComputeError> {
        let PoolGeometry { pads_begin, pads_end, ceil_mode, .. } = &self.op.geometry;
        // Windows at borders have divisors of their own.
        if *ceil_mode || pads_begin.iter().chain(pads_end).any(|&pad| pad > 0) {
            return Ok(None);
        }
        let Some(&(_, channels)) = patch.ranges().first() else { return Ok(None) };
        let input = windows_of(patch, &self.op.geometry, &[&[channels], self.spatial.as_slice()].concat());
        Ok(input.map(|input| {
            let spatial = input.shape().split_off(1);
            Within { rule: Box::new(Self { op: self.op.clone(), spatial }), inputs: vec![input] }
        }))
    }
}

fn pooled_shape(operation: &'static str, input: &[usize], geometry: &PoolGeometry) -> Result<Vec<usize>, ComputeError> {
    let [channels, spatial @ ..] = input else { return Err(ComputeError::shapes(operation, &[0, 0], input)) };
    let out = geometry.output_spatial(spatial).ok_or_else(|| {
        attribute(operation, "kernel_shape", format!("{geometry:?} does not fit into an input of {spatial:?}"))
    })?;
    Ok([&[*channels], out.as_slice()].concat())
}
