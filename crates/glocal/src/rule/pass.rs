//! Pass: relevance unchanged.

use std::borrow::Cow;

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::activation::Unchanged;
use crate::op::{Op, Propagate, single};
use crate::rule::{Reads, Rule};

/// `R_in = R`.
///
/// Domain: ops with one input of the output's shape (activations, normalisations). Conserves relevance exactly.
/// Source: the convention of Bach et al. 2015, doi 10.1371/journal.pone.0130140, for element-wise activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass;

impl Rule for Pass {
    fn describe(&self) -> String {
        "Pass".to_owned()
    }

    fn accepts(&self, _: &dyn Op, inputs: &[&[usize]], output: &[usize]) -> Result<(), Cow<'static, str>> {
        match inputs {
            [input] if *input == output => Ok(()),
            [input] => Err(format!("an input of the output's shape; they are {input:?} and {output:?}").into()),
            _ => Err("an op with one input".into()),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn prepare(
        &self,
        _: &dyn Backend,
        _: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let x = single("Pass", inputs)?;
        if x.sample_shape() == output.sample_shape() {
            Ok(Box::new(Unchanged))
        } else {
            Err(ComputeError::shapes("Pass", x.shape(), output.shape()))
        }
    }
}
