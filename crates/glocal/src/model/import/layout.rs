//! Readers of ops that move elements: `Concat`, `Split`, `Slice`, `Pad`, reshapes and `Transpose`.

use glocal_compute::SliceRange;
use glocal_compute::backend::PadMode;

use crate::error::ModelError;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::{Size, Value};
use crate::op::layout::{Concat, Pad, Reshape, Slice, Transpose};

pub(super) fn concat(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let inputs = (0..reader.operands().len()).map(|index| reader.activation(index)).collect::<Result<Vec<_>, _>>()?;
    let rank = inputs.first().map_or(0, |first| reader.shape(*first).len() + 1);
    let axis = reader.int("axis")?.ok_or_else(|| wrong("axis", "given"))?;
    let axis = reader.sample_axis(axis, rank)?;
    reader.output(Concat { axis }, inputs)
}

pub(super) fn split(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let shape = reader.shape(x).to_vec();
    let axis = reader.sample_axis(reader.int("axis")?.unwrap_or(0), shape.len() + 1)? - 1;
    let parts = reader.output_count();
    let _ = reader.int("num_outputs")?;
    let sizes: Vec<usize> = match (reader.integers(1, "split")?, reader.sizes("split")?) {
        (Some(sizes), _) => sizes
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("split", "a list of sizes"))?,
        (None, Some(sizes)) => sizes,
        // Equal parts, the last one smaller where they do not fit.
        (None, None) => {
            let part = shape[axis].div_ceil(parts.max(1));
            (0..parts).map(|index| part.min(shape[axis].saturating_sub(index * part))).collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |total, &size| total.checked_add(size));
    if sizes.len() != parts || total != Some(shape[axis]) {
        return Err(wrong("split", "sizes that add up to the axis, one for each output"));
    }
    let mut start = 0;
    let mut outputs = Vec::with_capacity(parts);
    for count in sizes {
        let mut ranges = whole(&shape);
        ranges[axis] = SliceRange { start, step: 1, count };
        start += count;
        outputs.push(Value::Node(reader.add(Slice { ranges }, vec![x])?));
    }
    Ok(outputs)
}

/// The operands of a `Slice`, all of the same length.
pub(super) struct Bounds {
    pub(super) starts: Vec<i64>,
    pub(super) ends: Vec<i64>,
    pub(super) axes: Vec<i64>,
    pub(super) steps: Vec<i64>,
}

impl Bounds {
    pub(super) fn read(reader: &NodeReader<'_>) -> Result<Self, ModelError> {
        let starts = reader.list(1, "starts")?.ok_or_else(|| wrong("starts", "given"))?;
        let ends = reader.list(2, "ends")?.ok_or_else(|| wrong("ends", "given"))?;
        let axes = reader.list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = reader.integers(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err(wrong("starts, ends, axes and steps", "of the same length"));
        }
        Ok(Self { starts, ends, axes, steps })
    }
}

pub(super) fn slice(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let shape = reader.shape(x).to_vec();
    let Bounds { starts, ends, axes, steps } = Bounds::read(reader)?;
    let mut ranges = whole(&shape);
    for index in 0..starts.len() {
        let all_of_batch =
            axes[index] == 0 && starts[index] == 0 && steps[index] == 1 && ends[index] >= i64::from(i32::MAX);
        if all_of_batch {
            continue;
        }
        let axis = reader.sample_axis(axes[index], shape.len() + 1)? - 1;
        ranges[axis] =
            range(starts[index], ends[index], steps[index], shape[axis]).ok_or_else(|| wrong("steps", "not 0"))?;
    }
    reader.output(Slice { ranges }, vec![x])
}

/// The elements from `start` to `end` (exclusive, both from the back where negative) of an axis, as ONNX clamps them.
pub(super) fn range(start: i64, end: i64, step: i64, size: usize) -> Option<SliceRange> {
    let size = size as i64;
    let from_back = |index: i64| if index < 0 { index.saturating_add(size) } else { index };
    let (start, end) = (from_back(start), from_back(end));
    let (start, end) = match step {
        0 => return None,
        1.. => (start.clamp(0, size), end.clamp(0, size)),
        // An axis without elements has no last one.
        _ => (start.clamp(size.min(1) - 1, size - 1), end.clamp(-1, size - 1)),
    };
    let way = if step > 0 { end - start } else { start - end };
    let count = if way > 0 { (way as u64).div_ceil(step.unsigned_abs()) } else { 0 };
    Some(SliceRange { start: start.max(0) as usize, step: step as isize, count: count as usize })
}

pub(super) fn pad(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let rank = reader.shape(x).len() + 1;
    let pads = reader.list(1, "pads")?.ok_or_else(|| wrong("pads", "given"))?;
    let value = match reader.floats(2, "constant_value")? {
        Some(value) if value.len() == 1 => value.data()[0],
        Some(_) => return Err(wrong("constant_value", "one number")),
        None => reader.float("value", 0.0)?,
    };
    let axes = reader.integers(3, "axes")?.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(wrong("pads", "two numbers for each axis"));
    }
    let mode = match reader.string("mode")?.unwrap_or("constant") {
        "constant" => PadMode::Constant(value),
        "edge" => PadMode::Edge,
        "reflect" => PadMode::Reflect,
        mode => return Err(unsupported(format!("pad mode {mode:?}"))),
    };
    let mut by_axis = vec![(0, 0); rank - 1];
    for (index, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[index], pads[axes.len() + index]);
        if before == 0 && after == 0 {
            continue;
        }
        let small = |value: i64| i32::try_from(value).map(|value| value as isize).map_err(|_| wrong("pads", "small"));
        by_axis[reader.sample_axis(axis, rank)? - 1] = (small(before)?, small(after)?);
    }
    reader.output(Pad { pads: by_axis, mode }, vec![x])
}

