//! Axes made anew: gathering, repeating, interpolating.

use crate::{ComputeError, Resampling, Tensor};

use super::{check, parallel};

/// See [`Backend::resample`](crate::Backend::resample).
pub(super) fn resample(x: &Tensor, axis: usize, resampling: &Resampling) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "resample";
    check::axis(OPERATION, x, axis)?;
    let (from, to) = (resampling.from(), resampling.to());
    if x.shape()[axis] != from {
        let mut expected = x.shape().to_vec();
        expected[axis] = from;
        return Err(ComputeError::shapes(OPERATION, &expected, x.shape()));
    }
    let mut shape = x.shape().to_vec();
    shape[axis] = to;
    check::elements(OPERATION, &shape)?;
    let inner: usize = shape[axis + 1..].iter().product();
    let mut out = Tensor::zeros(shape)?;
    let data = x.data();
    parallel::for_blocks(out.data_mut(), to * inner, 2 * to * inner, |block, out| {
        let x = &data[block * from * inner..(block + 1) * from * inner];
        if inner == 1 {
            for (index, out) in out.iter_mut().enumerate() {
                *out = match resampling.taps(index) {
                    // As it is, even where it is infinite.
                    [(element, 1.0)] => x[*element],
                    taps => taps.iter().map(|&(element, weight)| weight * x[element]).sum(),
                };
            }
            return;
        }
        for (index, out) in out.chunks_mut(inner).enumerate() {
            let line = |element: usize| &x[element * inner..(element + 1) * inner];
            match resampling.taps(index) {
                [(element, 1.0)] => out.copy_from_slice(line(*element)),
                taps => {
                    for &(element, weight) in taps {
                        out.iter_mut().zip(line(element)).for_each(|(out, &x)| *out += weight * x);
                    }
                }
            }
        }
    });
    Ok(out)
}
