//! Convolutions as matrix products of packed weights and an image's windows, one for each image and group.

use rten_gemm::PackedAMatrix;

use crate::ComputeError;
use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::{gemm, parallel};

use super::Layer;
use super::phase::{Phase, Phases};
use super::unroll::{Unroll, Workspace};

/// The forward direction: for each group, `[outputs, inputs · taps]`.
pub(super) struct ProductsForward {
    weights: Vec<PackedAMatrix<f32>>,
}

/// The input gradient: for each combination of phases, its kernel elements' weights.
pub(super) struct ProductsGradient {
    phases: [Vec<Phase>; 3],
    /// For each combination and each group, `[inputs, outputs · taps]`.
    weights: Vec<Vec<PackedAMatrix<f32>>>,
}

impl ProductsForward {
    pub(super) fn pack(layer: &Layer) -> Self {
        let (rows, depth) = (layer.outputs, layer.inputs * layer.taps());
        let groups = layer.weight.data().chunks_exact(rows * depth);
        Self { weights: groups.map(|group| gemm::pack_left(gemm::matrix(group, rows, depth))).collect() }
    }

    pub(super) fn run(
        &self,
        operation: &'static str,
        layer: &Layer,
        axes: &[Axis; 3],
        x: &[f32],
        bias: Option<&[f32]>,
        out: &mut [f32],
    ) -> Result<(), ComputeError> {
        let unroll = Unroll::new(operation, axes, layer.inputs)?;
        let image_len = layer.inputs * axes.iter().map(|axis| axis.size).product::<usize>();
        let block = layer.outputs * unroll.columns();
        let steps = block * layer.inputs * layer.taps();
        let few = parallel::are_few(out.len() / block);
        parallel::for_tasks(out, block, steps, Workspace::default, |workspace, task, out| {
            let group = task % layer.geometry.group;
            let bias = bias.map(|bias| &bias[group * layer.outputs..(group + 1) * layer.outputs]);
            let image = &x[task * image_len..(task + 1) * image_len];
            unroll.multiply(operation, workspace, few, out, &self.weights[group], image, bias)
        })
    }
}

impl ProductsGradient {
    pub(super) fn pack(layer: &Layer) -> Self {
        let phases = layer.phases();
        let (inputs, outputs, taps) = (layer.inputs, layer.outputs, layer.taps());
        let pack_phase = |combination: Phases<'_>| {
            let kernel = combination.kernel(layer.kernel);
            let mut transposed = vec![0.0; inputs * outputs * kernel.len()];
            let groups = layer.weight.data().chunks_exact(outputs * inputs * taps);
            groups
                .map(|group| {
                    let mut rows = transposed.chunks_exact_mut(kernel.len());
                    for input in 0..inputs {
                        for (output, row) in (0..outputs).zip(&mut rows) {
                            let weights = &group[(output * inputs + input) * taps..][..taps];
                            for (to, &element) in row.iter_mut().zip(&kernel) {
                                *to = weights[element];
                            }
                        }
                    }
                    gemm::pack_left(gemm::matrix(&transposed, inputs, outputs * kernel.len()))
                })
                .collect()
        };
        let weights = Phases::all(&phases).map(pack_phase).collect();
        Self { phases, weights }
    }

    pub(super) fn run(
        &self,
        operation: &'static str,
        layer: &Layer,
        input: [usize; 3],
        output: [usize; 3],
        r: &[f32],
        out: &mut [f32],
    ) -> Result<(), ComputeError> {
        let combinations = Phases::all(&self.phases)
            .zip(&self.weights)
            .filter_map(|(phases, weights)| phases.axes(input, output).map(|axes| (phases, weights, axes)))
            .map(|(phases, weights, axes)| Ok((phases, weights, Unroll::new(operation, &axes, layer.outputs)?, axes)))
            .collect::<Result<Vec<_>, ComputeError>>()?;
        let plane = input.iter().product::<usize>();
        let image_len = layer.outputs * output.iter().product::<usize>();
        let block = layer.inputs * plane;
        let steps = image_len * layer.inputs * layer.taps();
        let few = parallel::are_few(out.len() / block);
        let workspace = || (combinations.iter().map(|_| Workspace::default()).collect(), Vec::new());
        parallel::for_tasks(
            out,
            block,
            steps,
            workspace,
            |(workspaces, buffer): &mut (Vec<Workspace>, _), task, out| {
                let group = task % layer.geometry.group;
                let image = &r[task * image_len..(task + 1) * image_len];
                for ((phases, weights, unroll, axes), workspace) in combinations.iter().zip(workspaces) {
                    if phases.is_everything() {
                        unroll.multiply(operation, workspace, few, out, &weights[group], image, None)?;
                        continue;
                    }
                    let columns = unroll.columns();
                    buffer.resize(layer.inputs * columns, 0.0);
                    unroll.multiply(operation, workspace, few, buffer, &weights[group], image, None)?;
                    for (from, to) in buffer.chunks_exact(columns).zip(out.chunks_exact_mut(plane)) {
                        phases.spread(axes, input, from, to);
                    }
                }
                Ok(())
            },
        )
    }
}
