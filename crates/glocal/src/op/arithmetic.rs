//! Sums, differences and products (ONNX `Add`, `Sub`, `Sum`, `Mul`, `Div`), of activations or with a constant.

use glocal_compute::backend::{Map, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::batch_normalization::Scaled;
use crate::op::{DefaultRule, Op, OpKind, Patch, Propagate, Structure, Within, input_count, single};

/// The sum of one or more activations, each with its sign, broadcast against each other (ONNX `Add`, `Sub`, `Sum`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Whether the input of that index is subtracted.
    pub subtracted: Vec<bool>,
}

impl Op for Sum {
    fn kind(&self) -> OpKind {
        if self.subtracted.contains(&true) { OpKind::Subtract } else { OpKind::Sum }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        if inputs.len() != self.subtracted.len() {
            return Err(input_count("Add", "as many as there are signs", inputs.len()));
        }
        broadcast_shapes("Add", inputs)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let ([first, rest @ ..], [negate_first, negate_rest @ ..]) = (inputs, self.subtracted.as_slice()) else {
            return Err(input_count("Add", "at least 1", inputs.len()));
        };
        let mut total = if *negate_first { negated(backend, first)? } else { (*first).clone() };
        for (input, &negate) in rest.iter().zip(negate_rest) {
            total = backend.zip(&total, input, if negate { Zip::Subtract } else { Zip::Add })?;
        }
        Ok(total)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let inputs = inputs.iter().zip(&self.subtracted).map(|(x, &negate)| (x.sample_shape().to_vec(), negate));
        Ok(Box::new(Spread { inputs: inputs.collect() }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Norm
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Sum(self)
    }
}

/// Hands a copy to every input, summed over what broadcasting stretched.
#[derive(Debug)]
struct Spread {
    inputs: Vec<(Vec<usize>, bool)>,
}

impl Propagate for Spread {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let share = |(shape, negate): &(Vec<usize>, bool)| {
            let share = backend.sum_to(&relevance, shape)?;
            if *negate { negated(backend, &share) } else { Ok(share) }
        };
        self.inputs.iter().map(share).collect()
    }

    fn within(&self, _: &dyn Backend, patch: &Patch, _: usize) -> Result<Option<Within>, ComputeError> {
        let same = self.inputs.windows(2).all(|pair| pair[0].0 == pair[1].0);
        Ok(same.then(|| {
            let inputs = self.inputs.iter().map(|(_, negate)| (patch.shape(), *negate)).collect();
            Within { rule: Box::new(Self { inputs }), inputs: vec![patch.clone(); self.inputs.len()] }
        }))
    }
}

/// The product of two activations, broadcast against each other (ONNX `Mul`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product;

impl Op for Product {
    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        match inputs {
            [_, _] => broadcast_shapes("Mul", inputs),
            _ => Err(input_count("Mul", "2", inputs.len())),
        }
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        match inputs {
            [a, b] => backend.zip(a, b, Zip::Multiply),
            _ => Err(input_count("Mul", "2", inputs.len())),
        }
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        match inputs {
            [a, b] => Ok(Box::new(Crossed { a: (*a).clone(), b: (*b).clone() })),
            _ => Err(input_count("Mul", "2", inputs.len())),
        }
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Factors
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Product
    }
}

#[derive(Debug)]
struct Crossed {
    a: Tensor,
    b: Tensor,
}

impl Propagate for Crossed {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let times = |factor: &Tensor, shape: &[usize]| {
            let factor = backend.gather_rows(factor, rows)?;
            backend.sum_to(&backend.zip(&relevance, &factor, Zip::Multiply)?, shape)
        };
        Ok(vec![times(&self.b, self.a.sample_shape())?, times(&self.a, self.b.sample_shape())?])
    }
}

/// `x + constant` (ONNX `Add` and `Sub` with one constant operand; `constant − x` is a factor of −1 before it).
#[derive(Debug, Clone)]
pub struct AddConstant {
    /// The constant, with a batch of 1, broadcast over the sample.
    pub constant: Tensor,
}

impl Op for AddConstant {
    fn kind(&self) -> OpKind {
        OpKind::AddConstant
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        constant_shape("Add", single("Add", inputs)?, &self.constant)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.zip(single("Add", inputs)?, &self.constant, Zip::Add)
    }

    fn linearize(&self, _: &dyn Backend, _: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(crate::op::activation::Unchanged))
    }

    /// One number for all elements shifts as a batch normalisation does, and passes relevance as one: the same constant
    /// written for each channel is read as such.
    fn default_rule(&self) -> DefaultRule {
        if self.constant.len() == 1 { DefaultRule::Pass } else { DefaultRule::Norm }
    }

    fn offset(&self) -> Option<&Tensor> {
        Some(&self.constant)
    }

    fn structure(&self) -> Structure<'_> {
        Structure::AddConstant(&self.constant)
    }
}

/// `x · constant` (ONNX `Mul` with a constant, and `Div` by one).
#[derive(Debug, Clone)]
pub struct MultiplyConstant {
    /// The constant, with a batch of 1, broadcast over the sample.
    pub constant: Tensor,
}

impl Op for MultiplyConstant {
    fn kind(&self) -> OpKind {
        OpKind::MultiplyConstant
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        constant_shape("Mul", single("Mul", inputs)?, &self.constant)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.zip(single("Mul", inputs)?, &self.constant, Zip::Multiply)
    }

    fn linearize(&self, _: &dyn Backend, _: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(Scaled { factor: self.constant.clone() }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Pass
    }

    fn structure(&self) -> Structure<'_> {
        Structure::MultiplyConstant(&self.constant)
    }
}

/// The shape of `x ∘ constant`, which must be that of `x`: a constant that stretches the sample has no inverse here.
pub(crate) fn constant_shape(
    operation: &'static str,
    input: &[usize],
    constant: &Tensor,
) -> Result<Vec<usize>, ComputeError> {
    let shape = broadcast_shapes(operation, &[input, constant.sample_shape()])?;
    if shape == input { Ok(shape) } else { Err(ComputeError::shapes(operation, input, constant.sample_shape())) }
}

/// The common shape of samples of the same rank under broadcasting. Of different ranks, ONNX would align the batch of
/// the one with an axis of the other.
fn broadcast_shapes(operation: &'static str, shapes: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
    let rank = shapes.first().map_or(0, |shape| shape.len());
    if let Some(other) = shapes.iter().find(|shape| shape.len() != rank) {
        return Err(ComputeError::shapes(operation, shapes[0], other));
    }
    let mut common = vec![1; rank];
    for shape in shapes {
        for (axis, &size) in common.iter_mut().rev().zip(shape.iter().rev()) {
            match (*axis, size) {
                (_, 1) => {}
                (1, _) => *axis = size,
                (known, _) if known == size => {}
                _ => return Err(ComputeError::shapes(operation, shapes.first().copied().unwrap_or(&[]), shape)),
            }
        }
    }
    Ok(common)
}

fn negated(backend: &dyn Backend, x: &Tensor) -> Result<Tensor, ComputeError> {
    backend.map(x, Map::Affine { factor: -1.0, offset: 0.0 })
}
