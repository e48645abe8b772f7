//! Nodes that compute constants: `Constant` itself, and the integer arithmetic on shapes that exporters leave behind.

use glocal_onnx::Attribute;

use crate::error::ModelError;
use crate::model::import::layout::range;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::{Constant, ConstantData, Size, Value, is_float};

/// The longest list of integers that is computed with.
const LONGEST_SHAPE: usize = 1 << 16;

/// The constant that the node computes, if it is one.
pub(super) fn fold(reader: &mut NodeReader<'_>) -> Result<Option<Value>, ModelError> {
    match (reader.op_type(), reader.operand(0)) {
        ("Constant", _) => return constant(reader).map(|value| Some(Value::Constant(value))),
        ("Shape", Some(Value::Node(id))) => {
            let shape: Vec<i64> = reader.shape(*id).iter().map(|&size| size as i64).collect();
            let sizes: Vec<Size> = [Size::Batch(1)].into_iter().chain(shape.into_iter().map(Size::Fixed)).collect();
            let (start, end) = (reader.int("start")?.unwrap_or(0), reader.int("end")?.unwrap_or(i64::MAX));
            let range = range(start, end, 1, sizes.len()).ok_or_else(|| wrong("start", "an axis"))?;
            let sizes = sizes[range.start..range.start + range.count].to_vec();
            return Ok(Some(Value::Constant(Constant::integers(vec![sizes.len()], sizes))));
        }
        _ => {}
    }
    let mut operands = Vec::new();
    for operand in reader.operands().iter().flatten() {
        match operand {
            Value::Constant(constant) => operands.push(constant.clone()),
            Value::Node(_) => return Ok(None),
        }
    }
    let Some(first) = operands.first() else { return Ok(None) };
    let folded = match reader.op_type() {
        "Identity" => Some(first.clone()),
        "Cast" => cast(reader, first)?,
        "Gather" => gather(reader, &operands)?,
        "Concat" => concat(reader, &operands)?,
        "Unsqueeze" | "Squeeze" => line(reader, first)?,
        "Slice" => slice(reader, first)?,
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(reader.op_type(), &operands),
        _ => None,
    };
    match folded {
        Some(constant) => Ok(Some(Value::Constant(constant))),
        None => Err(unsupported("this op on constants")),
    }
}

fn constant(reader: &NodeReader<'_>) -> Result<Constant, ModelError> {
    let integers = |values: &[i64], shape| Constant::integers(shape, values.iter().map(|&v| Size::Fixed(v)).collect());
    let floats = |values: &[f32], shape: Vec<usize>| {
        Ok::<_, ModelError>(Constant::float(glocal_compute::Tensor::new(shape, values.to_vec())?))
    };
    let names = ["value", "value_int", "value_ints", "value_float", "value_floats"];
    for attribute in names.into_iter().filter_map(|name| reader.attribute(name)) {
        match attribute {
            Attribute::Tensor(tensor) => return Constant::from_onnx(tensor.clone()),
            Attribute::Int(value) => return Ok(integers(&[*value], vec![])),
            Attribute::Ints(values) => return Ok(integers(values, vec![values.len()])),
            Attribute::Float(value) => return floats(&[*value], vec![]),
            Attribute::Floats(values) => return floats(values, vec![values.len()]),
            _ => {}
        }
    }
    Err(wrong("value", "a tensor or numbers"))
}

fn cast(reader: &NodeReader<'_>, constant: &Constant) -> Result<Option<Constant>, ModelError> {
    let to = reader.int("to")?.ok_or_else(|| wrong("to", "given"))?;
    let _ = reader.attribute("saturate");
    Ok(match (&constant.data, is_float(to)) {
        (ConstantData::Float(_), true) | (ConstantData::Integer { .. }, false) => Some(constant.clone()),
        (ConstantData::Integer { .. }, true) => constant.as_float().map(Constant::float),
        (ConstantData::Float(tensor), false) => {
            let elements = tensor.data().iter().map(|&value| Size::Fixed(value as i64)).collect();
            Some(Constant::integers(tensor.shape().to_vec(), elements))
        }
    })
}

fn gather(reader: &NodeReader<'_>, operands: &[Constant]) -> Result<Option<Constant>, ModelError> {
    let axis = reader.int("axis")?.unwrap_or(0);
    let [data, indices] = operands else { return Ok(None) };
    let (ConstantData::Integer { shape, elements }, ConstantData::Integer { shape: out, elements: indices }) =
        (&data.data, &indices.data)
    else {
        return Ok(None);
    };
    if shape.len() != 1 || !(axis == 0 || axis == -1) {
        return Ok(None);
    }
    let pick = |index: &Size| match *index {
        Size::Fixed(index) => {
            let index = if index < 0 { index + elements.len() as i64 } else { index };
            usize::try_from(index).ok().and_then(|index| elements.get(index).copied())
        }
        Size::Batch(_) => None,
    };
    let picked: Option<Vec<Size>> = indices.iter().map(pick).collect();
    picked
        .map(|picked| Some(Constant::integers(out.clone(), picked)))
        .ok_or_else(|| wrong("indices", "within the data"))
}

