//! Constants some of whose axes are folded to one number, as exporters leave them where weights are normalised.

use glocal_compute::Tensor;

use crate::error::ModelError;
use crate::model::import::fold::arithmetic::fitting;
use crate::model::import::fold::movement::counted;
use crate::model::import::reader::NodeReader;
use crate::model::import::value::{Constant, ConstantData, Size};

/// So many bytes read are booked as one byte of memory.
const BYTES_READ_PER_BYTE: usize = 64;

/// From here on a f64 is no integer any more.
const LARGEST_WHOLE: f64 = (1_u64 << 53) as f64;

/// What a reduction makes of the numbers that it folds, and their count.
type Folding = fn(&mut dyn Iterator<Item = f64>, usize) -> f64;

fn folding(op_type: &str) -> Option<Folding> {
    Some(match op_type {
        "ReduceSum" => |line, _| line.sum(),
        "ReduceMean" => |line, count| line.sum::<f64>() / count as f64,
        "ReduceProd" => |line, _| line.product(),
        "ReduceMax" => |line, _| line.fold(f64::NEG_INFINITY, f64::max),
        "ReduceMin" => |line, _| line.fold(f64::INFINITY, f64::min),
        "ReduceL1" => |line, _| line.map(f64::abs).sum(),
        "ReduceL2" => |line, _| line.map(|value| value * value).sum::<f64>().sqrt(),
        "ReduceSumSquare" => |line, _| line.map(|value| value * value).sum(),
        _ => return None,
    })
}

/// The reduction of a constant; `None` when the op is none, or not of such a constant.
pub(super) fn reduce(reader: &NodeReader<'_>, data: &Constant) -> Result<Option<Constant>, ModelError> {
    let Some(fold) = folding(reader.op_type()) else { return Ok(None) };
    let sizes = data.shape();
    let given = reader.list(1, "axes")?.filter(|axes| !axes.is_empty());
    let (keep_axes, nothing) = (reader.flag("keepdims", true)?, reader.flag("noop_with_empty_axes", false)?);
    let axes = match given {
        Some(axes) => axes.iter().map(|&axis| counted(axis, sizes.len())).collect::<Result<Vec<_>, _>>()?,
        None if nothing => Vec::new(),
        None => (0..sizes.len()).collect(),
    };
    if data.len() == 0 {
        return Ok(None);
    }
    // The result may be small, so the reading is booked: many small nodes could ask for it without end.
    reader.take_room(data.bytes() / BYTES_READ_PER_BYTE)?;
    let (folded, kept): (Vec<usize>, Vec<usize>) = (0..sizes.len()).partition(|axis| axes.contains(axis));
    let count = |axes: &[usize]| axes.iter().map(|&axis| sizes[axis]).product::<usize>();
    let shape = (0..sizes.len()).filter(|axis| keep_axes || kept.contains(axis));
    let shape: Vec<usize> = shape.map(|axis| if kept.contains(&axis) { sizes[axis] } else { 1 }).collect();
    let along = |axes: &'_ [usize], mut index: usize| {
        let mut position = 0;
        for &axis in axes.iter().rev() {
            position += index % sizes[axis] * sizes[axis + 1..].iter().product::<usize>();
            index /= sizes[axis];
        }
        position
    };
    let length = count(&folded);
    let reduce = |value: &dyn Fn(usize) -> f64, line: usize| {
        let start = along(&kept, line);
        fold(&mut (0..length).map(|index| value(start + along(&folded, index))), length)
    };
    match &data.data {
        ConstantData::Float(tensor) => {
            let value = |position: usize| f64::from(tensor.data()[position]);
            let reduced = (0..count(&kept)).map(|line| reduce(&value, line) as f32).collect();
            Ok(Some(Constant::float(Tensor::new(shape, reduced)?)))
        }
        // Means and roots of integers are not defined alike everywhere.
        ConstantData::Integer { elements, .. }
            if matches!(reader.op_type(), "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin") =>
        {
            // NaN for what depends on the batch: no result is made of it.
            let value = |position: usize| match elements[position] {
                Size::Fixed(value) if (value as f64).abs() < LARGEST_WHOLE => value as f64,
                _ => f64::NAN,
            };
            if (0..elements.len()).any(|position| value(position).is_nan()) {
                return Ok(None);
            }
            let whole = |value: f64| (value.abs() < LARGEST_WHOLE).then_some(Size::Fixed(value as i64));
            let reduced: Option<Vec<Size>> = (0..count(&kept)).map(|line| whole(reduce(&value, line))).collect();
            let reduced = reduced.map(|reduced| Constant::integers(shape, reduced).that_are(data.integers));
            reduced.map(fitting).transpose()
        }
        ConstantData::Integer { .. } => Ok(None),
    }
}
