//! The product of two activations as matrices (ONNX `MatMul` without a constant), as in attention.

use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{DefaultRule, Op, OpKind, Propagate, attribute, elements, input_count};

/// `[N, ..., M, K] · [N, ..., K, P] → [N, ..., M, P]`, the axes between broadcast against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixProduct;

impl Op for MatrixProduct {
    fn kind(&self) -> OpKind {
        OpKind::MatrixProduct
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let &[a, b] = inputs else { return Err(input_count("MatMul", "2", inputs.len())) };
        let mismatch = || attribute("MatMul", "operands", format!("samples of {a:?} and {b:?} are no stacks that fit"));
        let ([outer_a @ .., rows, depth], [outer_b @ .., depth_b, columns]) = (a, b) else { return Err(mismatch()) };
        if a.len() != b.len() || depth != depth_b {
            return Err(mismatch());
        }
        let mut shape = Vec::with_capacity(a.len());
        for (&of_a, &of_b) in outer_a.iter().zip(outer_b) {
            shape.push(match (of_a, of_b) {
                (1, size) | (size, 1) => size,
                (first, second) if first == second => first,
                _ => return Err(mismatch()),
            });
        }
        shape.extend([*rows, *columns]);
        Ok(shape)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        match inputs {
            [a, b] => backend.matrix_product(a, b),
            _ => Err(input_count("MatMul", "2", inputs.len())),
        }
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        match inputs {
            [a, b] => Ok(Box::new(Crossed { a: (*a).clone(), b: (*b).clone() })),
            _ => Err(input_count("MatMul", "2", inputs.len())),
        }
    }

    fn multiply_adds(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        elements(output) * inputs.first().and_then(|shape| shape.last()).map_or(1, |&depth| depth as u64)
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Factors
    }
}

/// `r·bᵀ` and `aᵀ·r`, each summed over what broadcasting stretched.
#[derive(Debug)]
struct Crossed {
    a: Tensor,
    b: Tensor,
}

impl Propagate for Crossed {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let rank = relevance.rank();
        let turned = |x: &Tensor| {
            let mut permutation: Vec<usize> = (0..rank).collect();
            permutation.swap(rank - 2, rank - 1);
            backend.gather_rows(&backend.transpose(x, &permutation)?, rows)
        };
        let of_a = backend.matrix_product(&relevance, &turned(&self.b)?)?;
        let of_b = backend.matrix_product(&turned(&self.a)?, &relevance)?;
        Ok(vec![backend.sum_to(&of_a, self.a.sample_shape())?, backend.sum_to(&of_b, self.b.sample_shape())?])
    }
}
