//! Constants that are computed element by element: floats, and integers that may be multiples of the batch.

use glocal_compute::Tensor;

use crate::error::ModelError;
use crate::model::import::fold::check_growth;
use crate::model::import::fold::movement::Broadcast;
use crate::model::import::integers::Integers;
use crate::model::import::reader::{unsupported, wrong};
use crate::model::import::value::{Constant, ConstantData, Size};

/// A function of one or two constants of one type, broadcast against each other; `None` when the op is not one.
pub(super) fn element_wise(op_type: &str, operands: &[Constant]) -> Result<Option<Constant>, ModelError> {
    match operands {
        [x] => unary(op_type, x).map(fitting).transpose(),
        [a, b] => {
            let broadcast = Broadcast::new(&[a.shape(), b.shape()]).ok_or_else(|| wrong("operands", "broadcast"))?;
            let count = check_growth(product(&broadcast.shape), operands)?;
            let pairs = (0..count).map(|index| [a, b].map(|operand| broadcast.position(operand.shape(), index)));
            binary(op_type, a, b, broadcast.shape.clone(), pairs)?.map(fitting).transpose()
        }
        _ => Ok(None),
    }
}

/// Refuses integers that their type does not hold: other programs let them wrap.
pub(super) fn fitting(constant: Constant) -> Result<Constant, ModelError> {
    let fit = constant.sizes().is_none_or(|sizes| sizes.iter().all(|size| constant.integers.of(*size) == Some(*size)));
    if fit { Ok(constant) } else { Err(unsupported("arithmetic that leaves the integers of its type")) }
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))
}

fn unary(op_type: &str, x: &Constant) -> Option<Constant> {
    match &x.data {
        ConstantData::Float(tensor) => {
            let function: fn(f32) -> f32 = match op_type {
                "Neg" => |x| -x,
                "Abs" => f32::abs,
                "Sqrt" => f32::sqrt,
                "Reciprocal" => |x| 1.0 / x,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Round" => f32::round_ties_even,
                _ => return None,
            };
            let data = tensor.data().iter().map(|&value| function(value)).collect();
            Tensor::new(tensor.shape(), data).ok().map(Constant::float)
        }
        ConstantData::Integer { shape, elements } => {
            let function: fn(&Size) -> Option<Size> = match op_type {
                "Neg" => |x| combine("Sub", Size::Fixed(0), *x),
                "Not" => |x| match x {
                    Size::Fixed(value) => Some(Size::Fixed(i64::from(*value == 0))),
                    Size::Batch(_) | Size::Sample { .. } => None,
                },
                _ => return None,
            };
            let elements = elements.iter().map(function).collect::<Option<Vec<_>>>()?;
            Some(Constant::integers(shape.clone(), elements).that_are(x.integers))
        }
    }
}

fn binary(
    op_type: &str,
    a: &Constant,
    b: &Constant,
    shape: Vec<usize>,
    mut pairs: impl Iterator<Item = [usize; 2]>,
) -> Result<Option<Constant>, ModelError> {
    let of = a.integers;
    match (&a.data, &b.data) {
        (ConstantData::Integer { elements: a, .. }, ConstantData::Integer { elements: b, .. }) => {
            let combined: Option<Vec<Size>> = pairs.map(|[at_a, at_b]| combine(op_type, a[at_a], b[at_b])).collect();
            let integers = if comparison::<i64>(op_type).is_some() { Integers::Bool } else { of };
            Ok(combined.map(|elements| Constant::integers(shape, elements).that_are(integers)))
        }
        (ConstantData::Float(a), ConstantData::Float(b)) => {
            if let Some(compare) = comparison::<f32>(op_type) {
                let truth = pairs.map(|[at_a, at_b]| Size::Fixed(i64::from(compare(&a.data()[at_a], &b.data()[at_b]))));
                return Ok(Some(Constant::integers(shape, truth.collect()).that_are(Integers::Bool)));
            }
            let function: fn(f32, f32) -> f32 = match op_type {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Pow" => f32::powf,
                "Max" => f32::max,
                "Min" => f32::min,
                _ => return Ok(None),
            };
            let data = pairs.by_ref().map(|[at_a, at_b]| function(a.data()[at_a], b.data()[at_b])).collect();
            Ok(Some(Constant::float(Tensor::new(shape, data)?)))
        }
        // The one op on floats whose exponents may be integers.
        (ConstantData::Float(a), ConstantData::Integer { .. }) if op_type == "Pow" => {
            let Some(b) = b.as_float() else { return Ok(None) };
            let data = pairs.map(|[at_a, at_b]| a.data()[at_a].powf(b.data()[at_b])).collect();
            Ok(Some(Constant::float(Tensor::new(shape, data)?)))
        }
        _ => Ok(None),
    }
}

/// An op that compares two numbers.
fn comparison<T: PartialOrd>(op_type: &str) -> Option<fn(&T, &T) -> bool> {
    Some(match op_type {
        "Equal" => T::eq,
        "Less" => T::lt,
        "LessOrEqual" => T::le,
        "Greater" => T::gt,
        "GreaterOrEqual" => T::ge,
        _ => return None,
    })
}

