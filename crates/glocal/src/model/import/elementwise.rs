//! Readers of element-wise ops: activations, sums, products, softmax, and what leaves its input as it is.

use glocal_compute::Tensor;

use crate::error::ModelError;
use crate::model::NodeId;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::resample::repeated;
use crate::model::import::value::{Size, Value, is_float};
use crate::op::activation::{Activation, Identity};
use crate::op::arithmetic::{AddConstant, MultiplyConstant, Product, Sum};
use crate::op::batch_normalization::BatchNormalization;
use crate::op::layout::Reshape;
use crate::op::p_relu::PRelu;
use crate::op::softmax::Softmax;

/// The constants of SELU as ONNX gives them.
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_701;
/// Exporters write them with six digits or more.
const SELU_ROUNDING: f32 = 1e-6;

pub(super) fn activation(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let op = match reader.op_type() {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu { alpha: reader.float("alpha", 0.01)? },
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "Elu" => Activation::Elu { alpha: reader.float("alpha", 1.0)? },
        "Celu" => match reader.float("alpha", 1.0)? {
            0.0 => return Err(wrong("alpha", "other than 0")),
            alpha => Activation::Celu { alpha },
        },
        "Selu" => {
            // The paper's constants are the defaults; others are another function.
            let (alpha, gamma) = (reader.float("alpha", SELU_ALPHA)?, reader.float("gamma", SELU_GAMMA)?);
            if (alpha - SELU_ALPHA).abs() > SELU_ROUNDING || (gamma - SELU_GAMMA).abs() > SELU_ROUNDING {
                let elu = reader.add(Activation::Elu { alpha }, vec![x])?;
                let constant = Tensor::full(vec![1; reader.shape(x).len() + 1], gamma)?;
                return reader.output(MultiplyConstant { constant }, vec![elu]);
            }
            Activation::Selu
        }
        "HardSigmoid" => {
            Activation::HardSigmoid { alpha: reader.float("alpha", 0.2)?, beta: reader.float("beta", 0.5)? }
        }
        "HardSwish" => Activation::HardSwish,
        "Erf" => Activation::Erf,
        "Gelu" => match reader.string("approximate")?.unwrap_or("none") {
            "none" => Activation::Gelu,
            "tanh" => Activation::GeluTanh,
            _ => return Err(wrong("approximate", "none or tanh")),
        },
        "Softplus" => Activation::Softplus,
        "Softsign" => Activation::Softsign,
        "Mish" => Activation::Mish,
        "Sqrt" => Activation::Power { exponent: 0.5 },
        "Reciprocal" => Activation::Power { exponent: -1.0 },
        "Exp" => Activation::Exp,
        "Log" => Activation::Logarithm,
        "Abs" => Activation::Absolute,
        "Pow" => match reader.floats(1, "the exponent")? {
            Some(exponent) if exponent.len() == 1 => {
                Activation::Power { exponent: aligned(reader, x, &exponent)?.data()[0] }
            }
            _ => return Err(unsupported("a power with other than one constant exponent")),
        },
        _ => {
            // Bounds were attributes before opset 11 and are operands since.
            let bound = |index, name, default| -> Result<f32, ModelError> {
                let Some(bound) = reader.floats(index, name)? else { return reader.float(name, default) };
                match bound.data() {
                    [value] => Ok(*value),
                    _ => Err(wrong(name, "one number")),
                }
            };
            clip(bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?)
        }
    };
    reader.output(op, vec![x])
}

