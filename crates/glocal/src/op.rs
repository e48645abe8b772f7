//! What a node computes: one struct an op, its attributes named as in ONNX, behind one trait.
//!
//! Every op treats axis 0 as the batch and never mixes samples. An op knows its forward function and its linearization
//! ([`Op::linearize`]); a parameterised affine op also gives access to itself with changed weights ([`Affine`]), which
//! is all that the relevance rules need.

pub mod activation;
pub mod affine;
pub mod arithmetic;
pub mod batch_normalization;
pub mod convolution;
pub mod convolution_transpose;
pub mod dense;
mod kind;
pub mod layout;
pub mod matrix_product;
pub mod normalization;
pub mod p_relu;
mod patch;
pub mod pool;
pub mod reduce;
pub mod resample;
pub mod softmax;
mod sparse;

use std::fmt;

use glocal_compute::{Backend, ComputeError, Rows, Tensor};

pub use affine::{Affine, Parameters, Part, Patches};
pub use kind::{OpClass, OpKind};
pub(crate) use patch::Grown;
pub use patch::{Patch, Within};

/// A node's function.
pub trait Op: fmt::Debug + Send + Sync {
    /// What kind of op it is: what composites select by.
    fn kind(&self) -> OpKind;

    /// The shape of the output of one sample, given those of the inputs (batch left out everywhere).
    ///
    /// # Errors
    /// When the op cannot be applied to these shapes.
    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError>;

    /// The output `[N, ...]` for inputs `[N, ...]`.
    ///
    /// # Errors
    /// When the inputs' shapes do not fit.
    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError>;

    /// The same for inputs that nobody needs any more: their memory may become the output's. Default: [`forward`](Self::forward).
    ///
    /// # Errors
    /// When the inputs' shapes do not fit.
    fn forward_owned(&self, backend: &dyn Backend, inputs: Vec<Tensor>) -> Result<Tensor, ComputeError> {
        self.forward(backend, &inputs.iter().collect::<Vec<_>>())
    }

    /// The op's vector-Jacobian product at `inputs`, to be applied to any number of vectors.
    ///
    /// # Errors
    /// When the inputs' shapes do not fit.
    fn linearize(
        &self,
        backend: &dyn Backend,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError>;

    /// About how many multiply-adds one sample takes, forward or back, given the shapes of the inputs and the output (batch
    /// left out everywhere). Plans are made by it; results do not depend on it. Default: one for each element of the inputs
    /// and the output.
    fn multiply_adds(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        inputs.iter().copied().chain([output]).map(elements).sum()
    }

    /// How relevance passes when the composite has no rule for the node.
    fn default_rule(&self) -> DefaultRule;

    /// The op with its weights exposed, when it is affine in its one input with parameters of its own.
    fn affine(&self) -> Option<&dyn Affine> {
        None
    }

    /// The constant that the op adds to a linear function of its inputs, when it has no parameters of its own.
    fn offset(&self) -> Option<&Tensor> {
        None
    }

    /// The op as a change of the graph that canonizers look for.
    fn structure(&self) -> Structure<'_> {
        Structure::Other
    }
}

/// Hands what arrives at a node's output down to its inputs. Linear in `relevance`.
pub trait Propagate: fmt::Debug + Send + Sync {
    /// For each input of the node, what reaches it: `[R, ...]` for `relevance` `[R, ...]`, whose row `i` belongs to
    /// sample `rows[i]` of the activations that this was prepared with. What only `relevance` holds may be overwritten.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError>;

    /// The same for the last time: what this holds can go as soon as it has been read. Default: it goes at the end.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn propagate_once(
        self: Box<Self>,
        backend: &dyn Backend,
        relevance: Tensor,
        rows: &Rows,
    ) -> Result<Vec<Tensor>, ComputeError> {
        self.propagate(backend, relevance, rows)
    }

    /// The same for relevance that is zero outside of `patch` of the output, of one `sample` of those that this was prepared
    /// with; `None` when it knows of none. Default: `None`, and relevance is propagated in the whole output.
    ///
    /// # Errors
    /// When the patch does not lie in the output.
    fn within(&self, backend: &dyn Backend, patch: &Patch, sample: usize) -> Result<Option<Within>, ComputeError> {
        let _ = (backend, patch, sample);
        Ok(None)
    }

    /// What becomes of the relevance that is not handed down.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn account(&self, backend: &dyn Backend, relevance: &Tensor, rows: &Rows) -> Result<Budget, ComputeError> {
        let _ = (backend, relevance, rows);
        Ok(Budget::None)
    }
}

