//! Slices and pads: for each axis of the result, which element of the input it shows.

use crate::backend::PadMode;
use crate::{ComputeError, SliceRange, Tensor};

use super::{check, parallel};

/// See [`Backend::slice`](crate::Backend::slice).
pub(super) fn slice(x: &Tensor, ranges: &[SliceRange]) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "slice";
    let selection = Selection::of_ranges(OPERATION, ranges, rank_checked(OPERATION, x)?)?;
    selection.gather(x, 0.0)
}

/// See [`Backend::slice_input_gradient`](crate::Backend::slice_input_gradient).
pub(super) fn slice_input_gradient(
    r: &Tensor,
    ranges: &[SliceRange],
    sample_shape: &[usize],
) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "slice_input_gradient";
    Selection::of_ranges(OPERATION, ranges, sample_shape)?.scatter(OPERATION, r)
}

/// See [`Backend::pad`](crate::Backend::pad).
pub(super) fn pad(x: &Tensor, pads: &[(isize, isize)], mode: PadMode) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "pad";
    let fill = if let PadMode::Constant(fill) = mode { fill } else { 0.0 };
    Selection::of_pads(OPERATION, pads, mode, x.batch(), rank_checked(OPERATION, x)?)?.gather(x, fill)
}

/// See [`Backend::pad_input_gradient`](crate::Backend::pad_input_gradient).
pub(super) fn pad_input_gradient(
    r: &Tensor,
    pads: &[(isize, isize)],
    mode: PadMode,
    sample_shape: &[usize],
) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "pad_input_gradient";
    Selection::of_pads(OPERATION, pads, mode, r.batch(), sample_shape)?.scatter(OPERATION, r)
}

/// The sample shape of a tensor that has a batch.
fn rank_checked<'a>(operation: &'static str, x: &'a Tensor) -> Result<&'a [usize], ComputeError> {
    if x.rank() == 0 { Err(ComputeError::shapes(operation, &[1], &[])) } else { Ok(x.sample_shape()) }
}

/// For each axis of a sample, the input element that each element of the result shows; `None` shows the fill.
struct Selection {
    input: Vec<usize>,
    axes: Vec<Vec<Option<usize>>>,
}

impl Selection {
    fn of_ranges(operation: &'static str, ranges: &[SliceRange], sample_shape: &[usize]) -> Result<Self, ComputeError> {
        same_rank(operation, "ranges", ranges.len(), sample_shape)?;
        let axes = ranges.iter().zip(sample_shape).map(|(range, &size)| {
            let error = || {
                let reason = format!("{range:?} is not inside an axis of {size} elements");
                check::attribute(operation, "ranges", reason)
            };
            if range.step == 0 {
                return Err(error());
            }
            let last = (range.count as i128 - 1) * range.step as i128 + range.start as i128;
            if range.count > 0 && (range.start >= size || last < 0 || last >= size as i128) {
                return Err(error());
            }
            Ok((0..range.count).map(|index| range.start.checked_add_signed(index as isize * range.step)).collect())
        });
        Ok(Self { axes: axes.collect::<Result<_, _>>()?, input: sample_shape.to_vec() })
    }

    fn of_pads(
        operation: &'static str,
        pads: &[(isize, isize)],
        mode: PadMode,
        batch: usize,
        sample_shape: &[usize],
    ) -> Result<Self, ComputeError> {
        same_rank(operation, "pads", pads.len(), sample_shape)?;
        let mut sizes = vec![batch];
        for (&(before, after), &size) in pads.iter().zip(sample_shape) {
            let reason = || format!("({before}, {after}) for an axis of {size} elements");
            let (before, after) = (before as i128, after as i128);
            let padded = size as i128 + before + after;
            let kept = size as i128 + before.min(0) + after.min(0);
            let reach = before.max(after).max(0);
            let fits = match mode {
                PadMode::Constant(_) => kept >= 0,
                PadMode::Edge => kept > 0 || (kept == 0 && reach == 0),
                PadMode::Reflect => kept > reach || (kept == 0 && reach == 0),
            };
            let padded = usize::try_from(padded).ok().filter(|_| fits);
            sizes.push(padded.ok_or_else(|| check::attribute(operation, "pads", reason()))?);
        }
        check::elements(operation, &sizes)?;
        let axes = pads.iter().zip(sample_shape).zip(&sizes[1..]).map(|((&(before, after), &size), &padded)| {
            // What is not cropped is `low..=high`.
            let (low, high) = ((-before).max(0), size as isize - 1 - (-after).max(0));
            let shown = |index: usize| {
                let position = index as isize - before;
                let position = match mode {
                    PadMode::Constant(_) if position < low || position > high => return None,
                    PadMode::Edge => position.max(low).min(high),
                    PadMode::Reflect if position < low => 2 * low - position,
                    PadMode::Reflect if position > high => 2 * high - position,
                    _ => position,
                };
                usize::try_from(position).ok()
            };
            (0..padded).map(shown).collect()
        });
        Ok(Self { axes: axes.collect(), input: sample_shape.to_vec() })
    }