pub(super) fn sum(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let subtract = reader.op_type() == "Sub";
    let mut activations = Vec::new();
    let mut constants = Vec::new();
    for (index, operand) in reader.operands().iter().enumerate() {
        let negative = subtract && index == 1;
        match operand {
            Some(Value::Node(id)) => activations.push((*id, negative)),
            _ => constants.push((index, negative)),
        }
    }
    let Some(&(first, negative)) = activations.first() else { return Err(unsupported("a sum without activations")) };
    let mut total = match activations.as_slice() {
        [_] if !negative => first,
        _ => {
            let (inputs, subtracted) = activations.into_iter().unzip();
            reader.add(Sum { subtracted }, inputs)?
        }
    };
    for (index, negative) in constants {
        let constant = reader.floats(index, "the operand")?.ok_or_else(|| wrong("the operand", "given"))?;
        let constant = aligned(reader, total, &constant)?;
        total = stretched(reader, total, &constant)?;
        let constant = if negative { map(constant, |value| -value) } else { constant };
        let channels = reader.shape(total).first().copied();
        total = match per_channel(&constant, channels) {
            Some(shift) => {
                reader.add(BatchNormalization { scale: Tensor::full(shift.shape(), 1.0)?, shift }, vec![total])?
            }
            None => reader.add(AddConstant { constant }, vec![total])?,
        };
    }
    Ok(vec![Value::Node(total)])
}

/// `Neg`: a sum of one activation that is subtracted.
pub(super) fn negative(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    reader.output(Sum { subtracted: vec![true] }, vec![x])
}

/// `Max` and `Min` of an activation and constants of one number: a clip.
pub(super) fn bound(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let nodes = reader.operands().iter().filter_map(|operand| match operand {
        Some(Value::Node(id)) => Some(*id),
        _ => None,
    });
    let (&[x], is_maximum) = (nodes.collect::<Vec<_>>().as_slice(), reader.op_type() == "Max") else {
        return Err(unsupported("a maximum or minimum of several activations"));
    };
    let (mut min, mut max) = (f32::NEG_INFINITY, f32::INFINITY);
    for (index, operand) in reader.operands().iter().enumerate() {
        if let Some(Value::Node(_)) = operand {
            continue;
        }
        let constant = reader.floats(index, "the operand")?.filter(|constant| constant.len() == 1);
        let constant = constant.ok_or_else(|| wrong("the operand", "one number"))?;
        let bound = aligned(reader, x, &constant)?.data()[0];
        if is_maximum { min = min.max(bound) } else { max = max.min(bound) }
    }
    reader.output(clip(min, max), vec![x])
}

/// What keeps its input within bounds; without an upper one, at zero, it is a ReLU, and rules for those are for it.
fn clip(min: f32, max: f32) -> Activation {
    if (min, max) == (0.0, f32::INFINITY) { Activation::Relu } else { Activation::Clip { min, max } }
}

pub(super) fn p_relu(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let slope = reader.floats(1, "slope")?.ok_or_else(|| wrong("slope", "a constant"))?;
    let slope = aligned(reader, x, &slope)?;
    match slope.data() {
        [alpha] => reader.output(Activation::LeakyRelu { alpha: *alpha }, vec![x]),
        _ => reader.output(PRelu { slope }, vec![x]),
    }
}

pub(super) fn product(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let divide = reader.op_type() == "Div";
    let reciprocal = Activation::Power { exponent: -1.0 };
    let (x, constant) = match (reader.operand(0), reader.operand(1)) {
        (Some(Value::Node(a)), Some(Value::Node(b))) => {
            let (a, b) = (*a, *b);
            let b = if divide { reader.add(reciprocal, vec![b])? } else { b };
            return reader.output(Product, vec![a, b]);
        }
        (Some(Value::Node(x)), Some(Value::Constant(_))) => (*x, 1),
        (Some(Value::Constant(_)), Some(Value::Node(x))) => (*x, 0),
        _ => return Err(wrong("the operands", "given")),
    };
    let index = constant;
    let constant = reader.floats(index, "the operand")?.ok_or_else(|| wrong("the operand", "given"))?;
    let constant = aligned(reader, x, &constant)?;
    let x = stretched(reader, x, &constant)?;
    let (x, constant) = match (divide, index) {
        (true, 0) => (reader.add(reciprocal, vec![x])?, constant),
        (true, _) => (x, map(constant, |value| 1.0 / value)),
        (false, _) => (x, constant),
    };
    let channels = reader.shape(x).first().copied();
    match per_channel(&constant, channels) {
        Some(scale) => {
            let shift = Tensor::zeros(scale.shape())?;
            reader.output(BatchNormalization { scale, shift }, vec![x])
        }
        None => reader.output(MultiplyConstant { constant }, vec![x]),
    }
}