/// How a node keeps the budget that relevance is.
#[derive(Debug, Clone, PartialEq)]
pub enum Budget {
    /// All of it is handed down.
    Kept,
    /// A part of it is kept, summed over the batch.
    Absorbed(Absorbed),
    /// It keeps none: what it hands down is a gradient, or is scaled by definition.
    None,
}

/// Relevance that a node keeps, by cause, summed over the batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Absorbed {
    /// The share of biases and constants.
    pub bias: f64,
    /// What the stabilizer of the denominator takes.
    pub stabilizer: f64,
    /// What the rule's definition leaves out.
    pub definition: f64,
}

/// How relevance passes through an op that has no rule of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefaultRule {
    /// Each input by its share of the output: sums and averages.
    Norm,
    /// Unchanged: activations and normalisations.
    Pass,
    /// Along the elements: the vector-Jacobian product of ops that only move, copy or choose elements.
    Follow,
    /// By what the factors of a product are: all to the signal where the other factor is a gate, else half to each.
    Factors,
    /// There is none: the composite must name a rule.
    Required,
}

/// What canonizers need to see of an op.
#[derive(Debug)]
#[non_exhaustive]
pub enum Structure<'a> {
    /// The output is the input: Identity, Dropout at inference, casts between float types.
    Identity,
    /// `x · scale + shift` per channel.
    ChannelAffine(&'a batch_normalization::BatchNormalization),
    /// A convolution, whose output channels can be scaled and shifted.
    Convolution(&'a convolution::Convolution),
    /// A transposed convolution, whose output channels can be scaled and shifted.
    ConvolutionTranspose(&'a convolution_transpose::ConvolutionTranspose),
    /// A dense layer, whose output features can be scaled and shifted.
    Dense(&'a dense::Dense),
    /// An element-wise function; a sigmoid at the end of a model turns logits into probabilities, like a softmax.
    Activation(activation::Activation),
    /// The product of two activations, which may be a decomposed activation.
    Product,
    /// The sum of activations with their signs: a difference may be the first step of a decomposed normalisation.
    Sum(&'a arithmetic::Sum),
    /// Axes folded to one number: a mean may belong to a decomposed normalisation.
    Reduce(&'a reduce::Reduce),
    /// The sum of an activation and a constant, `[1, ...]`.
    AddConstant(&'a Tensor),
    /// The product of an activation and a constant, `[1, ...]`.
    MultiplyConstant(&'a Tensor),
    /// Axes in another order.
    Transpose(&'a layout::Transpose),
    /// Turns logits into probabilities: not explained at the end of a model.
    Softmax,
    /// Anything else.
    Other,
}

/// The number of elements of a shape.
pub(crate) fn elements(shape: &[usize]) -> u64 {
    shape.iter().map(|&size| size as u64).product()
}

/// The one input of an op that takes one.
pub(crate) fn single<'a, T: ?Sized>(operation: &'static str, inputs: &[&'a T]) -> Result<&'a T, ComputeError> {
    match inputs {
        [input] => Ok(input),
        _ => Err(input_count(operation, "1", inputs.len())),
    }
}

/// The error of an op that was given `given` inputs.
pub(crate) fn input_count(operation: &'static str, expected: &'static str, given: usize) -> ComputeError {
    attribute(operation, "inputs", format!("expected {expected}, got {given}"))
}

/// The error of an op with an attribute that makes no sense for its inputs.
pub(crate) fn attribute(operation: &'static str, name: &'static str, reason: String) -> ComputeError {
    ComputeError::new(operation, glocal_compute::ComputeErrorKind::Attribute { name, reason })
}
