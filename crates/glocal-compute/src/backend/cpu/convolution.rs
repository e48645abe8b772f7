//! Convolutions over 1 to 3 axes and their input gradients.
//!
//! All ranks are computed as rank 3. A direction takes one of four ways: *products* (`weight · windows`, a block of windows
//! packed at a time, or those of a small image read where they lie), *Winograd* (3×3 at stride 1), *columns* (`weightᵀ · r`,
//! added up where windows overlap; for the gradient of layers with few input channels) and *direct* loops (depthwise layers).
//! The layer's and the input's shape choose it, the batch left out; and Winograd gives rows with outliers, or with huge
//! values, to the other ways: each row is judged by its own values alone. The input gradient by products or direct loops is
//! a convolution with stride 1 of `r`: one for each phase of the stride, with the kernel elements that meet this phase.

mod columns;
mod direct;
mod in_place;
mod padded;
mod phase;
mod products;
mod unroll;
mod winograd;

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use crate::backend::{Packed, PackedWeight, WeightChange};
use crate::{ComputeError, ComputeErrorKind, ConvolutionGeometry, Tensor};

use super::axis::{Axis, three_axes};
use super::{check, elementwise, parallel};
use columns::ColumnsGradient;
use direct::PackedDirect;
use phase::Phase;
use products::{ProductsForward, ProductsGradient};
use winograd::PackedWinograd;

/// Depthwise layers have at most this many outputs a channel; layers with more are faster as products.
const DIRECT_OUTPUTS: usize = 4;

/// Layers with at most this many input channels a group, and no more than half as many as outputs, hand their gradient
/// back by columns: unrolling `r` for so few rows of a product would cost more than the product.
const COLUMNS_INPUTS: usize = 16;

/// The packed weights of one layer. Each direction is packed when it is first used.
pub(super) struct PackedConvolution {
    layer: Layer,
    /// Whether products and columns pack for each use; the other ways serve both directions, or take little memory.
    packs_anew: bool,
    forward: OnceLock<ProductsForward>,
    columns: OnceLock<ColumnsGradient>,
    products: OnceLock<ProductsGradient>,
    winograd: PackedWinograd,
    direct: PackedDirect,
}

/// What is known of a layer before an input comes, with its axes brought to three.
#[derive(Clone, Debug)]
struct Layer {
    /// As they were given, and how they are changed.
    weight: Tensor,
    change: WeightChange,
    geometry: ConvolutionGeometry,
    kernel: [usize; 3],
    strides: [usize; 3],
    dilations: [usize; 3],
    pads_begin: [usize; 3],
    /// Input channels of a group.
    inputs: usize,
    /// Output channels of a group.
    outputs: usize,
}

impl Packed for PackedConvolution {}

impl PackedConvolution {
    /// What `run` makes of what is in `kept`, packed if nothing is there yet; or of what is packed for it alone.
    fn with<P, T>(&self, kept: &OnceLock<P>, pack: impl FnOnce() -> P, run: impl FnOnce(&P) -> T) -> T {
        if self.packs_anew { run(&pack()) } else { run(parallel::made_once(kept, pack)) }
    }
}

impl fmt::Debug for PackedConvolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedConvolution").field("layer", &self.layer).finish_non_exhaustive()
    }
}

/// See [`Backend::pack_convolution`](crate::Backend::pack_convolution).
pub(super) fn pack(
    weight: &Tensor,
    change: WeightChange,
    geometry: &ConvolutionGeometry,
    packs_anew: bool,
) -> Result<PackedWeight, ComputeError> {
    let layer = Layer::new(weight, change, geometry)?;
    Ok(PackedWeight::new(PackedConvolution {
        layer,
        packs_anew,
        forward: OnceLock::new(),
        columns: OnceLock::new(),
        products: OnceLock::new(),
        winograd: PackedWinograd::default(),
        direct: PackedDirect::default(),
    }))
}

