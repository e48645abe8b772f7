//! Depthwise convolutions: loops over padded copies of a channel, the outputs of a line side by side in vectors.

mod lines;
mod made;
mod planes;
mod rows;
mod windows;

use std::sync::OnceLock;

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::parallel;
use crate::{ComputeError, ComputeErrorKind};

use super::Layer;
use super::phase::Phases;
use planes::{Planes, Refusal, Share};
use windows::Windows;

/// The weights of a layer as [`Planes`] take them, made when they are first used.
#[derive(Default)]
pub(super) struct PackedDirect {
    forward: OnceLock<Vec<f32>>,
    /// For each combination of phases.
    gradient: OnceLock<Vec<Vec<f32>>>,
}

/// What is computed from what: `out[task]` from `x[task / outputs]`.
struct Planewise<'a> {
    /// The number of elements of one of `x`.
    image: usize,
    /// The planes that are made of one image.
    outputs: usize,
    /// For each plane of a sample.
    bias: Option<&'a [f32]>,
    channels: usize,
    steps: usize,
}

/// See [`ProductsForward::run`](super::products::ProductsForward::run).
pub(super) fn forward(
    operation: &'static str,
    layer: &Layer,
    packed: &PackedDirect,
    axes: &[Axis; 3],
    x: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
) -> Result<(), ComputeError> {
    let taps = layer.taps();
    let plane = axes.iter().map(|axis| axis.size).product::<usize>();
    let block = axes.iter().map(|axis| axis.count).product::<usize>();
    let channels = layer.outputs * layer.geometry.group;
    let [deep, vertical, horizontal] = axes;
    if is_flat(deep) {
        let kernels =
            parallel::made_once(&packed.forward, || by_columns(layer, &(0..taps).collect::<Vec<_>>(), layer.kernel[1]));
        let share = Share { vertical: vertical.clone(), horizontal: horizontal.clone(), kernels, offset: [0; 2] };
        let work = Planewise { image: plane, outputs: layer.outputs, bias, channels, steps: block * taps };
        if work.run(operation, &[share], [1; 2], [vertical.count, horizontal.count], x, out)? {
            return Ok(());
        }
    }
    let windows = Windows::new(operation, axes, 1, layer.elements().into_owned())?;
    parallel::for_tasks(
        out,
        block,
        block * taps,
        || windows.workspace(),
        |buffer, task, out| {
            let (image, channel) = (task / layer.outputs, task % channels);
            let image = &x[image * plane..(image + 1) * plane];
            windows.run(channel, image, buffer, bias.map_or(0.0, |bias| bias[channel]), out);
            Ok(())
        },
    )
}

/// See [`ProductsGradient::run`](super::products::ProductsGradient::run).
pub(super) fn input_gradient(
    operation: &'static str,
    layer: &Layer,
    packed: &PackedDirect,
    input: [usize; 3],
    output: [usize; 3],
    r: &[f32],
    out: &mut [f32],
) -> Result<(), ComputeError> {
    let phases = layer.phases();
    let block = input.iter().product::<usize>();
    let image_len = layer.outputs * output.iter().product::<usize>();
    // a stride along the third axis passes whole planes of the input over
    if layer.outputs == 1
        && input[0] == 1
        && phases[0].iter().all(|phase| phase.axis(input[0], output[0]).is_some_and(|axis| is_flat(&axis)))
    {
        let kernels = parallel::made_once(&packed.gradient, || {
            let rows = |phases: &Phases<'_>| phases.0[1].kernel.len();
            Phases::all(&phases).map(|phases| by_columns(layer, &phases.kernel(layer.kernel), rows(&phases))).collect()
        });
        let shares: Vec<Share<'_>> = Phases::all(&phases)
            .zip(kernels)
            .filter_map(|(phases, kernels)| {
                let [_, vertical, horizontal] = phases.axes(input, output)?;
                Some(Share { vertical, horizontal, kernels, offset: [phases.0[1].offset, phases.0[2].offset] })
            })
            .collect();
        let channels = layer.geometry.group;
        let work = Planewise { image: image_len, outputs: 1, bias: None, channels, steps: image_len * layer.taps() };
        let [_, down, across] = layer.strides;
        if work.run(operation, &shares, [down, across], [input[1], input[2]], r, out)? {
            return Ok(());
        }
    }
    let elements = layer.elements();
    let combinations = Phases::all(&phases)
        .filter_map(|phases| phases.axes(input, output).map(|axes| (phases, axes)))
        .map(|(phases, axes)| {
            let taken = phases.kernel(layer.kernel);
            let kernels = elements.chunks_exact(layer.taps());
            let kernels = kernels.flat_map(|kernel| taken.iter().map(|&element| kernel[element]));
            Ok((phases, axes.clone(), Windows::new(operation, &axes, layer.outputs, kernels.collect())?))
        })
        .collect::<Result<Vec<_>, ComputeError>>()?;
    let workspace =
        || (combinations.iter().map(|(_, _, windows)| windows.workspace()).collect::<Vec<_>>(), Vec::<f32>::new());
    parallel::for_tasks(out, block, image_len * layer.taps(), workspace, |(buffers, spread), task, out| {
        let group = task % layer.geometry.group;
        let image = &r[task * image_len..(task + 1) * image_len];
        if layer.strides != [1; 3] {
            // strides may pass elements over
            out.fill(0.0);
        }
        for ((phases, axes, windows), buffer) in combinations.iter().zip(buffers) {
            if phases.is_everything() {
                windows.run(group, image, buffer, 0.0, out);
                continue;
            }
            spread.resize(axes.iter().map(|axis| axis.count).product(), 0.0);
            windows.run(group, image, buffer, 0.0, spread);
            phases.spread(axes, input, spread, out);
        }
        Ok(())
    })
}

/// Whether there is no third axis.
fn is_flat(deep: &Axis) -> bool {
    deep.size == 1 && deep.is_identity()
}

/// For each kernel, its `elements`, which are rows of a smaller kernel of so many rows, column by column.
fn by_columns(layer: &Layer, elements: &[usize], rows: usize) -> Vec<f32> {
    let columns = elements.len() / rows;
    layer
        .elements()
        .chunks_exact(layer.taps())
        .flat_map(|kernel| (0..columns * rows).map(move |to| kernel[elements[to % rows * columns + to / rows]]))
        .collect()
}

impl Planewise<'_> {
    /// Whether lines could compute it.
    fn run(
        &self,
        operation: &'static str,
        shares: &[Share<'_>],
        period: [usize; 2],
        output: [usize; 2],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<bool, ComputeError> {
        let planes = match Planes::new(shares, period, output) {
            Ok(planes) => planes,
            Err(Refusal::Unsupported) => return Ok(false),
            Err(Refusal::TooLarge) => {
                let shape = output.to_vec();
                return Err(ComputeError::new(operation, ComputeErrorKind::TooLarge { shape }));
            }
        };
        let work = |buffer: &mut Vec<f32>, task: usize, out: &mut [f32]| {
            let (image, plane) = (task / self.outputs, task % self.channels);
            // with what follows, so that vectors may be read past the end
            let image = &x[image * self.image..];
            planes.run(plane, image, buffer, self.bias.map_or(0.0, |bias| bias[plane]), out);
            Ok(())
        };
        parallel::for_tasks(out, output[0] * output[1], self.steps, || planes.workspace(), work)?;
        Ok(true)
    }
}
