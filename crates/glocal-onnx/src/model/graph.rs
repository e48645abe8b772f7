//! The graph: nodes, constants, inputs and outputs.

use std::collections::{BTreeMap, BTreeSet};

use super::plain_domain;
use super::{Node, ValueInfo, entries};
use crate::error::{NodePlace, OnnxError, OnnxErrorKind, TensorPlace, TensorProblem};
use crate::proto::{FunctionProto, GraphProto, NodeProto, TensorProto};
use crate::tensor::{Decoder, Tensor};

/// A graph of nodes, in the order of the file, which ONNX requires to be topological. That is not checked here.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Its name; may be empty.
    pub name: String,
    /// Its nodes in the order of the file.
    pub nodes: Vec<Node>,
    /// Its constants by name.
    pub initializers: BTreeMap<String, Tensor>,
    /// Its inputs. Files of IR version 3 list the initializers here as well: see [`data_inputs`](Self::data_inputs).
    pub inputs: Vec<ValueInfo>,
    /// Its outputs.
    pub outputs: Vec<ValueInfo>,
    /// Free-form notes of the exporter by key.
    pub metadata: BTreeMap<String, String>,
}

impl Graph {
    /// The inputs that no initializer gives a value: what a user of the model has to supply.
    pub fn data_inputs(&self) -> impl Iterator<Item = &ValueInfo> {
        self.inputs.iter().filter(|input| !self.initializers.contains_key(&input.name))
    }

    pub(super) fn from_proto(
        proto: GraphProto,
        functions: &[FunctionProto],
        decoder: &mut Decoder<'_>,
    ) -> Result<Self, OnnxError> {
        if let Some(sparse) = proto.sparse_initializer.into_iter().next() {
            let name = sparse.values.map(|values| values.name).unwrap_or_default();
            return Err(OnnxErrorKind::SparseInitializer { name }.into());
        }
        let functions = functions.iter().map(|function| (plain_domain(&function.domain), function.name.as_str()));
        let functions = functions.collect::<BTreeSet<_>>();
        let nodes = proto.node.into_iter().enumerate().map(|(index, node)| {
            refuse_call(index, &node, &functions)?;
            Node::from_proto(index, node, decoder)
        });
        let nodes = nodes.collect::<Result<_, OnnxError>>()?;
        Ok(Self {
            name: proto.name,
            nodes,
            initializers: initializers(proto.initializer, decoder)?,
            inputs: proto.input.into_iter().map(ValueInfo::from_proto).collect::<Result<_, _>>()?,
            outputs: proto.output.into_iter().map(ValueInfo::from_proto).collect::<Result<_, _>>()?,
            metadata: entries(proto.metadata_props),
        })
    }
}

fn refuse_call(index: usize, node: &NodeProto, functions: &BTreeSet<(&str, &str)>) -> Result<(), OnnxError> {
    let domain = plain_domain(&node.domain);
    if !functions.contains(&(domain, node.op_type.as_str())) {
        return Ok(());
    }
    let place = NodePlace { index, name: node.name.clone(), op_type: node.op_type.clone() };
    Err(OnnxErrorKind::FunctionCall { node: place, domain: domain.to_owned() }.into())
}

fn initializers(proto: Vec<TensorProto>, decoder: &mut Decoder<'_>) -> Result<BTreeMap<String, Tensor>, OnnxError> {
    let mut initializers = BTreeMap::new();
    for (index, tensor) in proto.into_iter().enumerate() {
        let place = |name: &str| TensorPlace::Initializer { index, name: name.to_owned() };
        let name = tensor.name.clone();
        if name.is_empty() {
            return Err(OnnxErrorKind::Tensor { tensor: place(&name), problem: TensorProblem::Unnamed }.into());
        }
        let tensor = decoder.decode(tensor, &place)?;
        if initializers.insert(name.clone(), tensor).is_some() {
            return Err(OnnxErrorKind::DuplicateInitializer { name }.into());
        }
    }
    Ok(initializers)
}
