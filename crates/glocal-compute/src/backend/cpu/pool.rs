//! Pools over 1 to 3 axes, computed as rank 3, a line of outputs at a time.

pub(super) mod average;
pub(super) mod maximum;

use crate::{ComputeError, PoolGeometry, Tensor};

use super::axis::{Axis, three_axes};
use super::check;

/// The windows of one pool over inputs of one size.
struct Windows {
    axes: [Axis; 3],
    pads_end: [usize; 3],
    output_spatial: Vec<usize>,
}

impl Windows {
    /// The windows of `geometry` over `input`, each of which holds at least one element of the input.
    fn new(operation: &'static str, geometry: &PoolGeometry, input: &[usize]) -> Result<Self, ComputeError> {
        let attributes = [
            ("kernel", &geometry.kernel, 1),
            ("strides", &geometry.strides, 1),
            ("dilations", &geometry.dilations, 1),
            ("pads_begin", &geometry.pads_begin, 0),
            ("pads_end", &geometry.pads_end, 0),
        ];
        for (name, values, least) in attributes {
            check::per_axis(operation, name, values, input.len(), least)?;
        }
        check::sizes(operation, "input", input)?;
        let output_spatial = geometry.output_spatial(input).ok_or_else(|| {
            let reason = format!(
                "the window {:?} with dilations {:?} does not fit into the input {input:?} with pads {:?} and {:?}",
                geometry.kernel, geometry.dilations, geometry.pads_begin, geometry.pads_end
            );
            check::attribute(operation, "kernel", reason)
        })?;
        let (size, count) = (three_axes(input, 1), three_axes(&output_spatial, 1));
        let (kernel, stride) = (three_axes(&geometry.kernel, 1), three_axes(&geometry.strides, 1));
        let (dilation, pads_begin) = (three_axes(&geometry.dilations, 1), three_axes(&geometry.pads_begin, 0));
        let pads_end = three_axes(&geometry.pads_end, 0);
        let axes: [Axis; 3] = std::array::from_fn(|axis| {
            Axis::window(size[axis], kernel[axis], stride[axis], dilation[axis], pads_begin[axis], count[axis])
        });
        if axes.iter().any(|axis| (0..axis.count).any(|output| first_inside(axis, output).is_none())) {
            let reason = format!("{:?} leave a window without an element of the input", geometry.pads_begin);
            return Err(check::attribute(operation, "pads", reason));
        }
        Ok(Self { axes, pads_end, output_spatial })
    }

    /// The sizes of the input's and the output's plane.
    fn planes(&self) -> (usize, usize) {
        (self.axes.iter().map(|axis| axis.size).product(), self.axes.iter().map(|axis| axis.count).product())
    }

    /// The number of elements of a window.
    fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.taps.len()).product()
    }

    /// Whether they are the squares of 2×2 that a plane falls into.
    fn is_squares(&self) -> bool {
        let [deep, vertical, horizontal] = &self.axes;
        let is_pairs = |axis: &Axis| axis.start == 0 && axis.step == 2 && axis.taps == [0, 1];
        // one plane; and no window that reaches past its end
        let is_inside = |axis: &Axis| 2 * axis.count <= axis.size;
        deep.size == 1
            && deep.taps == [0]
            && deep.start == 0
            && [vertical, horizontal].into_iter().all(|axis| is_pairs(axis) && is_inside(axis))
    }

    /// Calls `visit(line, from, inside, tap)` for each line of outputs and each tap of its windows, in row-major order
    /// of the taps: outputs `inside` of `line` read, with the axis' tap `tap`, the input's line that starts at `from`.
    #[inline(always)]
    fn for_lines(&self, mut visit: impl FnMut(usize, usize, std::ops::Range<usize>, usize)) {
        let [deep, vertical, horizontal] = &self.axes;
        let inside: Vec<_> = (0..horizontal.taps.len()).map(|x| horizontal.inside(x)).collect();
        for line in 0..deep.count * vertical.count {
            let (out_z, out_y) = (line / vertical.count, line % vertical.count);
            for z in 0..deep.taps.len() {
                let Some(at_z) = deep.position(out_z, z) else { continue };
                for y in 0..vertical.taps.len() {
                    let Some(at_y) = vertical.position(out_y, y) else { continue };
                    let from = (at_z * vertical.size + at_y) * horizontal.size;
                    for (x, inside) in inside.iter().enumerate() {
                        if !inside.is_empty() {
                            visit(line, from, inside.clone(), x);
                        }
                    }
                }
            }
        }
    }
}

/// The first input element of an output element's window.
fn first_inside(axis: &Axis, output: usize) -> Option<usize> {
    (0..axis.taps.len()).find_map(|tap| axis.position(output, tap))
}

/// The batch, channels and spatial sizes of `[N, C, spatial...]`.
fn split<'a>(operation: &'static str, x: &'a Tensor) -> Result<(usize, usize, &'a [usize]), ComputeError> {
    check::spatial_rank(operation, x)?;
    Ok((x.shape()[0], x.shape()[1], &x.shape()[2..]))
}

fn shape(batch: usize, channels: usize, spatial: &[usize]) -> Vec<usize> {
    [&[batch, channels], spatial].concat()
}
