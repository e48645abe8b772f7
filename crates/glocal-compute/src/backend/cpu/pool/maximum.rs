//! The max pool and its input gradient.

use std::sync::Arc;

use rayon::prelude::*;
use rten_simd::{Isa, SimdOp};

use crate::backend::Winners;
use crate::backend::cpu::{check, parallel};
use crate::{ComputeError, ComputeErrorKind, PoolGeometry, Rows, Tensor};

use super::{Windows, first_inside, shape, split};

/// See [`Backend::max_pool`](crate::Backend::max_pool).
pub(in crate::backend::cpu) fn max_pool(
    x: &Tensor,
    geometry: &PoolGeometry,
) -> Result<(Tensor, Winners), ComputeError> {
    const OPERATION: &str = "max_pool";
    let (batch, channels, input_spatial) = split(OPERATION, x)?;
    let windows = Windows::new(OPERATION, geometry, input_spatial)?;
    let (in_plane, out_plane) = windows.planes();
    if u32::try_from(in_plane).is_err() {
        return Err(ComputeError::new(OPERATION, ComputeErrorKind::TooLarge { shape: x.shape().to_vec() }));
    }
    let mut out = Tensor::full(shape(batch, channels, &windows.output_spatial), f32::NEG_INFINITY)?;
    let mut positions = vec![0u32; out.len()];
    if !out.is_empty() {
        // Each output starts with the first element of its window, which wins when all are −∞.
        let [first_z, first_y, first_x] = windows.axes.each_ref().map(|axis| -> Vec<u32> {
            (0..axis.count).map(|output| first_inside(axis, output).unwrap_or(0) as u32).collect()
        });
        let (height, width) = (windows.axes[1].size as u32, windows.axes[2].size as u32);
        let lines = first_z.iter().flat_map(|z| first_y.iter().map(move |y| (z * height + y) * width));
        let first: Vec<u32> = lines.flat_map(|line| first_x.iter().map(move |x| line + x)).collect();
        let is_squares = windows.is_squares();
        let steps = out_plane * windows.taps();
        let per_task = (PLANE_STEPS / steps.max(1)).max(1);
        let tasks = out.data_mut().par_chunks_mut(out_plane * per_task);
        let tasks =
            tasks.zip(positions.par_chunks_mut(out_plane * per_task)).zip(x.data().par_chunks(in_plane * per_task));
        tasks.for_each(|((out, positions), x)| {
            let planes = out.chunks_exact_mut(out_plane).zip(positions.chunks_exact_mut(out_plane));
            for ((out, positions), x) in planes.zip(x.chunks_exact(in_plane)) {
                positions.copy_from_slice(&first);
                Plane { windows: &windows, is_squares, x, out, positions }.dispatch();
            }
        });
    }
    let winners =
        Winners { input_shape: x.shape().to_vec(), output_shape: out.shape().to_vec(), positions: Arc::new(positions) };
    Ok((out, winners))
}

/// The comparisons that one task takes on, at least.
const PLANE_STEPS: usize = 1 << 16;

/// Pools one plane, for the machine's vectors.
struct Plane<'a> {
    windows: &'a Windows,
    /// Whether [`Windows::is_squares`].
    is_squares: bool,
    x: &'a [f32],
    out: &'a mut [f32],
    positions: &'a mut [u32],
}

impl SimdOp for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        let Self { windows, is_squares, x, out, positions } = self;
        let horizontal = &windows.axes[2];
        let (width, step) = (horizontal.count, horizontal.step as usize);
        if is_squares {
            let lines = out.chunks_exact_mut(width).zip(positions.chunks_exact_mut(width));
            for ((out, positions), x) in lines.zip(x.chunks_exact(2 * horizontal.size)) {
                largest_of_squares(x, horizontal.size, out, positions);
            }
            return;
        }
        let mut spread = vec![0.0; width];
        windows.for_lines(
            #[inline(always)]
            |line, from, inside, tap| {
                let Some(at) = horizontal.position(inside.start, tap) else { return };
                let best = &mut out[line * width..][inside.clone()];
                let won = &mut positions[line * width..][inside];
                let line = &x[from + at..from + horizontal.size];
                let values = if step == 1 {
                    &line[..best.len()]
                } else {
                    let spread = &mut spread[..best.len()];
                    spread.iter_mut().zip(line.iter().step_by(step)).for_each(|(to, from)| *to = *from);
                    spread
                };
                take_larger(best, won, values, (from + at) as u32, step as u32);
            },
        );
    }
}