    /// `[N, shown...]`
    fn output_shape(&self, batch: usize) -> Vec<usize> {
        [batch].into_iter().chain(self.axes.iter().map(Vec::len)).collect()
    }

    fn gather(&self, x: &Tensor, fill: f32) -> Result<Tensor, ComputeError> {
        let mut out = Tensor::full(self.output_shape(x.batch()), fill)?;
        let (from_len, to_len) = (x.row_len(), out.row_len());
        let data = x.data();
        parallel::for_blocks(out.data_mut(), to_len, to_len, |row, out| {
            let from = &data[row * from_len..(row + 1) * from_len];
            self.for_lines(|input, output, last| match last {
                Line::Run { to, from: start, len } => {
                    out[output + to..][..len].copy_from_slice(&from[input + start..][..len]);
                }
                Line::Scattered(positions) => {
                    for (to, position) in out[output..].iter_mut().zip(positions) {
                        if let Some(position) = position {
                            *to = from[input + position];
                        }
                    }
                }
            });
        });
        Ok(out)
    }

    fn scatter(&self, operation: &'static str, r: &Tensor) -> Result<Tensor, ComputeError> {
        let expected = self.output_shape(r.batch());
        if r.rank() == 0 || r.shape() != expected {
            return Err(ComputeError::shapes(operation, &expected, r.shape()));
        }
        let shape: Vec<usize> = [r.batch()].into_iter().chain(self.input.iter().copied()).collect();
        let mut out = Tensor::zeros(shape)?;
        let (from_len, to_len) = (r.row_len(), out.row_len());
        let data = r.data();
        parallel::for_blocks(out.data_mut(), to_len, from_len + to_len, |row, out| {
            let from = &data[row * from_len..(row + 1) * from_len];
            self.for_lines(|input, output, last| match last {
                Line::Run { to, from: start, len } => {
                    let from = &from[output + to..][..len];
                    out[input + start..].iter_mut().zip(from).for_each(|(to, from)| *to += from);
                }
                Line::Scattered(positions) => {
                    for (value, position) in from[output..].iter().zip(positions) {
                        if let Some(position) = position {
                            out[input + position] += value;
                        }
                    }
                }
            });
        });
        Ok(out)
    }

    /// Calls `visit` for each line of a sample's result that shows a line of the input: where that starts, where the
    /// result's starts, and how they meet.
    fn for_lines(&self, mut visit: impl FnMut(usize, usize, Line<'_>)) {
        let Some((last, outer)) = self.axes.split_last() else {
            return visit(0, 0, Line::Run { to: 0, from: 0, len: 1 });
        };
        let line = Line::new(last);
        let width = self.input.last().copied().unwrap_or(1);
        let lines: usize = outer.iter().map(Vec::len).product();
        'lines: for index in 0..lines {
            let (mut rest, mut input, mut stride) = (index, 0, width);
            for (axis, &size) in outer.iter().zip(&self.input).rev() {
                let Some(position) = axis[rest % axis.len()] else { continue 'lines };
                input += position * stride;
                stride *= size;
                rest /= axis.len();
            }
            visit(input, index * last.len(), line);
        }
    }
}

/// How the last axis of the result shows that of the input.
#[derive(Clone, Copy)]
enum Line<'a> {
    /// `len` elements from `to` on are the input's from `from` on; the others show the fill.
    Run { to: usize, from: usize, len: usize },
    /// Element by element.
    Scattered(&'a [Option<usize>]),
}

impl<'a> Line<'a> {
    fn new(positions: &'a [Option<usize>]) -> Self {
        let shown = |position: &Option<usize>| position.is_some();
        let (Some(first), Some(last)) = (positions.iter().position(shown), positions.iter().rposition(shown)) else {
            return Self::Run { to: 0, from: 0, len: 0 };
        };
        let from = positions[first].unwrap_or(0);
        let run = &positions[first..=last];
        if run.iter().enumerate().all(|(index, &position)| position == Some(from + index)) {
            Self::Run { to: first, from, len: run.len() }
        } else {
            Self::Scattered(positions)
        }
    }
}

fn same_rank(
    operation: &'static str,
    name: &'static str,
    given: usize,
    sample_shape: &[usize],
) -> Result<(), ComputeError> {
    if given == sample_shape.len() {
        return Ok(());
    }
    let reason = format!("{given} given for the {} axes of a sample {sample_shape:?}", sample_shape.len());
    Err(check::attribute(operation, name, reason))
}