/// See [`Backend::convolution`](crate::Backend::convolution).
pub(super) fn forward(x: &Tensor, weight: &PackedWeight, bias: Option<&Tensor>) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "convolution";
    let packed = check::packed::<PackedConvolution>(OPERATION, weight)?;
    let layer = &packed.layer;
    let (batch, in_spatial) = layer.split(OPERATION, x, layer.inputs * layer.geometry.group)?;
    let out_spatial = layer.output_spatial(OPERATION, in_spatial)?;
    let channels_out = layer.outputs * layer.geometry.group;
    let bias = bias.map(|bias| check::shape(OPERATION, bias, &[channels_out])).transpose()?;
    let mut out = Tensor::unspecified(shape(batch, channels_out, &out_spatial))?;
    if out.is_empty() {
        return Ok(out);
    }
    let axes = layer.forward_axes(in_spatial, &out_spatial);
    let untiled = |x: &[f32], out: &mut [f32]| {
        let run = |packed: &ProductsForward| packed.run(OPERATION, layer, &axes, x, bias, out);
        packed.with(&packed.forward, || ProductsForward::pack(layer), run)
    };
    if layer.is_direct() {
        direct::forward(OPERATION, layer, &packed.direct, &axes, x.data(), bias, out.data_mut())?;
    } else if winograd::suits(layer, three_axes(&out_spatial, 1), layer.inputs, layer.outputs) {
        let tiled = |x: &[f32], out: &mut [f32]| packed.winograd.forward(layer).run(&axes, x, bias, out);
        winograd::by_rows(x, &mut out, tiled, untiled)?;
    } else {
        untiled(x.data(), out.data_mut())?;
    }
    Ok(out)
}

/// See [`Backend::convolution_input_gradient`](crate::Backend::convolution_input_gradient).
pub(super) fn input_gradient(
    r: &Tensor,
    weight: &PackedWeight,
    input_spatial: &[usize],
) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "convolution_input_gradient";
    let packed = check::packed::<PackedConvolution>(OPERATION, weight)?;
    let layer = &packed.layer;
    let (batch, out_spatial) = layer.split(OPERATION, r, layer.outputs * layer.geometry.group)?;
    let expected = layer.output_spatial(OPERATION, input_spatial)?;
    if out_spatial != expected {
        return Err(ComputeError::shapes(OPERATION, &shape(batch, r.shape()[1], &expected), r.shape()));
    }
    let out_shape = shape(batch, layer.inputs * layer.geometry.group, input_spatial);
    // strides may pass elements over, and columns are added up
    let is_written = !r.is_empty() && (layer.is_direct() || layer.strides == [1; 3] && !layer.gradient_by_columns());
    let mut out = if is_written { Tensor::unspecified(out_shape)? } else { Tensor::zeros(out_shape)? };
    if out.is_empty() || r.is_empty() {
        return Ok(out);
    }
    let input = three_axes(input_spatial, 1);
    let output = three_axes(out_spatial, 1);
    if layer.is_direct() {
        direct::input_gradient(OPERATION, layer, &packed.direct, input, output, r.data(), out.data_mut())?;
        return Ok(out);
    }
    let untiled = |r: &[f32], out: &mut [f32]| {
        if layer.gradient_by_columns() {
            let axes = layer.forward_axes(input_spatial, out_spatial);
            let run = |packed: &ColumnsGradient| packed.run(OPERATION, layer, &axes, r, out);
            return packed.with(&packed.columns, || ColumnsGradient::pack(layer), run);
        }
        let run = |packed: &ProductsGradient| packed.run(OPERATION, layer, input, output, r, out);
        packed.with(&packed.products, || ProductsGradient::pack(layer), run)
    };
    if !winograd::suits(layer, input, layer.outputs, layer.inputs) {
        untiled(r.data(), out.data_mut())?;
        return Ok(out);
    }
    let tiled = |r: &[f32], out: &mut [f32]| {
        let axes = std::array::from_fn(|axis| layer.gradient_axis(axis, input, output));
        packed.winograd.gradient(layer).run(&axes, r, None, out);
    };
    winograd::by_rows(r, &mut out, tiled, untiled)?;
    Ok(out)
}

impl Layer {
    fn new(weight: &Tensor, change: WeightChange, geometry: &ConvolutionGeometry) -> Result<Self, ComputeError> {
        const OPERATION: &str = "pack_convolution";
        let rank = check::spatial_rank(OPERATION, weight)?;
        let attributes = [
            ("strides", &geometry.strides, 1),
            ("dilations", &geometry.dilations, 1),
            ("pads_begin", &geometry.pads_begin, 0),
            ("pads_end", &geometry.pads_end, 0),
        ];
        for (name, values, least) in attributes {
            check::per_axis(OPERATION, name, values, rank, least)?;
        }
        let (channels_out, inputs, kernel) = (weight.shape()[0], weight.shape()[1], &weight.shape()[2..]);
        if weight.is_empty() {
            return Err(attribute(OPERATION, "weight", format!("has no elements (shape {:?})", weight.shape())));
        }
        if geometry.group == 0 || !channels_out.is_multiple_of(geometry.group) {
            let reason = format!("{} does not divide the {channels_out} output channels", geometry.group);
            return Err(attribute(OPERATION, "group", reason));
        }
        Ok(Self {
            kernel: three_axes(kernel, 1),
            strides: three_axes(&geometry.strides, 1),
            dilations: three_axes(&geometry.dilations, 1),
            pads_begin: three_axes(&geometry.pads_begin, 0),
            inputs,
            outputs: channels_out / geometry.group,
            weight: weight.clone(),
            change,
            geometry: geometry.clone(),
        })
    }