/// The largest of each square of 2×2 that two lines of an image, `x`, fall into. `positions` hold that of the first of each.
#[inline(always)]
fn largest_of_squares(x: &[f32], width: usize, out: &mut [f32], positions: &mut [u32]) {
    let (upper, lower) = x.split_at(width);
    let squares = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
    for ((out, position), (upper, lower)) in out.iter_mut().zip(positions).zip(squares) {
        let (below, first) = (width as u32, *position);
        let others = [(upper[1], 1), (lower[0], below), (lower[1], below + 1)];
        (*out, *position) = others.into_iter().fold((upper[0], first), |(best, won), (value, at)| {
            let wins = is_larger(value, best);
            (if wins { value } else { best }, if wins { first + at } else { won })
        });
    }
}

/// Whether a value that comes later wins.
#[inline(always)]
fn is_larger(value: f32, best: f32) -> bool {
    (value > best) | (value.is_nan() & !best.is_nan())
}

/// Lets each value that is larger win, and the first NaN. As the taps come in the windows' row-major order, the first
/// one wins on ties. Value `i` stands at `first + i · step`.
#[inline(always)]
fn take_larger(best: &mut [f32], won: &mut [u32], values: &[f32], first: u32, step: u32) {
    for (index, ((best, won), &value)) in best.iter_mut().zip(won).zip(values).enumerate() {
        let wins = is_larger(value, *best);
        *best = if wins { value } else { *best };
        *won = if wins { first.wrapping_add(step.wrapping_mul(index as u32)) } else { *won };
    }
}

/// See [`Backend::max_pool_input_gradient`](crate::Backend::max_pool_input_gradient).
pub(in crate::backend::cpu) fn max_pool_input_gradient(
    r: &Tensor,
    rows: &Rows,
    winners: &Winners,
) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "max_pool_input_gradient";
    let (output_shape, input_shape) = (&winners.output_shape, &winners.input_shape);
    let expected: Vec<usize> = r.shape().iter().take(1).chain(output_shape.iter().skip(1)).copied().collect();
    if r.shape() != expected || r.rank() < 2 {
        return Err(ComputeError::shapes(OPERATION, &expected, r.shape()));
    }
    if input_shape.len() != output_shape.len() || input_shape[..2] != output_shape[..2] {
        return Err(ComputeError::shapes(OPERATION, output_shape, input_shape));
    }
    check::rows(OPERATION, rows, r.batch(), output_shape[0])?;
    check::elements(OPERATION, input_shape)?;
    check::elements(OPERATION, output_shape)?;
    let (channels, in_plane) = (input_shape[1], input_shape[2..].iter().product::<usize>());
    let out_plane = output_shape[2..].iter().product::<usize>();
    if winners.positions.len() != output_shape.iter().product::<usize>()
        || winners.positions.iter().any(|&position| position as usize >= in_plane)
    {
        return Err(check::attribute(OPERATION, "winners", "do not belong to their shapes".to_owned()));
    }
    let shape: Vec<usize> = r.shape().iter().take(1).chain(input_shape.iter().skip(1)).copied().collect();
    let mut out = Tensor::zeros(shape)?;
    if r.is_empty() {
        return Ok(out);
    }
    let (relevance, positions) = (r.data(), &winners.positions[..]);
    parallel::for_blocks(out.data_mut(), in_plane, in_plane + out_plane, |plane, out| {
        let (row, channel) = (plane / channels, plane % channels);
        let winner = rows.samples()[row] * channels + channel;
        let from = &relevance[plane * out_plane..(plane + 1) * out_plane];
        for (value, &position) in from.iter().zip(&positions[winner * out_plane..(winner + 1) * out_plane]) {
            out[position as usize] += value;
        }
    });
    Ok(out)
}
