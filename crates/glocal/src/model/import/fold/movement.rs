//! Constants whose elements are moved: chosen, joined, repeated, under another shape.

use crate::error::ModelError;
use crate::model::import::fold::check_growth;
use crate::model::import::layout::{Bounds, range};
use crate::model::import::reader::{NodeReader, wrong};
use crate::model::import::value::{Constant, ConstantData, Size};

/// The axis that `axis` means among `rank`.
pub(super) fn counted(axis: i64, rank: usize) -> Result<usize, ModelError> {
    let axis = if axis < 0 { axis.checked_add(rank as i64).unwrap_or(-1) } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank).ok_or_else(|| wrong("axis", "one of the operand's axes"))
}

/// The numbers of a list that do not depend on the batch.
fn fixed(sizes: &[Size]) -> Option<Vec<i64>> {
    let fixed = |size: &Size| match size {
        Size::Fixed(value) => Some(*value),
        Size::Batch(_) | Size::Sample { .. } => None,
    };
    sizes.iter().map(fixed).collect()
}

fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))
}

/// The positions in a constant of `shape` of the elements that `along` picks from `axis`, whose place a result of
/// `out_axis` elements takes.
fn picked<'a>(shape: &[usize], axis: usize, along: &'a [usize]) -> impl Iterator<Item = usize> + use<'a> {
    let inner: usize = shape[axis + 1..].iter().product();
    // The axes before may be enormous where nothing is picked.
    let outer: usize = if along.is_empty() || inner == 0 { 0 } else { shape[..axis].iter().product() };
    let size = shape[axis];
    let line = move |outer: usize| along.iter().map(move |&element| (outer * size + element) * inner);
    (0..outer).flat_map(line).flat_map(move |start| start..start + inner)
}

pub(super) fn gather(reader: &NodeReader<'_>, data: &Constant) -> Result<Option<Constant>, ModelError> {
    let axis = counted(reader.int("axis")?.unwrap_or(0), data.shape().len())?;
    let Some(indices) = reader.constant(1, "indices")?.cloned() else { return Ok(None) };
    let Some(given) = indices.sizes().and_then(fixed) else { return Ok(None) };
    let size = data.shape()[axis];
    let within = |&index: &i64| {
        let index = if index < 0 { index.checked_add(size as i64)? } else { index };
        usize::try_from(index).ok().filter(|&index| index < size)
    };
    let along: Option<Vec<usize>> = given.iter().map(within).collect();
    let along = along.ok_or_else(|| wrong("indices", "within the data"))?;
    let shape = [&data.shape()[..axis], indices.shape(), &data.shape()[axis + 1..]].concat();
    check_growth(elements(&shape), std::slice::from_ref(data))?;
    Ok(Some(data.select(shape, picked(data.shape(), axis, &along))?))
}

pub(super) fn slice(reader: &NodeReader<'_>, data: &Constant) -> Result<Option<Constant>, ModelError> {
    let Bounds { starts, ends, axes, steps } = Bounds::read(reader)?;
    let mut sliced = data.clone();
    for index in 0..starts.len() {
        let axis = counted(axes[index], data.shape().len())?;
        let size = sliced.shape()[axis];
        let range = range(starts[index], ends[index], steps[index], size).ok_or_else(|| wrong("steps", "not 0"))?;
        let along: Vec<usize> =
            (0..range.count).map(|i| range.start.wrapping_add_signed(range.step * i as isize)).collect();
        let mut shape = sliced.shape().to_vec();
        let positions = picked(&shape, axis, &along);
        shape[axis] = along.len();
        sliced = sliced.select(shape, positions)?;
    }
    Ok(Some(sliced))
}