    /// The batch and the spatial sizes of `[batch, channels, spatial...]`.
    fn split<'a>(
        &self,
        operation: &'static str,
        x: &'a Tensor,
        channels: usize,
    ) -> Result<(usize, &'a [usize]), ComputeError> {
        let rank = self.geometry.strides.len();
        match x.shape() {
            [batch, given, spatial @ ..] if spatial.len() == rank && *given == channels => Ok((*batch, spatial)),
            given if given.len() == rank + 2 => {
                let mut expected = given.to_vec();
                expected[1] = channels;
                Err(ComputeError::shapes(operation, &expected, given))
            }
            given => {
                let expected = ["[N, C, W]", "[N, C, H, W]", "[N, C, D, H, W]"][rank - 1];
                Err(ComputeError::new(operation, ComputeErrorKind::Rank { expected, given: given.to_vec() }))
            }
        }
    }

    fn output_spatial(&self, operation: &'static str, input: &[usize]) -> Result<Vec<usize>, ComputeError> {
        let kernel = &self.weight.shape()[2..];
        check::sizes(operation, "input", input)?;
        self.geometry.output_spatial(input, kernel).ok_or_else(|| {
            let reason = format!(
                "the kernel {kernel:?} with dilations {:?} does not fit into the input {input:?} with pads {:?} and {:?}",
                self.geometry.dilations, self.geometry.pads_begin, self.geometry.pads_end
            );
            attribute(operation, "kernel", reason)
        })
    }

    /// The weights, changed: made anew at each call, for whoever keeps them in an order of its own.
    fn elements(&self) -> Cow<'_, [f32]> {
        let changed = |change: fn(f32) -> f32| self.weight.data().iter().map(|&weight| change(weight)).collect();
        match self.change {
            WeightChange::None => Cow::Borrowed(self.weight.data()),
            WeightChange::Positive => Cow::Owned(changed(elementwise::positive)),
            WeightChange::Negative => Cow::Owned(changed(elementwise::negative)),
            WeightChange::Square => Cow::Owned(changed(|weight| weight * weight)),
        }
    }

    fn is_direct(&self) -> bool {
        self.inputs == 1 && self.outputs <= DIRECT_OUTPUTS
    }

    fn gradient_by_columns(&self) -> bool {
        self.inputs <= COLUMNS_INPUTS && 2 * self.inputs <= self.outputs
    }

    /// The number of elements of a kernel.
    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    fn forward_axes(&self, input: &[usize], output: &[usize]) -> [Axis; 3] {
        let (input, output) = (three_axes(input, 1), three_axes(output, 1));
        std::array::from_fn(|axis| {
            let (kernel, stride, dilation) = (self.kernel[axis], self.strides[axis], self.dilations[axis]);
            Axis::window(input[axis], kernel, stride, dilation, self.pads_begin[axis], output[axis])
        })
    }

    /// The axis of the input gradient as a convolution of `r`, at stride 1.
    fn gradient_axis(&self, axis: usize, input: [usize; 3], output: [usize; 3]) -> Axis {
        let (dilation, pad) = (self.dilations[axis] as i64, self.pads_begin[axis] as i64);
        let taps = (0..self.kernel[axis] as i64).rev().map(|element| pad - element * dilation).collect();
        Axis { size: output[axis], start: 0, step: 1, count: input[axis], taps }
    }

    /// The phases of the input gradient along each axis.
    fn phases(&self) -> [Vec<Phase>; 3] {
        std::array::from_fn(|axis| {
            Phase::all(self.kernel[axis], self.strides[axis], self.dilations[axis], self.pads_begin[axis])
        })
    }
}

fn shape(batch: usize, channels: usize, spatial: &[usize]) -> Vec<usize> {
    [&[batch, channels], spatial].concat()
}

fn attribute(operation: &'static str, name: &'static str, reason: String) -> ComputeError {
    ComputeError::new(operation, ComputeErrorKind::Attribute { name, reason })
}
