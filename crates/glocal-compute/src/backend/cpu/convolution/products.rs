//! Convolutions as matrix products of packed weights and an image's windows, one for each image and group.

use crate::ComputeError;
use crate::backend::WeightChange;
use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::left::{DEPTH, LeftPanels, Unpacked};
use crate::backend::cpu::{elementwise, parallel};

use super::Layer;
use super::phase::{Phase, Phases};
use super::unroll::{Unroll, Weight};

/// The forward direction: for each group, `[outputs, inputs · taps]`.
pub(super) struct ProductsForward {
    weights: Vec<LeftPanels>,
}

/// The input gradient: for each combination of phases, its kernel elements' weights.
pub(super) struct ProductsGradient {
    phases: [Vec<Phase>; 3],
    /// For each combination and each group, `[inputs, outputs · taps]`.
    weights: Vec<Vec<LeftPanels>>,
}

impl ProductsForward {
    pub(super) fn pack(layer: &Layer) -> Self {
        let (rows, depth) = (layer.outputs, layer.inputs * layer.taps());
        let columns: Vec<usize> = (0..depth).collect();
        let groups = layer.weight.data().chunks_exact(rows * depth);
        let matrices = groups.map(|elements| Unpacked { elements, rows, apart: depth, columns: &columns });
        Self { weights: matrices.map(|matrix| packed(matrix, layer.change)).collect() }
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
        let unroll = Unroll::new(operation, axes, layer.inputs, layer.outputs)?;
        let image_len = layer.inputs * axes.iter().map(|axis| axis.size).product::<usize>();
        let out_len = layer.outputs * unroll.columns();
        let at_once = images_at_once(layer, &unroll, out.len() / out_len);
        let steps = at_once * out_len * layer.inputs * layer.taps();
        let few = parallel::are_few(out.len() / (at_once * out_len));
        parallel::for_tasks(
            out,
            at_once * out_len,
            steps,
            || (),
            |(), task, out| {
                let group = task % layer.geometry.group;
                let bias = bias.map(|bias| &bias[group * layer.outputs..(group + 1) * layer.outputs]);
                let weight = Weight { packed: &self.weights[group], bias };
                let first = task * at_once;
                let images = &x[first * image_len..(first + out.len() / out_len) * image_len];
                unroll.multiply(few, out, &weight, images);
                Ok(())
            },
        )
    }
}

/// The weights, changed while they are packed.
fn packed(matrix: Unpacked<'_>, change: WeightChange) -> LeftPanels {
    match change {
        WeightChange::None => LeftPanels::pack_changed(matrix, DEPTH, |weight| weight),
        WeightChange::Positive => LeftPanels::pack_changed(matrix, DEPTH, elementwise::positive),
        WeightChange::Negative => LeftPanels::pack_changed(matrix, DEPTH, elementwise::negative),
        WeightChange::Square => LeftPanels::pack_changed(matrix, DEPTH, |weight| weight * weight),
    }
}

/// How many images of a layer are computed together. Groups have weights of their own.
fn images_at_once(layer: &Layer, unroll: &Unroll, batch: usize) -> usize {
    if layer.geometry.group == 1 { unroll.images_at_once(batch) } else { 1 }
}

impl ProductsGradient {
    pub(super) fn pack(layer: &Layer) -> Self {
        let phases = layer.phases();
        let (inputs, outputs, taps) = (layer.inputs, layer.outputs, layer.taps());
        let weight = layer.weight.data();
        let pack_phase = |combination: Phases<'_>| {
            let kernel = combination.kernel(layer.kernel);
            let of_output = |output: usize| kernel.iter().map(move |&element| output * inputs * taps + element);
            let columns: Vec<usize> = (0..outputs).flat_map(of_output).collect();
            let groups = weight.chunks_exact(outputs * inputs * taps);
            let matrices = groups.map(|elements| Unpacked { elements, rows: inputs, apart: taps, columns: &columns });
            matrices.map(|matrix| packed(matrix, layer.change)).collect()
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
            .map(|(phases, weights, axes)| {
                Ok((phases, weights, Unroll::new(operation, &axes, layer.outputs, layer.inputs)?, axes))
            })
            .collect::<Result<Vec<_>, ComputeError>>()?;
        let plane = input.iter().product::<usize>();
        let image_len = layer.outputs * output.iter().product::<usize>();
        let out_len = layer.inputs * plane;
        let batch = out.len() / out_len;
        let at_once = combinations.iter().map(|(_, _, unroll, _)| images_at_once(layer, unroll, batch)).min();
        let at_once = at_once.unwrap_or(1);
        let steps = at_once * image_len * layer.inputs * layer.taps();
        let few = parallel::are_few(batch / at_once);
        parallel::for_tasks(out, at_once * out_len, steps, Vec::new, |buffer: &mut Vec<f32>, task, out| {
            let group = task % layer.geometry.group;
            let (first, count) = (task * at_once, out.len() / out_len);
            let images = &r[first * image_len..(first + count) * image_len];
            for (phases, weights, unroll, axes) in &combinations {
                let weight = Weight { packed: &weights[group], bias: None };
                if phases.is_everything() {
                    unroll.multiply(few, out, &weight, images);
                    continue;
                }
                let columns = unroll.columns();
                buffer.resize(count * layer.inputs * columns, 0.0);
                unroll.multiply(few, buffer, &weight, images);
                for (from, to) in buffer.chunks_exact(columns).zip(out.chunks_exact_mut(plane)) {
                    phases.spread(axes, input, from, to);
                }
            }
            Ok(())
        })
    }
}