pub(super) fn reshape(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let shape = reader.shape(x).to_vec();
    let rank = shape.len() + 1;
    let shape = match reader.op_type() {
        "Reshape" => {
            let zero_is_zero = reader.flag("allowzero", false)?;
            let target = match reader.constant(1, "shape")? {
                Some(constant) => constant.sizes().ok_or_else(|| wrong("shape", "integers"))?.to_vec(),
                None => return Err(wrong("shape", "a constant")),
            };
            if target == [Size::Fixed(-1)] && !shape.is_empty() {
                return Ok(vec![Value::Samples(x)]);
            }
            reshaped(reader, &shape, &target, zero_is_zero)?
        }
        "Flatten" => match reader.int("axis")?.unwrap_or(1) {
            1 => vec![shape.iter().product()],
            axis if axis == 1 - rank as i64 => vec![shape.iter().product()],
            _ => return Err(unsupported("a flatten that mixes samples or keeps several axes")),
        },
        op_type => {
            let axes = reader.list(1, "axes")?;
            if op_type == "Squeeze" { squeezed(reader, &shape, axes)? } else { unsqueezed(reader, &shape, axes)? }
        }
    };
    reader.output(Reshape { shape }, vec![x])
}

/// The shape of one sample after a reshape to `target`, batch included.
fn reshaped(
    reader: &NodeReader<'_>,
    shape: &[usize],
    target: &[Size],
    zero_is_zero: bool,
) -> Result<Vec<usize>, ModelError> {
    let mixes = || unsupported("a reshape that mixes samples");
    let count: usize = shape.iter().product();
    let [batch, rest @ ..] = target else { return Err(mixes()) };
    let mut sample = Vec::with_capacity(rest.len());
    let mut open = None;
    for (index, size) in rest.iter().enumerate() {
        sample.push(match *size {
            Size::Fixed(-1) if open.is_none() => {
                open = Some(index);
                1
            }
            // 0 copies the input's axis; axis 0 of `shape` is the input's axis 1.
            Size::Fixed(0) if !zero_is_zero => {
                *shape.get(index).ok_or_else(|| wrong("shape", "within the input's rank"))?
            }
            Size::Fixed(size) => usize::try_from(size).map_err(|_| wrong("shape", "a list of sizes"))?,
            Size::Batch(_) | Size::Sample { .. } => return Err(mixes()),
        });
    }
    let known = sample.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).ok_or_else(mixes)?;
    if let Some(index) = open {
        sample[index] = count.checked_div(known).unwrap_or(0);
    }
    let batch_stays = match *batch {
        Size::Fixed(0) => !zero_is_zero,
        // Left open while the sample is complete.
        Size::Fixed(-1) => open.is_none(),
        size => reader.is_batch(size),
    };
    let fits = sample.iter().try_fold(1usize, |count, &size| count.checked_mul(size)) == Some(count);
    if batch_stays && fits { Ok(sample) } else { Err(mixes()) }
}

fn squeezed(reader: &NodeReader<'_>, shape: &[usize], axes: Option<Vec<i64>>) -> Result<Vec<usize>, ModelError> {
    let Some(axes) = axes else { return Err(unsupported("a squeeze of unnamed axes, the batch among them,")) };
    let axes = axes.iter().map(|&axis| reader.sample_axis(axis, shape.len() + 1)).collect::<Result<Vec<_>, _>>()?;
    if axes.iter().any(|&axis| shape[axis - 1] != 1) {
        return Err(wrong("axes", "axes of size 1"));
    }
    Ok((1..=shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis - 1]).collect())
}

fn unsqueezed(reader: &NodeReader<'_>, shape: &[usize], axes: Option<Vec<i64>>) -> Result<Vec<usize>, ModelError> {
    let axes = axes.ok_or_else(|| wrong("axes", "given"))?;
    let rank = shape.len() + 1 + axes.len();
    let mut axes = axes.iter().map(|&axis| reader.sample_axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let mut result = shape.to_vec();
    for axis in axes {
        if axis > result.len() + 1 {
            return Err(wrong("axes", "axes of the output"));
        }
        result.insert(axis - 1, 1);
    }
    Ok(result)
}

pub(super) fn transpose(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let rank = reader.shape(x).len() + 1;
    let permutation = reader.sizes("perm")?.unwrap_or_else(|| (0..rank).rev().collect());
    if permutation.first() != Some(&0) {
        return Err(unsupported("a transpose that moves the batch"));
    }
    reader.output(Transpose { permutation }, vec![x])
}

fn whole(shape: &[usize]) -> Vec<SliceRange> {
    shape.iter().map(|&count| SliceRange { start: 0, step: 1, count }).collect()
}
