//! Transposed convolution over 1 to 3 spatial axes (ONNX `ConvTranspose`): a convolution's input gradient as an op.

use std::sync::Arc;

use glocal_compute::backend::{PackedWeight, PadMode, Zip};
use glocal_compute::{Backend, ComputeError, ConvolutionGeometry, SliceRange, Tensor};

use crate::op::affine::broadcast_bias;
use crate::op::convolution::Transposed;
use crate::op::{Affine, DefaultRule, Op, OpKind, Parameters, Part, Propagate, Structure, attribute, elements, single};

/// `[N, C, in...] → [N, K, out...]` with weights `[C, K / group, kernel...]` and a bias `[K]`.
///
/// The weights are those of the convolution `[N, K, out...] → [N, C, in...]` whose input gradient this is.
#[derive(Debug, Clone)]
pub struct ConvolutionTranspose {
    /// Weights and bias.
    pub parameters: Arc<Parameters>,
    /// Strides, dilations, pads and groups.
    pub geometry: ConvolutionGeometry,
    /// Rows added at the end of each spatial axis of the output; less than the stride or the dilation.
    pub output_padding: Vec<usize>,
}

impl ConvolutionTranspose {
    fn packed(&self, backend: &dyn Backend, part: Part) -> Result<PackedWeight, ComputeError> {
        self.parameters
            .packed_changed(backend, part, |weight, change| backend.pack_convolution(weight, change, &self.geometry))
    }

    /// The number of output channels.
    fn channels(&self) -> usize {
        self.parameters.weight().shape().get(1).map_or(0, |per_group| per_group * self.geometry.group)
    }

    /// The output size of each spatial axis; `None` when the pads take all of it.
    fn output_spatial(&self, input: &[usize]) -> Option<Vec<usize>> {
        let kernel = self.parameters.weight().shape().get(2..)?;
        let ConvolutionGeometry { strides, dilations, pads_begin, pads_end, .. } = &self.geometry;
        let rank = kernel.len();
        let attributes = [strides, dilations, pads_begin, pads_end, &self.output_padding];
        if input.len() != rank || attributes.iter().any(|attribute| attribute.len() != rank) {
            return None;
        }
        (0..rank)
            .map(|axis| {
                let reach = input[axis].checked_sub(1)?.checked_mul(strides[axis])?;
                let span = kernel[axis].checked_sub(1)?.checked_mul(dilations[axis])?.checked_add(1)?;
                let full = reach.checked_add(span)?.checked_add(self.output_padding[axis])?;
                full.checked_sub(pads_begin[axis])?.checked_sub(pads_end[axis]).filter(|&size| size > 0)
            })
            .collect()
    }

    /// How many windows an output of the given size has room for along each spatial axis: those of the input, and more
    /// where the output padding is not less than the stride.
    fn windows(&self, out: &[usize], input: &[usize]) -> Vec<usize> {
        let kernel = self.parameters.weight().shape().get(2..).unwrap_or(&[]);
        self.geometry.output_spatial(out, kernel).unwrap_or_else(|| input.to_vec())
    }
}

impl Op for ConvolutionTranspose {
    fn kind(&self) -> OpKind {
        OpKind::ConvolutionTranspose
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("ConvTranspose", inputs)?;
        let [channels, spatial @ ..] = input else { return Err(ComputeError::shapes("ConvTranspose", &[0, 0], input)) };
        let taken = self.parameters.weight().batch();
        if *channels != taken {
            let reason = format!("the weights take {taken} channels, the input has {channels}");
            return Err(attribute("ConvTranspose", "input", reason));
        }
        let out = self.output_spatial(spatial).ok_or_else(|| {
            attribute("ConvTranspose", "pads", format!("{:?} leaves nothing of an input of {spatial:?}", self.geometry))
        })?;
        Ok([&[self.channels()], out.as_slice()].concat())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        self.forward_part(backend, single("ConvTranspose", inputs)?, Part::Whole, Some(Part::Whole))
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let input_shape = single("ConvTranspose", inputs)?.sample_shape().to_vec();
        Ok(Box::new(Transposed { op: self.clone(), input_shape }))
    }

    fn multiply_adds(&self, inputs: &[&[usize]], _: &[usize]) -> u64 {
        inputs.first().copied().map_or(0, elements) * self.parameters.weight().row_len() as u64
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Required
    }

    fn affine(&self) -> Option<&dyn Affine> {
        Some(self)
    }

    fn structure(&self) -> Structure<'_> {
        Structure::ConvolutionTranspose(self)
    }
}

impl Affine for ConvolutionTranspose {
    fn forward_part(
        &self,
        backend: &dyn Backend,
        x: &Tensor,
        weight: Part,
        bias: Option<Part>,
    ) -> Result<Tensor, ComputeError> {
        let spatial = x.sample_shape().get(1..).unwrap_or(&[]);
        let out = self.output_spatial(spatial).ok_or_else(|| ComputeError::shapes("ConvTranspose", &[0], x.shape()))?;
        let packed = self.packed(backend, weight)?;
        // An output padding of the stride or more makes room for windows that no input stands for: zeros do.
        let windows = self.windows(&out, spatial);
        let y = if windows == spatial {
            backend.convolution_input_gradient(x, &packed, &out)?
        } else {
            let added = windows.iter().zip(spatial).map(|(&windows, &size)| (0, windows as isize - size as isize));
            let pads: Vec<(isize, isize)> = std::iter::once((0, 0)).chain(added).collect();
            backend.convolution_input_gradient(&backend.pad(x, &pads, PadMode::Constant(0.0))?, &packed, &out)?
        };
        match bias {
            Some(part) if self.parameters.bias().is_some() => {
                backend.zip(&y, &self.bias_part(backend, part, y.sample_shape())?, Zip::Add)
            }
            _ => Ok(y),
        }
    }

    fn transpose_part(
        &self,
        backend: &dyn Backend,
        r: &Tensor,
        weight: Part,
        input_shape: &[usize],
    ) -> Result<Tensor, ComputeError> {
        let windows = backend.convolution(r, &self.packed(backend, weight)?, None)?;
        if windows.sample_shape() == input_shape {
            return Ok(windows);
        }
        let range = |&count: &usize| SliceRange { start: 0, step: 1, count };
        backend.slice(&windows, &input_shape.iter().map(range).collect::<Vec<_>>())
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
