//! Readers of ops that make axes anew: `Gather` with constant indices, `Expand`, `Tile`, and, in a file of its own, `Resize`.

mod resize;

use glocal_compute::Resampling;

use crate::error::ModelError;
use crate::model::NodeId;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::{ConstantData, Size, Value};
use crate::op::layout::Reshape;
use crate::op::resample::{Purpose, Resample};

pub(super) use resize::resize;

/// The longest axis that is made anew: far beyond any map, and small enough that a table of it is harmless.
const LONGEST_AXIS: usize = 1 << 17;

/// What a table takes for each new element: its start, and elements of the old axis with their weights.
const TABLE_BYTES: usize = 128;

pub(super) fn gather(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    if let Some(Value::Samples(x)) = reader.operand(0) {
        return gather_samples(reader, *x);
    }
    let x = reader.activation(0)?;
    let shape = reader.shape(x).to_vec();
    let axis = reader.sample_axis(reader.int("axis")?.unwrap_or(0), shape.len() + 1)?;
    let indices = reader.integers(1, "indices")?.ok_or_else(|| wrong("indices", "given"))?;
    let index_shape = match reader.constant(1, "indices")?.map(|constant| &constant.data) {
        Some(ConstantData::Integer { shape, .. }) => shape.clone(),
        _ => return Err(wrong("indices", "integers")),
    };
    let size = shape[axis - 1];
    let from_start = |&index: &i64| {
        let index = if index < 0 { index.checked_add(size as i64)? } else { index };
        usize::try_from(index).ok().filter(|&index| index < size)
    };
    let elements: Option<Vec<usize>> = indices.iter().map(from_start).collect();
    let elements = elements.ok_or_else(|| wrong("indices", "elements of the axis"))?;
    reader.take_room(elements.len().saturating_mul(TABLE_BYTES))?;
    let resampling = Resampling::choose(size, elements)?;
    let op = Resample { purpose: Purpose::Gather, axes: vec![(axis, resampling)] };
    if index_shape.len() == 1 {
        return reader.output(op, vec![x]);
    }
    // The indices' axes stand in for the one that they choose from: none for a single index.
    let shape = [&shape[..axis - 1], index_shape.as_slice(), &shape[axis..]].concat();
    let chosen = reader.add(op, vec![x])?;
    reader.output(Reshape { shape }, vec![chosen])
}

/// Elements of all samples in one list, by indices that give each sample its own: PyTorch's strided views.
fn gather_samples(reader: &mut NodeReader<'_>, x: NodeId) -> Result<Vec<Value>, ModelError> {
    let mixes = || unsupported("an indexing that mixes samples");
    let count: usize = reader.shape(x).iter().product();
    let indices = reader.constant(1, "indices")?.ok_or_else(|| wrong("indices", "given"))?;
    let own = |size: &Size| match *size {
        Size::Sample { stride, offset } if stride == count as i64 => {
            usize::try_from(offset).ok().filter(|&offset| offset < count)
        }
        _ => None,
    };
    let elements: Option<Vec<usize>> = indices.sizes().and_then(|sizes| sizes.iter().map(own).collect());
    let ([1, sample @ ..], Some(elements), 0) = (indices.shape(), elements, reader.int("axis")?.unwrap_or(0)) else {
        return Err(mixes());
    };
    let sample = sample.to_vec();
    let mut list = reader.add(Reshape { shape: vec![count] }, vec![x])?;
    if !elements.iter().copied().eq(0..count) {
        reader.take_room(elements.len().saturating_mul(TABLE_BYTES))?;
        let axes = vec![(1, Resampling::choose(count, elements)?)];
        list = reader.add(Resample { purpose: Purpose::Gather, axes }, vec![list])?;
    }
    reader.output(Reshape { shape: sample }, vec![list])
}

pub(super) fn expand(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let target = reader.constant(1, "shape")?.ok_or_else(|| wrong("shape", "a constant"))?;
    let target = target.sizes().ok_or_else(|| wrong("shape", "integers"))?.to_vec();
    let repeats = per_axis(reader, x, &target, |size, target| match (size, target) {
        (_, 1) => Some(1),
        (1, repeats) => Some(repeats),
        (size, target) => (size == target).then_some(1),
    })?;
    Ok(vec![Value::Node(repeated(reader, x, &repeats)?)])
}

pub(super) fn tile(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let repeats = reader.integers(1, "repeats")?.ok_or_else(|| wrong("repeats", "given"))?;
    if repeats.len() != reader.shape(x).len() + 1 {
        return Err(wrong("repeats", "one number for each axis"));
    }
    if repeats[0] != 1 {
        return Err(unsupported("a repetition of the batch"));
    }
    let repeats: Vec<Size> = repeats.into_iter().map(Size::Fixed).collect();
    let repeats = per_axis(reader, x, &repeats, |_, repeats| Some(repeats))?;
    Ok(vec![Value::Node(repeated(reader, x, &repeats)?)])
}

/// How often each axis of a sample is repeated, by `repeats` of its size and the number that `target`, aligned at its
/// end, has for it. The batch stays.
fn per_axis(
    reader: &NodeReader<'_>,
    x: NodeId,
    target: &[Size],
    repeats: impl Fn(usize, usize) -> Option<usize>,
) -> Result<Vec<usize>, ModelError> {
    let shape = reader.shape(x);
    let Some(missing) = (shape.len() + 1).checked_sub(target.len()) else {
        return Err(unsupported("an expansion to more axes, which moves the batch,"));
    };
    let mut all = vec![1; shape.len()];
    for (index, size) in target.iter().enumerate() {
        let axis = missing + index;
        match (axis, size) {
            // Sizes broadcast, and what is repeated once stays.
            (0, Size::Fixed(1)) => {}
            (0, size) if reader.is_batch(*size) => {}
            (0, _) => return Err(unsupported("a repetition of the batch")),
            (_, Size::Batch(_) | Size::Sample { .. }) => return Err(unsupported("a size that depends on the batch")),
            (_, Size::Fixed(target)) => {
                let target = usize::try_from(*target).ok().filter(|&target| target > 0);
                let repeats = target.and_then(|target| repeats(shape[axis - 1], target));
                all[axis - 1] = repeats.ok_or_else(|| wrong("shape", "sizes that the input's broadcast to"))?;
            }
        }
    }
    Ok(all)
}

/// The whole of each axis, so many times.
pub(super) fn repeated(reader: &mut NodeReader<'_>, x: NodeId, repeats: &[usize]) -> Result<NodeId, ModelError> {
    let mut axes = Vec::new();
    for (index, (&size, &repeats)) in reader.shape(x).iter().zip(repeats).enumerate().filter(|(_, (_, r))| **r != 1) {
        let to = size.checked_mul(repeats).filter(|&to| to <= LONGEST_AXIS);
        let to = to.ok_or_else(|| too_long(size.saturating_mul(repeats)))?;
        reader.take_room(to * TABLE_BYTES)?;
        axes.push((index + 1, Resampling::choose(size, (0..to).map(|element| element % size))?));
    }
    reader.add(Resample { purpose: Purpose::Expand, axes }, vec![x])
}

fn too_long(size: usize) -> ModelError {
    unsupported(format!("an axis of {size} elements, more than {LONGEST_AXIS},"))
}