fn concat(reader: &NodeReader<'_>, operands: &[Constant]) -> Result<Option<Constant>, ModelError> {
    let axis = reader.int("axis")?.ok_or_else(|| wrong("axis", "given"))?;
    let mut joined = Vec::new();
    for operand in operands {
        match &operand.data {
            ConstantData::Integer { shape, elements } if shape.len() == 1 && (axis == 0 || axis == -1) => {
                joined.extend_from_slice(elements);
                // Each node may double what the one before made.
                if joined.len() > LONGEST_SHAPE {
                    return Err(unsupported(format!("shape arithmetic on more than {LONGEST_SHAPE} numbers")));
                }
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(Constant::integers(vec![joined.len()], joined)))
}

/// `Unsqueeze` and `Squeeze` between scalars and lists, which is what they are used for on shapes.
fn line(reader: &NodeReader<'_>, constant: &Constant) -> Result<Option<Constant>, ModelError> {
    let _ = (reader.ints("axes")?, reader.integers(1, "axes")?);
    let ConstantData::Integer { shape, elements } = &constant.data else { return Ok(None) };
    Ok(match (reader.op_type(), shape.as_slice()) {
        ("Unsqueeze", []) => Some(Constant::integers(vec![1], elements.clone())),
        ("Squeeze", [1]) => Some(Constant::integers(vec![], elements.clone())),
        _ => None,
    })
}

fn slice(reader: &NodeReader<'_>, constant: &Constant) -> Result<Option<Constant>, ModelError> {
    let list = |index, name| match reader.integers(index, name)? {
        Some(values) => Ok(Some(values)),
        None => reader.ints(name),
    };
    let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
    let _ = list(3, "axes")?;
    let steps = reader.integers(4, "steps")?.unwrap_or_else(|| vec![1]);
    let ConstantData::Integer { shape, elements } = &constant.data else { return Ok(None) };
    let (Some([start]), Some([end]), [step], [size]) =
        (starts.as_deref(), ends.as_deref(), steps.as_slice(), shape.as_slice())
    else {
        return Ok(None);
    };
    let range = range(*start, *end, *step, *size).ok_or_else(|| wrong("steps", "not 0"))?;
    let picked =
        (0..range.count).filter_map(|i| elements.get(range.start.wrapping_add_signed(range.step * i as isize)));
    let picked: Vec<Size> = picked.copied().collect();
    Ok(Some(Constant::integers(vec![picked.len()], picked)))
}

/// Integer arithmetic of two lists of the same length, or of a list and one number.
fn arithmetic(op_type: &str, operands: &[Constant]) -> Option<Constant> {
    let [a, b] = operands else { return None };
    let (ConstantData::Integer { shape, elements: a }, ConstantData::Integer { shape: other, elements: b }) =
        (&a.data, &b.data)
    else {
        return None;
    };
    let count = a.len().max(b.len());
    let at = |list: &[Size], index: usize| match list {
        [only] => Some(*only),
        _ => list.get(index).copied(),
    };
    let combined =
        (0..count).map(|index| combine(op_type, at(a, index)?, at(b, index)?)).collect::<Option<Vec<_>>>()?;
    Some(Constant::integers(if a.len() >= b.len() { shape.clone() } else { other.clone() }, combined))
}

fn combine(op_type: &str, a: Size, b: Size) -> Option<Size> {
    use Size::{Batch, Fixed};
    Some(match (op_type, a, b) {
        ("Add", Fixed(a), Fixed(b)) => Fixed(a.checked_add(b)?),
        ("Sub", Fixed(a), Fixed(b)) => Fixed(a.checked_sub(b)?),
        ("Mul", Fixed(a), Fixed(b)) => Fixed(a.checked_mul(b)?),
        ("Div", Fixed(a), Fixed(b)) => Fixed(a.checked_div(b)?),
        ("Add", Batch(a), Batch(b)) => Batch(a.checked_add(b)?),
        ("Mul", Batch(a), Fixed(b)) | ("Mul", Fixed(a), Batch(b)) => Batch(a.checked_mul(b)?),
        ("Div", Batch(a), Fixed(b)) if a.checked_rem(b) == Some(0) => Batch(a.checked_div(b)?),
        _ => return None,
    })
}
