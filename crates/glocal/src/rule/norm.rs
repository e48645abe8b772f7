//! Norm: each input by its share of the output, for linear ops without parameters.

use std::borrow::Cow;

use glocal_compute::backend::{Map, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{Absorbed, Budget, DefaultRule, Op, Patch, Propagate, Within};
use crate::rule::stabilizer::Denominator;
use crate::rule::terms::total;
use crate::rule::{Rule, Stabilizer};

/// `R_i = x_i · fᵢᵀ(R / s(z))` for each input `x_i` of a sum, an average or another linear op.
///
/// Domain: linear ops; with parameters it equals [`Epsilon`](crate::rule::Epsilon). Conserves relevance but for
/// constants and the stabilizer.
/// Source: Bach et al. 2015, doi 10.1371/journal.pone.0130140, eq. 58.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Norm {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
}

impl Rule for Norm {
    fn describe(&self) -> String {
        format!("Norm({})", self.stabilizer.describe())
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        let linear = op.affine().is_some()
            || op.offset().is_some()
            || matches!(op.default_rule(), DefaultRule::Norm | DefaultRule::Follow);
        if linear { Ok(()) } else { Err("a linear op".into()) }
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(Shares::new(backend, op, inputs, output, &self.stabilizer, 1.0)?))
    }
}

/// `factor · x_i · fᵢᵀ(R / s(z))` for each input, in which the op is linear but for an offset.
#[derive(Debug)]
pub(super) struct Shares {
    linear: Box<dyn Propagate>,
    inputs: Vec<Tensor>,
    denominator: Denominator,
    /// The share of each input, where the op is linear in each alone; 1 where it is in all together.
    factor: f32,
    /// What the op adds to its linear part, `[1, ...]` or broadcast to it.
    offset: Option<Tensor>,
}

impl Shares {
    pub(super) fn new(
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
        stabilizer: &Stabilizer,
        factor: f32,
    ) -> Result<Self, ComputeError> {
        let offset = match op.affine() {
            Some(affine) => Some(affine.bias_part(backend, crate::op::Part::Whole, output.sample_shape())?),
            None => op.offset().cloned(),
        };
        Ok(Self {
            linear: op.linearize(backend, inputs, output)?,
            inputs: inputs.iter().map(|&x| x.clone()).collect(),
            denominator: stabilizer.denominator(backend, output.clone())?,
            factor,
            offset,
        })
    }
}

impl Propagate for Shares {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let mut ratio = backend.divide_rows(relevance, rows, &self.denominator.stabilized)?;
        if self.factor != 1.0 {
            ratio = backend.map_owned(ratio, Map::Affine { factor: self.factor, offset: 0.0 })?;
        }
        let shares = self.linear.propagate(backend, ratio, rows)?;
        shares.into_iter().zip(&self.inputs).map(|(share, x)| backend.multiply_rows(share, rows, x)).collect()
    }

    fn within(&self, backend: &dyn Backend, patch: &Patch, sample: usize) -> Result<Option<Within>, ComputeError> {
        let Some(Within { rule: linear, inputs: patches }) = self.linear.within(backend, patch, sample)? else {
            return Ok(None);
        };
        let inputs = self.inputs.iter().zip(&patches).map(|(x, patch)| patch.cut(backend, x, sample));
        let shares = Self {
            linear,
            inputs: inputs.collect::<Result<Vec<_>, _>>()?,
            denominator: self.denominator.within(backend, patch, sample)?,
            factor: self.factor,
            offset: None,
        };
        Ok(Some(Within { rule: Box::new(shares), inputs: patches }))
    }

    fn account(&self, backend: &dyn Backend, relevance: &Tensor, rows: &Rows) -> Result<Budget, ComputeError> {
        let ratio = backend.divide_rows(relevance.clone(), rows, &self.denominator.stabilized)?;
        let excess = backend.multiply_rows(ratio.clone(), rows, &self.denominator.excess(backend)?)?;
        let bias = match &self.offset {
            Some(offset) => total(&backend.zip(&ratio, offset, Zip::Multiply)?),
            None => 0.0,
        };
        Ok(Budget::Absorbed(Absorbed { bias, stabilizer: total(&excess), definition: 0.0 }))
    }
}
