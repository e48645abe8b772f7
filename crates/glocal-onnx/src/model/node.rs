//! One node: an operator with its inputs, outputs and attributes.

use std::collections::BTreeMap;

use super::{Attribute, entries, plain_domain};
use crate::error::{AttributeProblem, NodePlace, OnnxError, OnnxErrorKind};
use crate::proto::NodeProto;
use crate::tensor::Decoder;

/// An operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name; may be empty, and need not be unique.
    pub name: String,
    /// The operator, such as `Conv`.
    pub op_type: String,
    /// The operator's domain; ONNX's own is the empty string.
    pub domain: String,
    /// Names of the input values in order. An empty name is an optional input left out.
    pub inputs: Vec<String>,
    /// Names of the output values in order. An empty name is an optional output left out.
    pub outputs: Vec<String>,
    /// Attributes that the file gives, by name; the operator's defaults are not filled in.
    pub attributes: BTreeMap<String, Attribute>,
    /// Free-form notes of the exporter by key, such as the module a node came from.
    pub metadata: BTreeMap<String, String>,
}

impl Node {
    pub(super) fn from_proto(index: usize, proto: NodeProto, decoder: &mut Decoder<'_>) -> Result<Self, OnnxError> {
        let place = NodePlace { index, name: proto.name, op_type: proto.op_type };
        if place.op_type.is_empty() {
            return Err(OnnxErrorKind::MissingOperator { node: place }.into());
        }
        let mut attributes = BTreeMap::new();
        for mut attribute in proto.attribute {
            let name = std::mem::take(&mut attribute.name);
            let value = Attribute::from_proto(attribute, &name, &place, decoder)?;
            if attributes.insert(name.clone(), value).is_some() {
                let problem = AttributeProblem::Duplicate;
                return Err(OnnxErrorKind::Attribute { node: place, attribute: name, problem }.into());
            }
        }
        Ok(Self {
            name: place.name,
            op_type: place.op_type,
            domain: plain_domain(&proto.domain).to_owned(),
            inputs: proto.input,
            outputs: proto.output,
            attributes,
            metadata: entries(proto.metadata_props),
        })
    }
}
