//! What goes into a model and what comes out: its one input, the output that was chosen, and the nodes between.

use std::collections::BTreeSet;

use glocal_onnx::{Dimension, ElementType, ValueInfo};

use crate::error::{ModelError, ModelErrorKind};
use crate::model::ImportOptions;

/// The nodes that `output` depends on, in their order.
pub(super) fn needed(nodes: Vec<glocal_onnx::Node>, output: &str) -> Vec<glocal_onnx::Node> {
    let mut wanted = BTreeSet::from([output.to_owned()]);
    let mut kept: Vec<glocal_onnx::Node> = Vec::new();
    for node in nodes.into_iter().rev() {
        if node.outputs.iter().any(|name| wanted.contains(name)) {
            wanted.extend(node.inputs.iter().filter(|name| !name.is_empty()).cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    kept
}

/// The output that is explained: the one that was chosen, else the only one.
pub(super) fn output_name(graph: &glocal_onnx::Graph, options: &ImportOptions) -> Result<String, ModelError> {
    let names = || graph.outputs.iter().map(|output| output.name.clone());
    match (&options.output, graph.outputs.as_slice()) {
        (Some(name), _) if names().any(|known| known == *name) => Ok(name.clone()),
        (None, [only]) => Ok(only.name.clone()),
        (None, []) => Err(ModelErrorKind::NoOutput.into()),
        _ => Err(ModelErrorKind::Outputs { names: names().collect() }.into()),
    }
}

/// The batch that the file declares for its input, when it is a number.
pub(super) fn declared_batch(graph: &glocal_onnx::Graph) -> Option<i64> {
    match graph.data_inputs().next()?.shape.as_deref()?.first()? {
        Dimension::Fixed(size) => i64::try_from(*size).ok(),
        Dimension::Named(_) | Dimension::Unknown => None,
    }
}

/// The name of the model's input and the shape of one sample.
pub(super) fn input_shape(
    graph: &glocal_onnx::Graph,
    options: &ImportOptions,
) -> Result<(String, Vec<usize>), ModelError> {
    let inputs: Vec<&ValueInfo> = graph.data_inputs().collect();
    let [input] = inputs.as_slice() else {
        let names = inputs.iter().map(|input| input.name.clone()).collect();
        return Err(ModelErrorKind::Inputs { names }.into());
    };
    let float = matches!(
        input.element_type,
        ElementType::Float32 | ElementType::Float16 | ElementType::BFloat16 | ElementType::Float64
    );
    if !float {
        return Err(ModelErrorKind::InputType { name: input.name.clone() }.into());
    }
    let open = || {
        let text = |dimension: &Dimension| match dimension {
            Dimension::Fixed(size) => size.to_string(),
            Dimension::Named(name) => name.clone(),
            Dimension::Unknown => "?".to_owned(),
        };
        let shape = input
            .shape
            .as_ref()
            .map_or("?".to_owned(), |shape| format!("[{}]", shape.iter().map(text).collect::<Vec<_>>().join(", ")));
        ModelError::from(ModelErrorKind::InputShape { name: input.name.clone(), shape })
    };
    let sample = match &input.shape {
        Some(shape) if shape.is_empty() => return Err(open()),
        Some(shape) => Some(&shape[1..]),
        None => None,
    };
    let shape: Vec<usize> = match (&options.input_shape, sample) {
        (Some(given), Some(declared)) => {
            let fits = given.len() == declared.len()
                && given.iter().zip(declared).all(|(size, declared)| match declared {
                    Dimension::Fixed(fixed) => size == fixed,
                    _ => true,
                });
            if fits { given.clone() } else { return Err(open()) }
        }
        (Some(given), None) => given.clone(),
        (None, Some(declared)) => {
            let fixed = |dimension: &Dimension| match dimension {
                Dimension::Fixed(size) => Some(*size),
                _ => None,
            };
            declared.iter().map(fixed).collect::<Option<_>>().ok_or_else(open)?
        }
        (None, None) => return Err(open()),
    };
    if crate::model::graph::is_sensible(&shape) { Ok((input.name.clone(), shape)) } else { Err(open()) }
}
