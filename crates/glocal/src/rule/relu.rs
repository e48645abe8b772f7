//! The gradient's relatives: other ways back through a ReLU.

use std::borrow::Cow;

use glocal_compute::backend::Map;
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{Op, OpKind, Patch, Propagate, Within, single};
use crate::rule::{Reads, Rule};

/// `R_in = R⁺`.
///
/// Domain: ReLU. Does not conserve relevance.
/// Source: Zeiler and Fergus 2014, doi 10.1007/978-3-319-10590-1_53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeconvNet;

/// `R_in = R·[z > 0]·[R > 0]`, `z` being positive where `x` is.
///
/// Domain: ReLU. Does not conserve relevance.
/// Source: Springenberg et al. 2015, arXiv 1412.6806.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuidedBackprop;

/// `R_in = R·σ(βx)`: the gradient of a softplus of sharpness β in place of the ReLU.
///
/// Domain: ReLU. Does not conserve relevance.
/// Source: Dombrowski et al. 2019, arXiv 1906.07983.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaSmooth {
    /// β; positive. Default: 10.
    pub beta: f32,
}

impl Default for BetaSmooth {
    fn default() -> Self {
        Self { beta: 10.0 }
    }
}

impl Rule for DeconvNet {
    fn describe(&self) -> String {
        "DeconvNet".to_owned()
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        needs_relu(op)
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn prepare(
        &self,
        _: &dyn Backend,
        _: &dyn Op,
        _: &[&Tensor],
        _: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(Weighted { positive: true, weight: None }))
    }
}

impl Rule for GuidedBackprop {
    fn describe(&self) -> String {
        "GuidedBackprop".to_owned()
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        needs_relu(op)
    }

    fn reads(&self) -> Reads {
        Reads::Inputs
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        _: &dyn Op,
        inputs: &[&Tensor],
        _: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let weight = backend.map(single("GuidedBackprop", inputs)?, Map::IsPositive)?;
        Ok(Box::new(Weighted { positive: true, weight: Some(weight) }))
    }
}

impl Rule for BetaSmooth {
    fn describe(&self) -> String {
        format!("BetaSmooth(beta={})", self.beta)
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        needs_relu(op)
    }

    fn reads(&self) -> Reads {
        Reads::Inputs
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        _: &dyn Op,
        inputs: &[&Tensor],
        _: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let scaled = backend.map(single("BetaSmooth", inputs)?, Map::Affine { factor: self.beta, offset: 0.0 })?;
        let weight = Some(backend.map(&scaled, Map::Sigmoid)?);
        Ok(Box::new(Weighted { positive: false, weight }))
    }
}

fn needs_relu(op: &dyn Op) -> Result<(), Cow<'static, str>> {
    if op.kind() == OpKind::Relu { Ok(()) } else { Err("a ReLU".into()) }
}

/// `R` or `R⁺`, times a weight of each sample.
#[derive(Debug)]
struct Weighted {
    positive: bool,
    weight: Option<Tensor>,
}

impl Propagate for Weighted {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let relevance = if self.positive { backend.map_owned(relevance, Map::Positive)? } else { relevance };
        match &self.weight {
            Some(weight) => Ok(vec![backend.multiply_rows(relevance, rows, weight)?]),
            None => Ok(vec![relevance]),
        }
    }

    fn within(&self, backend: &dyn Backend, patch: &Patch, sample: usize) -> Result<Option<Within>, ComputeError> {
        let weight = self.weight.as_ref().map(|weight| patch.cut(backend, weight, sample)).transpose()?;
        let rule = Box::new(Self { positive: self.positive, weight });
        Ok(Some(Within { rule, inputs: vec![patch.clone()] }))
    }
}