pub(super) fn softmax(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let shape = reader.shape(x).to_vec();
    let rank = shape.len() + 1;
    let coerced = reader.opset() < 13;
    let axis = reader.int("axis")?.unwrap_or(if coerced { 1 } else { -1 });
    let axis = reader.sample_axis(axis, rank)?;
    let log = reader.op_type() == "LogSoftmax";
    // Before opset 13 everything from the axis on was one.
    if coerced && shape[axis..].iter().any(|&size| size != 1) {
        let joined = [&shape[..axis - 1], &[shape[axis - 1..].iter().product()]].concat();
        let joined = reader.add(Reshape { shape: joined }, vec![x])?;
        let probability = reader.add(Softmax { axis, log }, vec![joined])?;
        return reader.output(Reshape { shape }, vec![probability]);
    }
    reader.output(Softmax { axis, log }, vec![x])
}

pub(super) fn identity(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    match reader.op_type() {
        "Dropout" => {
            // At inference neither the ratio nor the seed matters.
            let _ = (reader.float("ratio", 0.5)?, reader.attribute("seed"));
            let training = reader.constant(2, "training_mode")?.and_then(|constant| constant.sizes());
            if training.is_some_and(|sizes| sizes != [Size::Fixed(0)]) || reader.uses_output(1) {
                return Err(unsupported("a dropout in training mode"));
            }
        }
        "Cast" => {
            let to = reader.int("to")?.ok_or_else(|| wrong("to", "given"))?;
            let _ = reader.attribute("saturate");
            if !is_float(to) {
                return Err(unsupported("a cast of activations to integers"));
            }
        }
        _ => {}
    }
    reader.output(Identity, vec![x])
}

/// A constant operand with a batch of 1, of the rank of the activation that it meets.
pub(super) fn aligned(reader: &NodeReader<'_>, x: NodeId, constant: &Tensor) -> Result<Tensor, ModelError> {
    let rank = reader.shape(x).len() + 1;
    if constant.rank() > rank || (constant.rank() == rank && constant.batch() != 1) {
        return Err(unsupported(format!("a constant operand of shape {:?}", constant.shape())));
    }
    let mut shape = vec![1; rank - constant.rank()];
    shape.extend_from_slice(constant.shape());
    Ok(constant.reshape(shape)?)
}

/// The activation repeated along axes that a constant makes longer.
fn stretched(reader: &mut NodeReader<'_>, x: NodeId, constant: &Tensor) -> Result<NodeId, ModelError> {
    let sizes = reader.shape(x).iter().zip(constant.sample_shape());
    let repeats: Vec<usize> = sizes.map(|(&size, &of)| if size == 1 { of } else { 1 }).collect();
    if repeats.iter().all(|&repeats| repeats == 1) { Ok(x) } else { repeated(reader, x, &repeats) }
}

/// The constant as one number per channel, `[C]`, if it is of that shape: `[1, C, 1, ...]`.
fn per_channel(constant: &Tensor, channels: Option<usize>) -> Option<Tensor> {
    let channels = channels.filter(|&channels| channels == constant.len() && channels > 1)?;
    (constant.shape().get(1) == Some(&channels)).then(|| constant.reshape([channels]).ok()).flatten()
}

fn map(mut tensor: Tensor, function: impl Fn(f32) -> f32) -> Tensor {
    tensor.data_mut().iter_mut().for_each(|value| *value = function(*value));
    tensor
}
