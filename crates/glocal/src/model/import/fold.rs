//! Nodes that compute constants: `Constant` itself, the arithmetic on shapes that exporters leave behind, and what they do
//! to weights.

mod arithmetic;
mod movement;
mod reduction;

use glocal_onnx::{Attribute, ElementType};

use crate::error::ModelError;
use crate::model::import::integers::Integers;
use crate::model::import::layout::range;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::room::as_constant;
use crate::model::import::value::{Constant, ConstantData, Size, Value, is_float};

/// The most elements that a folded constant may have beyond those of its operands: each node may double what the one before
/// made.
const LARGEST_GROWTH: usize = 1 << 16;

/// The constant that the node computes, if it is one.
pub(super) fn fold(reader: &mut NodeReader<'_>) -> Result<Option<Value>, ModelError> {
    match (reader.op_type(), reader.operand(0)) {
        ("Constant", _) => return constant(reader).map(|value| Some(Value::Constant(value))),
        ("Shape", Some(Value::Node(id))) => {
            let shape: Vec<i64> = reader.shape(*id).iter().map(|&size| size as i64).collect();
            let sizes: Vec<Size> = [Size::Batch(1)].into_iter().chain(shape.into_iter().map(Size::Fixed)).collect();
            return shape_of(reader, sizes).map(|shape| Some(Value::Constant(shape)));
        }
        ("Size", Some(Value::Node(id))) => {
            let elements = reader.shape(*id).iter().map(|&size| size as i64).product();
            return Ok(Some(Value::Constant(Constant::integers(vec![], vec![Size::Batch(elements)]))));
        }
        _ => {}
    }
    let mut operands = Vec::new();
    for operand in reader.operands().iter().flatten() {
        match operand {
            Value::Constant(constant) => operands.push(constant.clone()),
            Value::Node(_) | Value::Samples(_) => return Ok(None),
        }
    }
    let Some(first) = operands.first() else { return Ok(None) };
    keeps_batch(reader, &operands)?;
    let folded = match reader.op_type() {
        "Identity" => Some(first.clone()),
        "Shape" => {
            let sizes = first.shape().iter().map(|&size| Size::Fixed(size as i64)).collect();
            Some(shape_of(reader, sizes)?)
        }
        "Cast" => cast(reader, first)?,
        "Gather" => movement::gather(reader, first)?,
        "Concat" => Some(movement::concat(reader, &operands)?),
        "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => movement::reshape(reader, first)?,
        "Transpose" => Some(movement::transpose(reader, first)?),
        "Expand" => movement::expand(first, &operands)?,
        "Slice" => movement::slice(reader, first)?,
        "Tile" => movement::tile(first, &operands)?,
        "ConstantOfShape" => movement::constant_of_shape(reader, first)?,
        "Range" => arithmetic::range(&operands)?,
        "Where" => arithmetic::choose(&operands)?,
        op_type if op_type.starts_with("Reduce") => reduction::reduce(reader, first)?,
        op_type => arithmetic::element_wise(op_type, &operands)?,
    };
    match folded {
        Some(constant) => Ok(Some(Value::Constant(constant))),
        None => Err(unsupported("this op on constants")),
    }
}

/// Refuses what would put anything else where axis 0 of a constant stands for the batch.
fn keeps_batch(reader: &NodeReader<'_>, operands: &[Constant]) -> Result<(), ModelError> {
    let Some(sampled) = operands.iter().find(|operand| operand.depends_on_sample()) else { return Ok(()) };
    let rank = sampled.shape().len();
    let stays = match reader.op_type() {
        "Identity" | "Cast" => true,
        "Unsqueeze" => {
            let axes = reader.list(1, "axes")?;
            axes.is_some_and(|axes| axes.iter().all(|&axis| axis > 0))
        }
        "Add" | "Mul" => operands.iter().all(|operand| {
            operand.shape().len() < rank || (operand.shape().len() == rank && operand.shape().first() == Some(&1))
        }),
        _ => false,
    };
    if stays { Ok(()) } else { Err(unsupported("this op on indices of samples")) }
}

fn shape_of(reader: &NodeReader<'_>, sizes: Vec<Size>) -> Result<Constant, ModelError> {
    let (start, end) = (reader.int("start")?.unwrap_or(0), reader.int("end")?.unwrap_or(i64::MAX));
    let range = range(start, end, 1, sizes.len()).ok_or_else(|| wrong("start", "an axis"))?;
    let sizes = sizes[range.start..range.start + range.count].to_vec();
    Ok(Constant::integers(vec![sizes.len()], sizes))
}

/// Refuses a constant that is much larger than what it was made of.
fn check_growth(elements: Option<usize>, operands: &[Constant]) -> Result<usize, ModelError> {
    let given: usize = operands.iter().map(Constant::len).sum();
    elements.filter(|&elements| elements <= given.saturating_add(LARGEST_GROWTH)).ok_or_else(|| {
        unsupported(format!("a constant of more than {LARGEST_GROWTH} elements beyond those that it is made of"))
    })
}

fn constant(reader: &NodeReader<'_>) -> Result<Constant, ModelError> {
    let integers = |values: &[i64], shape| Constant::integers(shape, values.iter().map(|&v| Size::Fixed(v)).collect());
    let floats = |values: &[f32], shape: Vec<usize>| {
        Ok::<_, ModelError>(Constant::float(glocal_compute::Tensor::new(shape, values.to_vec())?))
    };
    let names = ["value", "value_int", "value_ints", "value_float", "value_floats"];
    for attribute in names.into_iter().filter_map(|name| reader.attribute(name)) {
        match attribute {
            Attribute::Tensor(tensor) => {
                reader.check_room(2 * as_constant(tensor))?;
                return Constant::from_onnx(tensor.clone());
            }
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
    if is_float(to) {
        return Ok(match &constant.data {
            ConstantData::Float(_) => Some(constant.clone()),
            ConstantData::Integer { .. } => constant.as_float().map(Constant::float),
        });
    }
    let kind = i32::try_from(to).ok().and_then(|code| Integers::of_type(ElementType::from_code(code)));
    let kind = kind.ok_or_else(|| wrong("to", "a type of numbers"))?;
    let elements = match &constant.data {
        ConstantData::Integer { elements, .. } => elements.iter().map(|&size| kind.of(size)).collect(),
        ConstantData::Float(tensor) => tensor.data().iter().map(|&value| kind.of_float(value)).collect(),
    };
    let elements: Option<Vec<Size>> = elements;
    let elements = elements.ok_or_else(|| unsupported("a cast of numbers that the type does not hold"))?;
    Ok(Some(Constant::integers(constant.shape().to_vec(), elements).that_are(kind)))
}
