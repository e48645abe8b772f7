//! The input gradient as `weightᵀ · r`, whose rows are then added up where the windows overlap.

use rten_gemm::{GemmInputA, GemmInputB, PackedAMatrix};

use crate::ComputeError;
use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::{self, Bias};
use crate::backend::cpu::parallel;

use super::Layer;

/// The number of elements of the product that are laid out at a time, roughly.
const BLOCK_ELEMENTS: usize = 1 << 18;

/// For each group, `[inputs · taps, outputs]`.
pub(super) struct ColumnsGradient {
    weights: Vec<PackedAMatrix<f32>>,
}

impl ColumnsGradient {
    pub(super) fn pack(layer: &Layer) -> Self {
        let (depth, rows) = (layer.outputs, layer.inputs * layer.taps());
        let elements = layer.elements();
        let groups = elements.chunks_exact(rows * depth);
        Self { weights: groups.map(|group| gemm::pack_left(gemm::matrix(group, depth, rows).transposed())).collect() }
    }

    /// `axes` are those of the forward direction.
    pub(super) fn run(
        &self,
        operation: &'static str,
        layer: &Layer,
        axes: &[Axis; 3],
        r: &[f32],
        out: &mut [f32],
    ) -> Result<(), ComputeError> {
        let plane = axes.iter().map(|axis| axis.size).product::<usize>();
        let [_, height, width] = axes.each_ref().map(|axis| axis.count);
        let positions = axes.iter().map(|axis| axis.count).product::<usize>();
        let (taps, rows) = (layer.taps(), layer.inputs * layer.taps());
        let lines_at_once = (BLOCK_ELEMENTS / (rows * width)).max(1);
        let steps = rows * layer.outputs * positions;
        parallel::for_tasks(out, layer.inputs * plane, steps, Vec::new, |buffer, task, out| {
            let group = task % layer.geometry.group;
            let image = &r[task * layer.outputs * positions..(task + 1) * layer.outputs * positions];
            let image = gemm::matrix(image, layer.outputs, positions);
            let lines = positions / width;
            for first in (0..lines).step_by(lines_at_once) {
                let count = lines_at_once.min(lines - first);
                let columns = count * width;
                buffer.resize(rows * columns, 0.0);
                let b = image.slice((.., first * width..(first + count) * width));
                let a = GemmInputA::Packed(&self.weights[group]);
                gemm::multiply(operation, buffer, a, GemmInputB::Unpacked(b), Bias::None)?;
                let buffer = &buffer[..];
                parallel::for_blocks(out, plane, taps * columns, |channel, to| {
                    let from = &buffer[channel * taps * columns..(channel + 1) * taps * columns];
                    for (index, line) in (first..first + count).enumerate() {
                        let output = [line / height, line % height];
                        add_line(axes, output, &from[index * width..], columns, to);
                    }
                });
            }
            Ok(())
        })
    }
}

/// Adds what each tap says of one line of output elements to the input elements that it reads. The line of each
/// following tap starts `tap_stride` elements further in `from`.
fn add_line(axes: &[Axis; 3], output: [usize; 2], from: &[f32], tap_stride: usize, to: &mut [f32]) {
    let [deep, vertical, horizontal] = axes;
    for z in 0..deep.taps.len() {
        let Some(at_z) = deep.position(output[0], z) else { continue };
        for y in 0..vertical.taps.len() {
            let Some(at_y) = vertical.position(output[1], y) else { continue };
            let start = (at_z * vertical.size + at_y) * horizontal.size;
            let to = &mut to[start..start + horizontal.size];
            for x in 0..horizontal.taps.len() {
                let inside = horizontal.inside(x);
                let Some(at_x) = horizontal.position(inside.start, x).filter(|_| !inside.is_empty()) else { continue };
                let tap = (z * vertical.taps.len() + y) * horizontal.taps.len() + x;
                let from = &from[tap * tap_stride..][inside];
                if horizontal.step == 1 {
                    to[at_x..].iter_mut().zip(from).for_each(|(to, from)| *to += from);
                } else {
                    let to = to[at_x..].iter_mut().step_by(horizontal.step as usize);
                    to.zip(from).for_each(|(to, from)| *to += from);
                }
            }
        }
    }
}
