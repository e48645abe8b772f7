//! The average pool and its input gradient.

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::parallel;
use crate::{ComputeError, PoolGeometry, Tensor};

use super::{Windows, shape, split};

/// See [`Backend::average_pool`](crate::Backend::average_pool).
pub(in crate::backend::cpu) fn average_pool(
    x: &Tensor,
    geometry: &PoolGeometry,
    count_include_pad: bool,
) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "average_pool";
    let (batch, channels, input_spatial) = split(OPERATION, x)?;
    let windows = Windows::new(OPERATION, geometry, input_spatial)?;
    let mut out = Tensor::zeros(shape(batch, channels, &windows.output_spatial))?;
    if out.is_empty() {
        return Ok(out);
    }
    let divisors = divisors(&windows, count_include_pad);
    let (in_plane, out_plane) = windows.planes();
    let horizontal = &windows.axes[2];
    let (width, step) = (horizontal.count, horizontal.step as usize);
    let x = x.data();
    parallel::for_blocks(out.data_mut(), out_plane, out_plane * windows.taps(), |plane, out| {
        let x = &x[plane * in_plane..(plane + 1) * in_plane];
        windows.for_lines(|line, from, inside, tap| {
            let Some(at) = horizontal.position(inside.start, tap) else { return };
            let values = x[from + at..from + horizontal.size].iter().step_by(step);
            let sums = out[line * width..][inside].iter_mut();
            sums.zip(values).for_each(|(sum, value)| *sum += value);
        });
        out.iter_mut().zip(&divisors).for_each(|(sum, divisor)| *sum /= divisor);
    });
    Ok(out)
}

/// See [`Backend::average_pool_input_gradient`](crate::Backend::average_pool_input_gradient).
pub(in crate::backend::cpu) fn average_pool_input_gradient(
    r: &Tensor,
    geometry: &PoolGeometry,
    count_include_pad: bool,
    input_spatial: &[usize],
) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "average_pool_input_gradient";
    let (batch, channels, output_spatial) = split(OPERATION, r)?;
    let windows = Windows::new(OPERATION, geometry, input_spatial)?;
    if output_spatial != windows.output_spatial {
        return Err(ComputeError::shapes(OPERATION, &shape(batch, channels, &windows.output_spatial), r.shape()));
    }
    let mut out = Tensor::zeros(shape(batch, channels, input_spatial))?;
    if out.is_empty() {
        return Ok(out);
    }
    let divisors = divisors(&windows, count_include_pad);
    let (in_plane, out_plane) = windows.planes();
    let horizontal = &windows.axes[2];
    let (width, step) = (horizontal.count, horizontal.step as usize);
    let r = r.data();
    let steps = out_plane * windows.taps();
    let work = |shares: &mut Vec<f32>, plane: usize, out: &mut [f32]| {
        shares.clear();
        let r = &r[plane * out_plane..(plane + 1) * out_plane];
        shares.extend(r.iter().zip(&divisors).map(|(value, divisor)| value / divisor));
        windows.for_lines(|line, to, inside, tap| {
            let Some(at) = horizontal.position(inside.start, tap) else { return };
            let sums = out[to + at..to + horizontal.size].iter_mut().step_by(step);
            sums.zip(&shares[line * width..][inside]).for_each(|(sum, share)| *sum += share);
        });
        Ok(())
    };
    parallel::for_tasks(out.data_mut(), in_plane, steps, Vec::new, work)?;
    Ok(out)
}

/// By how much the sum of each window is divided.
fn divisors(windows: &Windows, count_include_pad: bool) -> Vec<f32> {
    let pads_end = windows.pads_end;
    let counts: [Vec<f32>; 3] = std::array::from_fn(|axis| {
        let Axis { size, start, step, count, taps } = &windows.axes[axis];
        let (low, high) = if count_include_pad { (*start, (size + pads_end[axis]) as i64) } else { (0, *size as i64) };
        let counted = |output| {
            let window = start + output as i64 * step;
            taps.iter().filter(|&tap| (low..high).contains(&(window + tap))).count() as f32
        };
        (0..*count).map(counted).collect()
    });
    let [deep, vertical, horizontal] = &counts;
    let lines = deep.iter().flat_map(|z| vertical.iter().map(move |y| z * y));
    lines.flat_map(|line| horizontal.iter().map(move |x| line * x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::axis::three_axes;

    #[test]
    fn the_divisor_counts_padding_but_no_overhang() {
        let geometry = PoolGeometry {
            kernel: vec![3],
            strides: vec![2],
            dilations: vec![1],
            pads_begin: vec![1],
            pads_end: vec![0],
            ceil_mode: true,
        };
        let windows = Windows::new("average_pool", &geometry, &[4]).unwrap();
        assert_eq!(three_axes(&windows.output_spatial, 1), [1, 1, 2]);
        assert_eq!(divisors(&windows, true), [3.0, 3.0]);
        assert_eq!(divisors(&windows, false), [2.0, 3.0]);
        let windows = Windows::new("average_pool", &geometry, &[5]).unwrap();
        assert_eq!(divisors(&windows, true), [3.0, 3.0, 2.0]);
    }
}
