//! Convolution over 1 to 3 spatial axes (ONNX `Conv`).

use std::sync::Arc;

use glocal_compute::backend::{PackedWeight, WeightChange};
use glocal_compute::{Backend, ComputeError, ConvolutionGeometry, Rows, Tensor};

use crate::op::affine::broadcast_bias;
use crate::op::sparse::transpose_rows;
use crate::op::{
    Affine, DefaultRule, Grown, Op, OpKind, Parameters, Part, Patch, Patches, Propagate, Structure, Within, attribute,
    elements, single,
};

/// `[N, C, in...] → [N, K, out...]` with weights `[K, C / group, kernel...]` and a bias `[K]`.
#[derive(Debug, Clone)]
pub struct Convolution {
    /// Weights and bias.
    pub parameters: Arc<Parameters>,
    /// Strides, dilations, pads and groups.
    pub geometry: ConvolutionGeometry,
}

impl Convolution {
    fn packed(&self, backend: &dyn Backend, part: Part) -> Result<PackedWeight, ComputeError> {
        self.parameters
            .packed_changed(backend, part, |weight, change| backend.pack_convolution(weight, change, &self.geometry))
    }
}

impl Op for Convolution {
    fn kind(&self) -> OpKind {
        OpKind::Convolution
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Conv", inputs)?;
        let weight = self.parameters.weight().shape();
        let [out_channels, group_channels, kernel @ ..] = weight else {
            return Err(ComputeError::shapes("Conv", &[0, 0, 0], weight));
        };
        let [channels, spatial @ ..] = input else { return Err(ComputeError::shapes("Conv", &[0, 0], input)) };
        if *channels != group_channels * self.geometry.group {
            let reason =
                format!("the weights take {} channels, the input has {channels}", group_channels * self.geometry.group);
            return Err(attribute("Conv", "input", reason));
        }
        let out = self.geometry.output_spatial(spatial, kernel).ok_or_else(|| {
            let reason =
                format!("a kernel of {kernel:?} does not fit into an input of {spatial:?} with {:?}", self.geometry);
            attribute("Conv", "kernel_shape", reason)
        })?;
        Ok([&[*out_channels], out.as_slice()].concat())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        self.forward_part(backend, single("Conv", inputs)?, Part::Whole, Some(Part::Whole))
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let input_shape = single("Conv", inputs)?.sample_shape().to_vec();
        Ok(Box::new(Transposed { op: self.clone(), input_shape }))
    }

    fn multiply_adds(&self, _: &[&[usize]], output: &[usize]) -> u64 {
        elements(output) * self.parameters.weight().row_len() as u64
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Required
    }

    fn affine(&self) -> Option<&dyn Affine> {
        Some(self)
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Convolution(self)
    }
}

impl Affine for Convolution {
    fn forward_part(
        &self,
        backend: &dyn Backend,
        x: &Tensor,
        weight: Part,
        bias: Option<Part>,
    ) -> Result<Tensor, ComputeError> {
        let bias = self.parameters.bias_part(backend, bias)?;
        backend.convolution(x, &self.packed(backend, weight)?, bias.as_ref())
    }

    fn transpose_part(
        &self,
        backend: &dyn Backend,
        r: &Tensor,
        weight: Part,
        input_shape: &[usize],
    ) -> Result<Tensor, ComputeError> {
        let spatial = input_shape.get(1..).unwrap_or(&[]);
        let dense = |r: &Tensor| backend.convolution_input_gradient(r, &self.packed(backend, weight)?, spatial);
        if self.geometry.group != 1 {
            return dense(r);
        }
        transpose_rows(backend, r, 0, dense, |r, channels| {
            let weights = self.parameters.of_outputs(backend, weight, channels)?;
            backend.convolution_input_gradient(
                r,
                &backend.pack_convolution(&weights, WeightChange::None, &self.geometry)?,
                spatial,
            )
        })
    }

    fn patches(&self, output: &Patch, input_shape: &[usize], output_shape: &[usize]) -> Option<Patches> {
        let kernel = self.parameters.weight().shape().get(2..)?;
        let (mut input, mut grown) = (vec![(0, *input_shape.first()?)], vec![*output.ranges().first()?]);
        if grown[0] != (0, *output_shape.first()?) {
            return None;
        }
        let ConvolutionGeometry { strides, dilations, pads_begin, pads_end, .. } = &self.geometry;
        for axis in 0..kernel.len() {
            let (stride, before, after) = (strides[axis], pads_begin[axis], pads_end[axis]);
            let (size, end) = (*input_shape.get(axis + 1)?, *output_shape.get(axis + 1)?);
            let &(first, count) = output.ranges().get(axis + 1)?;
            // The padding of the same weights takes the place of elements there: it meets outputs without relevance alone.
            let from = first.saturating_sub(before.div_ceil(stride));
            let to = (first + count + after.div_ceil(stride)).min(end);
            let elements = if to == end {
                size.checked_sub(from * stride)?
            } else {
                let span = (kernel[axis] - 1) * dilations[axis] + 1;
                ((to - from - 1) * stride + span).checked_sub(before + after)?
            };
            if elements == 0 {
                return None;
            }
            input.push((from * stride, elements));
            grown.push((from, to - from));
        }
        Some(Patches { input: Patch::new(input), output: Patch::new(grown) })
    }

    fn parameter_count(&self) -> usize {
        self.parameters.count()
    }

    fn shared(&self) -> Box<dyn Affine> {
        Box::new(self.clone())
    }

    fn bias_part(&self, backend: &dyn Backend, part: Part, output_shape: &[usize]) -> Result<Tensor, ComputeError> {
        broadcast_bias(backend, self.parameters.bias_part(backend, Some(part))?.as_ref(), output_shape, 0)
    }
}

/// The transposed op: the vector-Jacobian product of an affine op does not depend on its input's values.
#[derive(Debug)]
pub(crate) struct Transposed<A> {
    pub(crate) op: A,
    pub(crate) input_shape: Vec<usize>,
}

impl<A: Affine + Clone + 'static> Propagate for Transposed<A> {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![self.op.transpose_part(backend, &relevance, Part::Whole, &self.input_shape)?])
    }

    fn within(&self, _: &dyn Backend, patch: &Patch, _: usize) -> Result<Option<Within>, ComputeError> {
        let output_shape = self.op.infer_shape(&[&self.input_shape])?;
        let Some(Patches { input, output }) = self.op.patches(patch, &self.input_shape, &output_shape) else {
            return Ok(None);
        };
        let rule = Box::new(Self { op: self.op.clone(), input_shape: input.shape() });
        let rule = Box::new(Grown { patch: patch.inside(&output), shape: output.shape(), rule });
        Ok(Some(Within { rule, inputs: vec![input] }))
    }
}