fn combine(op_type: &str, a: Size, b: Size) -> Option<Size> {
    use Size::{Batch, Fixed, Sample};
    Some(match (op_type, a, b) {
        ("Add", Fixed(a), Fixed(b)) => Fixed(a.checked_add(b)?),
        ("Sub", Fixed(a), Fixed(b)) => Fixed(a.checked_sub(b)?),
        ("Mul", Fixed(a), Fixed(b)) => Fixed(a.checked_mul(b)?),
        ("Div", Fixed(a), Fixed(b)) => Fixed(a.checked_div(b)?),
        // The sign is the divisor's.
        ("Mod", Fixed(a), Fixed(b)) => {
            let rest = a.checked_rem(b)?;
            Fixed(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        ("Max", Fixed(a), Fixed(b)) => Fixed(a.max(b)),
        ("Min", Fixed(a), Fixed(b)) => Fixed(a.min(b)),
        ("And", Fixed(a), Fixed(b)) => Fixed(i64::from(a != 0 && b != 0)),
        ("Or", Fixed(a), Fixed(b)) => Fixed(i64::from(a != 0 || b != 0)),
        (op_type, Fixed(a), Fixed(b)) if comparison::<i64>(op_type).is_some() => {
            Fixed(i64::from(comparison(op_type)?(&a, &b)))
        }
        // A batch is at least 1, so that no multiple of it is what marks an open size.
        ("Equal", Batch(a), Fixed(b)) | ("Equal", Fixed(b), Batch(a)) if a > 0 && b <= 0 => Fixed(0),
        ("Add", Batch(a), Batch(b)) => Batch(a.checked_add(b)?),
        ("Add", Sample { stride, offset }, Fixed(b)) | ("Add", Fixed(b), Sample { stride, offset }) => {
            Sample { stride, offset: offset.checked_add(b)? }
        }
        ("Mul", Sample { stride, offset }, Fixed(b)) | ("Mul", Fixed(b), Sample { stride, offset }) => {
            Sample { stride: stride.checked_mul(b)?, offset: offset.checked_mul(b)? }
        }
        ("Mul", Batch(a), Fixed(b)) | ("Mul", Fixed(a), Batch(b)) => Batch(a.checked_mul(b)?),
        ("Div", Batch(a), Fixed(b)) if a.checked_rem(b) == Some(0) => Batch(a.checked_div(b)?),
        _ => return None,
    })
}

/// `Where`: element by element, the second operand where the first is true, else the third.
pub(super) fn choose(operands: &[Constant]) -> Result<Option<Constant>, ModelError> {
    let [condition, a, b] = operands else { return Ok(None) };
    let Some(truth) = condition.sizes() else { return Ok(None) };
    let shapes = [condition.shape(), a.shape(), b.shape()];
    let broadcast = Broadcast::new(&shapes).ok_or_else(|| wrong("operands", "broadcast"))?;
    let count = check_growth(product(&broadcast.shape), operands)?;
    let positions = |index: usize| shapes.map(|shape| broadcast.position(shape, index));
    let is_true = |index: usize| truth[index] != Size::Fixed(0);
    let (shape, of) = (broadcast.shape.clone(), a.integers);
    match (&a.data, &b.data) {
        (ConstantData::Integer { elements: a, .. }, ConstantData::Integer { elements: b, .. }) => {
            let pick = |index| {
                let [condition, at_a, at_b] = positions(index);
                if is_true(condition) { a[at_a] } else { b[at_b] }
            };
            Ok(Some(Constant::integers(shape, (0..count).map(pick).collect()).that_are(of)))
        }
        (ConstantData::Float(a), ConstantData::Float(b)) => {
            let pick = |index| {
                let [condition, at_a, at_b] = positions(index);
                if is_true(condition) { a.data()[at_a] } else { b.data()[at_b] }
            };
            Ok(Some(Constant::float(Tensor::new(shape, (0..count).map(pick).collect())?)))
        }
        _ => Ok(None),
    }
}

/// `Range` over integers.
pub(super) fn range(operands: &[Constant]) -> Result<Option<Constant>, ModelError> {
    // One number for each sample of the batch.
    let one = |index: usize| operands.get(index).and_then(Constant::sizes).and_then(|sizes| sizes.first().copied());
    if (one(0), one(1), one(2)) == (Some(Size::Fixed(0)), Some(Size::Batch(1)), Some(Size::Fixed(1))) {
        return Ok(Some(Constant::integers(vec![1], vec![Size::Sample { stride: 1, offset: 0 }])));
    }
    let number = |index: usize| match operands.get(index)?.sizes()? {
        [Size::Fixed(value)] => Some(*value),
        _ => None,
    };
    let (Some(start), Some(limit), Some(step)) = (number(0), number(1), number(2)) else { return Ok(None) };
    let way = limit.checked_sub(start).filter(|_| step != 0).ok_or_else(|| wrong("delta", "not 0"))?;
    // Towards the limit in whole steps, the last one begun.
    let count = way.checked_div(step).map_or(0, |whole| whole + i64::from(way % step != 0 && (way < 0) == (step < 0)));
    let count = check_growth(usize::try_from(count.max(0)).ok(), &[])?;
    let elements: Option<Vec<Size>> = (0..count as i64)
        .map(|index| step.checked_mul(index).and_then(|way| start.checked_add(way)).map(Size::Fixed))
        .collect();
    Ok(elements.map(|elements| Constant::integers(vec![count], elements)))
}
