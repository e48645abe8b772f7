//! Merges batch normalisations, and constants that scale or shift channels, into the affine op before them: `γ'·(W·x + b) + β'` is `(γ'·W)·x + (γ'·b + β')`.
//!
//! Only where nothing else takes the affine op's value. A chain of them (a scale, then a shift) merges as a whole.

use std::sync::Arc;

use glocal_compute::{ComputeError, Tensor};

use crate::canonizer::rewrite::{Change, rewrite};
use crate::error::ModelError;
use crate::model::{Model, Node, NodeId};
use crate::op::batch_normalization::BatchNormalization;
use crate::op::convolution::Convolution;
use crate::op::convolution_transpose::ConvolutionTranspose;
use crate::op::dense::Dense;
use crate::op::{Op, Parameters, Structure};

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    let graph = model.graph();
    let consumers = graph.consumer_counts();
    // For each affine node, the normalisations that follow it, in order.
    let mut chains: Vec<Vec<BatchNormalization>> = vec![Vec::new(); graph.len()];
    let mut merged_into: Vec<Option<NodeId>> = vec![None; graph.len()];
    for (id, node) in graph.nodes() {
        let [below] = node.inputs.as_slice() else { continue };
        let Some(normalization) =
            per_channel(node).map_err(|cause| ModelError::from(cause).at(&node.name, &node.op_type))?
        else {
            continue;
        };
        let affine = merged_into[below.index()].unwrap_or(*below);
        let affine_node = graph.node(affine);
        let channels_first = match affine_node.op.structure() {
            Structure::Convolution(_) | Structure::ConvolutionTranspose(_) => true,
            // A dense layer's features are its last axis, which is the channel only for vectors.
            Structure::Dense(_) => affine_node.shape.len() == 1,
            _ => false,
        };
        let explained_below = *below == model.explained() || *below == model.output();
        if channels_first && consumers[below.index()] == 1 && !explained_below {
            chains[affine.index()].push(normalization);
            merged_into[id.index()] = Some(affine);
        }
    }
    let mut replacements: Vec<Option<Arc<dyn Op>>> = Vec::with_capacity(graph.len());
    for (id, node) in graph.nodes() {
        let chain = &chains[id.index()];
        let at = |cause| ModelError::from(cause).at(&node.name, &node.op_type);
        replacements.push(match node.op.structure() {
            _ if chain.is_empty() => None,
            Structure::Convolution(op) => {
                let parameters = merged_rows(&op.parameters, chain).map_err(at)?;
                Some(Arc::new(Convolution { parameters, geometry: op.geometry.clone() }))
            }
            Structure::ConvolutionTranspose(op) => {
                let [inputs, outputs] = [op.parameters.weight().batch(), op.parameters.weight().shape()[1]];
                let kernel: usize = op.parameters.weight().shape()[2..].iter().product();
                let (group, of_group) = (op.geometry.group, inputs / op.geometry.group);
                // Weights are [in, out / group, kernel...]: the input's group says which outputs are meant.
                let channel = move |index: usize| {
                    let (input, output) = (index / (outputs * kernel), index / kernel % outputs);
                    (input / of_group.max(1)) * outputs + output
                };
                let parameters = merged(&op.parameters, chain, outputs * group, channel).map_err(at)?;
                Some(Arc::new(ConvolutionTranspose { parameters, ..op.clone() }))
            }
            Structure::Dense(op) => {
                let parameters = merged_rows(&op.parameters, chain).map_err(at)?;
                Some(Arc::new(Dense { parameters }))
            }
            _ => None,
        });
    }
    rewrite(model, |id, _| match &replacements[id.index()] {
        Some(op) => Change::Replace(Arc::clone(op)),
        None if merged_into[id.index()].is_some() => Change::Absorb,
        None => Change::Keep,
    })
}

/// What a node does to each channel, if it scales and shifts channels: one number for all of them included.
fn per_channel(node: &Node) -> Result<Option<BatchNormalization>, ComputeError> {
    let channels = node.shape.first().copied().unwrap_or(1);
    let (scale, shift) = match node.op.structure() {
        Structure::ChannelAffine(normalization) => return Ok(Some(normalization.clone())),
        Structure::MultiplyConstant(factor) if factor.len() == 1 => (factor.data()[0], 0.0),
        Structure::AddConstant(offset) if offset.len() == 1 => (1.0, offset.data()[0]),
        _ => return Ok(None),
    };
    Ok(Some(BatchNormalization { scale: Tensor::full([channels], scale)?, shift: Tensor::full([channels], shift)? }))
}

/// [`merged`] for weights whose axis 0 is the output channel.
fn merged_rows(parameters: &Parameters, chain: &[BatchNormalization]) -> Result<Arc<Parameters>, ComputeError> {
    let row = parameters.weight().row_len().max(1);
    merged(parameters, chain, parameters.weight().batch(), |index| index / row)
}

/// The parameters with every normalisation of `chain` applied to the op's `channels` outputs, in double precision;
/// `channel_of` says which output a weight belongs to.
fn merged(
    parameters: &Parameters,
    chain: &[BatchNormalization],
    channels: usize,
    channel_of: impl Fn(usize) -> usize,
) -> Result<Arc<Parameters>, ComputeError> {
    let weight = parameters.weight();
    let mut scale = vec![1.0f64; channels];
    let mut shift: Vec<f64> = match parameters.bias() {
        Some(bias) => bias.data().iter().map(|&value| f64::from(value)).collect(),
        None => vec![0.0; channels],
    };
    for normalization in chain {
        let parameters = normalization.scale.data().iter().zip(normalization.shift.data());
        for ((scale, shift), (&factor, &offset)) in scale.iter_mut().zip(&mut shift).zip(parameters) {
            *scale *= f64::from(factor);
            *shift = *shift * f64::from(factor) + f64::from(offset);
        }
    }
    let scaled = weight.data().iter().enumerate();
    let scaled = scaled.map(|(index, &value)| (f64::from(value) * scale[channel_of(index)]) as f32).collect();
    let weight = Tensor::new(weight.shape(), scaled)?;
    let bias = Tensor::new([channels], shift.into_iter().map(|value| value as f32).collect())?;
    Ok(Parameters::new(weight, Some(bias)))
}