pub(super) fn concat(reader: &NodeReader<'_>, operands: &[Constant]) -> Result<Constant, ModelError> {
    let fits = || wrong("operands", "constants of one type and of shapes that fit");
    let first = operands.first().ok_or_else(fits)?;
    let axis = counted(reader.int("axis")?.ok_or_else(|| wrong("axis", "given"))?, first.shape().len())?;
    check_growth(Some(0), operands)?;
    let mut shape = first.shape().to_vec();
    shape[axis] = 0;
    for operand in operands {
        let same = operand.shape().len() == shape.len()
            && (0..shape.len()).all(|other| other == axis || operand.shape()[other] == shape[other]);
        if !same {
            return Err(fits());
        }
        shape[axis] += operand.shape()[axis];
    }
    // Each node may double what the one before made: what is large is not joined with itself without end.
    check_growth(elements(&shape), std::slice::from_ref(first))?;
    let outer: usize = if elements(&shape) == Some(0) { 0 } else { shape[..axis].iter().product() };
    let block = |operand: &Constant| operand.shape()[axis..].iter().product::<usize>();
    let blocks = |index: usize| operands.iter().map(move |operand| (operand, index * block(operand), block(operand)));
    match &first.data {
        ConstantData::Float(_) => {
            let mut joined = Vec::new();
            for (operand, start, len) in (0..outer).flat_map(blocks) {
                let ConstantData::Float(tensor) = &operand.data else { return Err(fits()) };
                joined.extend_from_slice(&tensor.data()[start..start + len]);
            }
            Ok(Constant::float(glocal_compute::Tensor::new(shape, joined)?))
        }
        ConstantData::Integer { .. } => {
            let mut joined = Vec::new();
            for (operand, start, len) in (0..outer).flat_map(blocks) {
                let ConstantData::Integer { elements, .. } = &operand.data else { return Err(fits()) };
                joined.extend_from_slice(&elements[start..start + len]);
            }
            Ok(Constant::integers(shape, joined).that_are(first.integers))
        }
    }
}

/// `Reshape`, `Flatten`, `Squeeze` and `Unsqueeze`.
pub(super) fn reshape(reader: &NodeReader<'_>, data: &Constant) -> Result<Option<Constant>, ModelError> {
    let shape = data.shape();
    let axes = || reader.list(1, "axes");
    let target: Vec<usize> = match reader.op_type() {
        "Reshape" => {
            let zero_is_zero = reader.flag("allowzero", false)?;
            let Some(target) = reader.integers(1, "shape")? else { return Ok(None) };
            let mut sizes = Vec::with_capacity(target.len());
            for (index, &size) in target.iter().enumerate() {
                sizes.push(match size {
                    -1 => 1,
                    0 if !zero_is_zero => *shape.get(index).ok_or_else(|| wrong("shape", "within the rank"))?,
                    size => usize::try_from(size).map_err(|_| wrong("shape", "a list of sizes"))?,
                });
            }
            if let Some(open) = target.iter().position(|&size| size == -1) {
                let known = elements(&sizes).filter(|&known| known > 0);
                sizes[open] = known.map(|known| data.len() / known).ok_or_else(|| wrong("shape", "a list of sizes"))?;
            }
            sizes
        }
        "Flatten" => {
            let axis = reader.int("axis")?.unwrap_or(1);
            let axis = usize::try_from(axis).ok().filter(|&axis| axis <= shape.len());
            let (outer, inner) = shape.split_at(axis.ok_or_else(|| wrong("axis", "one of the axes"))?);
            vec![outer.iter().product(), inner.iter().product()]
        }
        "Squeeze" => {
            let squeezed = match axes()? {
                Some(axes) => axes.iter().map(|&axis| counted(axis, shape.len())).collect::<Result<Vec<_>, _>>()?,
                None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
            };
            (0..shape.len()).filter(|axis| !squeezed.contains(axis)).map(|axis| shape[axis]).collect()
        }
        _ => {
            let axes = axes()?.ok_or_else(|| wrong("axes", "given"))?;
            let rank = shape.len() + axes.len();
            let mut axes = axes.iter().map(|&axis| counted(axis, rank)).collect::<Result<Vec<_>, _>>()?;
            axes.sort_unstable();
            let mut result = shape.to_vec();
            for axis in axes {
                if axis > result.len() {
                    return Err(wrong("axes", "axes of the output"));
                }
                result.insert(axis, 1);
            }
            result
        }
    };
    if elements(&target) != Some(data.len()) {
        return Err(wrong("shape", "of as many elements as there are"));
    }
    Ok(Some(data.reshaped(target)?))
}

pub(super) fn transpose(reader: &NodeReader<'_>, data: &Constant) -> Result<Constant, ModelError> {
    let rank = data.shape().len();
    let permutation = reader.sizes("perm")?.unwrap_or_else(|| (0..rank).rev().collect());
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(wrong("perm", "a permutation of the axes"));
    }
    let mut strides = vec![1; rank];
    for axis in (0..rank.saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * data.shape()[axis + 1];
    }
    let shape: Vec<usize> = permutation.iter().map(|&axis| data.shape()[axis]).collect();
    let position = |mut index: usize| {
        let mut position = 0;
        for (&size, &axis) in shape.iter().zip(&permutation).rev() {
            position += index % size * strides[axis];
            index /= size;
        }
        position
    };
    data.select(shape.clone(), (0..data.len()).map(position))
}

