//! The reader of `MatMul`: of two activations, or of one with a constant matrix or a stack of them on either side.

use glocal_compute::{ConvolutionGeometry, Tensor};

use crate::error::ModelError;
use crate::model::NodeId;
use crate::model::import::affine::transpose;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::Value;
use crate::op::Parameters;
use crate::op::convolution::Convolution;
use crate::op::dense::Dense;
use crate::op::layout::{Reshape, Transpose};
use crate::op::matrix_product::MatrixProduct;

pub(super) fn matmul(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    match (reader.operand(0), reader.operand(1)) {
        (Some(Value::Node(a)), Some(Value::Node(b))) => {
            let (inputs, shapes) = (vec![*a, *b], [reader.shape(*a).to_vec(), reader.shape(*b).to_vec()]);
            if shapes[0].len() != shapes[1].len() || shapes[0].len() < 2 {
                let [a, b] = shapes;
                return Err(unsupported(format!(
                    "a matrix product of samples of {a:?} and {b:?}, which mixes samples,"
                )));
            }
            reader.output(MatrixProduct, inputs)
        }
        (Some(Value::Node(x)), _) => {
            let x = *x;
            let weight = reader.floats(1, "B")?.ok_or_else(|| wrong("B", "a constant matrix"))?;
            right(reader, x, &unstacked(weight)?)
        }
        (_, Some(Value::Node(x))) => {
            let x = *x;
            let weight = reader.floats(0, "A")?.ok_or_else(|| wrong("A", "a constant matrix"))?;
            left(reader, x, &unstacked(weight)?)
        }
        _ => Err(wrong("A and B", "given")),
    }
}

/// A stack of one matrix as that matrix.
fn unstacked(weight: Tensor) -> Result<Tensor, ModelError> {
    let ones = weight.shape().iter().take_while(|&&size| size == 1).count().min(weight.rank().saturating_sub(2));
    let shape = weight.shape()[ones..].to_vec();
    Ok(weight.reshape(shape)?)
}

/// `x · W`: a dense layer over the last axis.
fn right(reader: &mut NodeReader<'_>, x: NodeId, weight: &Tensor) -> Result<Vec<Value>, ModelError> {
    match weight.rank() {
        0 => Err(wrong("B", "a constant of one axis or more")),
        1 => {
            let shape = reader.shape(x).split_last().map_or(Vec::new(), |(_, outer)| outer.to_vec());
            let parameters = Parameters::new(weight.reshape([1, weight.len()])?, None);
            let product = reader.add(Dense { parameters }, vec![x])?;
            reader.output(Reshape { shape }, vec![product])
        }
        2 => reader.output(Dense { parameters: Parameters::new(transpose(weight)?, None) }, vec![x]),
        rank => {
            // (Wᵀ · xᵀ)ᵀ
            let turned = turn(reader, x)?;
            let [rows, columns] = [weight.shape()[rank - 2], weight.shape()[rank - 1]];
            let mut data = Vec::with_capacity(weight.len());
            for matrix in weight.data().chunks((rows * columns).max(1)) {
                data.extend(transpose(&Tensor::new([rows, columns], matrix.to_vec())?)?.into_data());
            }
            let mut shape = weight.shape().to_vec();
            shape.swap(rank - 2, rank - 1);
            let product = stack(reader, turned, &Tensor::new(shape, data)?)?;
            Ok(vec![Value::Node(turn(reader, product)?)])
        }
    }
}

/// `W · x`: it mixes the axis before the last.
fn left(reader: &mut NodeReader<'_>, x: NodeId, weight: &Tensor) -> Result<Vec<Value>, ModelError> {
    if reader.shape(x).len() < 2 {
        return Err(unsupported("a product of a constant and an activation that mixes samples"));
    }
    if weight.rank() > 2 {
        return Ok(vec![Value::Node(stack(reader, x, weight)?)]);
    }
    let turned = turn(reader, x)?;
    if weight.rank() != 2 {
        return Err(wrong("A", "a constant of two axes or more"));
    }
    let product = reader.add(Dense { parameters: Parameters::new(weight.clone(), None) }, vec![turned])?;
    Ok(vec![Value::Node(turn(reader, product)?)])
}

/// The last two axes in each other's place.
fn turn(reader: &mut NodeReader<'_>, x: NodeId) -> Result<NodeId, ModelError> {
    let axes = reader.shape(x).len() + 1;
    if axes < 3 {
        return Err(unsupported("a product of matrices that mixes samples"));
    }
    let mut permutation: Vec<usize> = (0..axes).collect();
    permutation.swap(axes - 2, axes - 1);
    reader.add(Transpose { permutation }, vec![x])
}

/// `Wᵢ · xᵢ` for each matrix of a stack `[..., M, K]` and of a sample `[..., K, P]` of the same outer axes: a convolution
/// with a group for each.
fn stack(reader: &mut NodeReader<'_>, x: NodeId, weight: &Tensor) -> Result<NodeId, ModelError> {
    let shape = reader.shape(x).to_vec();
    let mismatch =
        || unsupported(format!("a product of constant matrices {:?} and samples of {shape:?}", weight.shape()));
    let ([outer @ .., depth, columns], [stacked @ .., rows, taken]) = (shape.as_slice(), weight.shape()) else {
        return Err(mismatch());
    };
    // Outer axes that the constant lacks would need a copy of it for each, but for those of one element.
    let several = |sizes: &[usize]| sizes.iter().copied().skip_while(|&size| size == 1).collect::<Vec<_>>();
    if several(outer) != several(stacked) || depth != taken {
        return Err(mismatch());
    }
    let group: usize = outer.iter().product();
    let lines = reader.add(Reshape { shape: vec![group * depth, *columns] }, vec![x])?;
    let parameters = Parameters::new(weight.reshape([group * rows, *depth, 1])?, None);
    let geometry =
        ConvolutionGeometry { strides: vec![1], dilations: vec![1], pads_begin: vec![0], pads_end: vec![0], group };
    let product = reader.add(Convolution { parameters, geometry }, vec![lines])?;
    let shape = [outer, &[*rows, *columns]].concat();
    reader.add(Reshape { shape }, vec![product])
}
