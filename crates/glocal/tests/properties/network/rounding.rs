//! How far apart the values of two models may be that compute the same function in single precision.

use glocal::model::Model;
use glocal::op::activation::Activation;
use glocal::op::arithmetic::Sum;
use glocal::op::{Op, OpClass, OpKind, Part, Structure};
use glocal_compute::Tensor;
use glocal_compute::backend::{Map, Zip};

/// The slope of an activation is at most this; that of GELU is the largest, 1.13.
const STEEPEST: f32 = 1.2;

/// Roundings of an op beside those of its sum: products with scales, the rounding of merged weights and biases, and those
/// inside of an activation's approximation.
const SINGLE_OPERATIONS: usize = 12;

/// For every node, how far its value may be off, `[N, ...]`, in one of two models of which one is `model` and the other
/// the same with some affine ops merged.
///
/// A sum of `n` products of which each is rounded is off by at most `n · ε/2` of the sum of their sizes, in any order;
/// in two models by `n · ε`. The error of the inputs comes on top, times the sizes of the weights. A merged op adds up at
/// most the products of the largest op, of the sizes that the ops had in it.
pub fn bounds(model: &Model, values: &[Tensor]) -> Vec<Tensor> {
    let backend = model.backend();
    let longest = model.graph().nodes().map(|(_, node)| longest_sum(node.op.as_ref())).max().unwrap_or(1);
    // Twice that, for the products of errors.
    let rounding = 2.0 * f32::EPSILON * (longest + SINGLE_OPERATIONS) as f32;
    let size = |x: &Tensor| backend.map(x, Map::Absolute).unwrap();
    let scaled = |x: &Tensor, factor| backend.map(x, Map::Affine { factor, offset: 0.0 }).unwrap();
    let plus = |a: &Tensor, b: &Tensor| backend.zip(a, b, Zip::Add).unwrap();
    let times = |a: &Tensor, b: &Tensor| backend.zip(a, b, Zip::Multiply).unwrap();

    let mut bounds: Vec<Tensor> = Vec::with_capacity(values.len());
    for (id, node) in model.graph().nodes() {
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        // What the inputs are off by, and what the op itself may add, as if its inputs were off by more.
        let errors: Vec<Tensor> = node
            .inputs
            .iter()
            .zip(&inputs)
            .map(|(input, x)| plus(&bounds[input.index()], &scaled(&size(x), rounding)))
            .collect();
        let bound = match (node.op.structure(), errors.as_slice()) {
            _ if node.op.kind() == OpKind::Input => Tensor::zeros(values[id.index()].shape()).unwrap(),
            _ if node.op.affine().is_some() => {
                let op = node.op.affine().unwrap();
                let part = |part| op.forward_part(backend, &errors[0], part, None).unwrap();
                let spread = backend.zip(&part(Part::Positive), &part(Part::Negative), Zip::Subtract).unwrap();
                let bias = size(&op.bias_part(backend, Part::Whole, &node.shape).unwrap());
                plus(&spread, &scaled(&bias, rounding))
            }
            (Structure::ChannelAffine(op), [error]) => {
                let channel = |parameter: &Tensor| {
                    let mut shape = vec![1; error.rank()];
                    shape[1] = parameter.len();
                    size(parameter).reshape(shape).unwrap()
                };
                plus(&times(error, &channel(&op.scale)), &scaled(&channel(&op.shift), rounding))
            }
            (Structure::MultiplyConstant(factor), [error]) => times(error, &size(factor)),
            (Structure::AddConstant(offset), [error]) => plus(error, &scaled(&size(offset), rounding)),
            (Structure::Activation(Activation::Power { exponent }), [error]) => {
                let own = scaled(&size(&values[id.index()]), rounding);
                plus(&power(inputs[0], error, exponent), &own)
            }
            (Structure::Product, [a, b]) => {
                let crossed = plus(&times(&size(inputs[0]), b), &times(&size(inputs[1]), a));
                plus(&crossed, &times(a, b))
            }
            (_, [error]) if node.op.kind().is(OpClass::Activation) => {
                plus(&scaled(error, STEEPEST), &scaled(&size(&values[id.index()]), rounding))
            }
            _ if node.op.kind().is(OpClass::Sum) => {
                let all = Sum { subtracted: vec![false; errors.len()] };
                all.forward(backend, &errors.iter().collect::<Vec<_>>()).unwrap()
            }
            // Averages, the largest of a window, and ops that move elements do to errors what they do to values.
            _ => node.op.forward(backend, &errors.iter().collect::<Vec<_>>()).unwrap(),
        };
        bounds.push(bound);
    }
    bounds
}

/// How far `x` to a power may be off when `x` is: the error times the steepest slope in its range.
fn power(x: &Tensor, error: &Tensor, exponent: f32) -> Tensor {
    let of = |(&x, &error): (&f32, &f32)| {
        let slope =
            |at: f32| if exponent.fract() == 0.0 || at > 0.0 { at.abs().powf(exponent - 1.0) } else { f32::INFINITY };
        if error == 0.0 { 0.0 } else { exponent.abs() * slope(x - error).max(slope(x + error)) * error }
    };
    Tensor::new(x.shape(), x.data().iter().zip(error.data()).map(of).collect()).unwrap()
}

/// How many products an output of the op adds up.
fn longest_sum(op: &dyn Op) -> usize {
    match op.structure() {
        Structure::Convolution(op) => op.parameters.weight().row_len(),
        Structure::Dense(op) => op.parameters.weight().row_len(),
        Structure::ConvolutionTranspose(op) => op.parameters.weight().len(),
        _ => 1,
    }
}