pub(super) fn expand(data: &Constant, operands: &[Constant]) -> Result<Option<Constant>, ModelError> {
    let Some(target) = operands.get(1).and_then(Constant::sizes).and_then(fixed) else { return Ok(None) };
    let target: Option<Vec<usize>> = target.into_iter().map(|size| usize::try_from(size).ok()).collect();
    let target = target.ok_or_else(|| wrong("shape", "a list of sizes"))?;
    let broadcast = Broadcast::new(&[data.shape(), &target]).ok_or_else(|| wrong("shape", "sizes to broadcast to"))?;
    let count = check_growth(elements(&broadcast.shape), std::slice::from_ref(data))?;
    let positions = (0..count).map(|index| broadcast.position(data.shape(), index));
    data.select(broadcast.shape.clone(), positions).map(Some)
}

pub(super) fn tile(data: &Constant, operands: &[Constant]) -> Result<Option<Constant>, ModelError> {
    let Some(repeats) = operands.get(1).and_then(Constant::sizes).and_then(fixed) else { return Ok(None) };
    let repeats: Option<Vec<usize>> = repeats.into_iter().map(|count| usize::try_from(count).ok()).collect();
    let sizes = data.shape();
    let repeats = repeats.filter(|repeats| repeats.len() == sizes.len());
    let repeats = repeats.ok_or_else(|| wrong("repeats", "a count for each axis"))?;
    let shape: Option<Vec<usize>> = sizes.iter().zip(&repeats).map(|(size, count)| size.checked_mul(*count)).collect();
    let count = check_growth(shape.as_deref().and_then(elements), std::slice::from_ref(data))?;
    let shape = shape.unwrap_or_default();
    let position = |mut index: usize| {
        let (mut position, mut stride) = (0, 1);
        for (&size, &tiled) in sizes.iter().zip(&shape).rev() {
            position += index % tiled % size * stride;
            index /= tiled;
            stride *= size;
        }
        position
    };
    data.select(shape.clone(), (0..count).map(position)).map(Some)
}

pub(super) fn constant_of_shape(reader: &NodeReader<'_>, shape: &Constant) -> Result<Option<Constant>, ModelError> {
    let Some(shape) = shape.sizes().and_then(fixed) else { return Ok(None) };
    let shape: Option<Vec<usize>> = shape.into_iter().map(|size| usize::try_from(size).ok()).collect();
    let shape = shape.ok_or_else(|| wrong("input", "a list of sizes"))?;
    let count = check_growth(elements(&shape), &[])?;
    let value = match reader.attribute("value") {
        Some(glocal_onnx::Attribute::Tensor(tensor)) => Constant::from_onnx(tensor.clone())?,
        Some(_) => return Err(wrong("value", "a tensor")),
        None => Constant::float(glocal_compute::Tensor::full([1], 0.0)?),
    };
    if value.len() != 1 {
        return Err(wrong("value", "one number"));
    }
    value.select(shape, std::iter::repeat_n(0, count)).map(Some)
}

/// Shapes broadcast against each other as in NumPy.
pub(super) struct Broadcast {
    pub(super) shape: Vec<usize>,
}

impl Broadcast {
    /// The common shape; `None` when there is none.
    pub(super) fn new(shapes: &[&[usize]]) -> Option<Self> {
        let rank = shapes.iter().map(|shape| shape.len()).max()?;
        let mut common = vec![1; rank];
        for shape in shapes {
            for (size, &of) in common.iter_mut().rev().zip(shape.iter().rev()) {
                match (*size, of) {
                    (_, 1) => {}
                    (1, of) => *size = of,
                    (size, of) if size == of => {}
                    _ => return None,
                }
            }
        }
        Some(Self { shape: common })
    }

    /// The position in an operand of `shape` of what element `index` of the result takes from it.
    pub(super) fn position(&self, shape: &[usize], mut index: usize) -> usize {
        let (mut position, mut stride) = (0, 1);
        for (from_last, &size) in self.shape.iter().rev().enumerate() {
            if let Some(&of) = shape.iter().rev().nth(from_last) {
                position += if of == 1 { 0 } else { index % size * stride };
                stride *= of;
            }
            index /= size.max(1);
        }
        position
    }
}
