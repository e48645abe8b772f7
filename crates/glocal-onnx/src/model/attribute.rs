//! Attributes of nodes, by kind.

use prost::bytes::Bytes;

use crate::error::{AttributeProblem, NodePlace, OnnxError, OnnxErrorKind, TensorPlace};
use crate::proto::{AttributeProto, AttributeType, TensorProto};
use crate::tensor::{Decoder, Tensor};

/// The value of an attribute.
///
/// Subgraphs, sparse tensors and types are kept as markers only: a reader that meets one can name it in its error.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// One integer; also how ONNX writes truth values.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// One float.
    Float(f32),
    /// A list of floats.
    Floats(Vec<f32>),
    /// A string.
    String(String),
    /// A list of strings.
    Strings(Vec<String>),
    /// A constant tensor.
    Tensor(Tensor),
    /// A list of constant tensors.
    Tensors(Vec<Tensor>),
    /// A subgraph, as of `If` and `Loop`. Its content is not kept.
    Graph {
        /// Name of the subgraph; may be empty.
        name: String,
    },
    /// A list of subgraphs. Their content is not kept.
    Graphs {
        /// Names of the subgraphs.
        names: Vec<String>,
    },
    /// A sparse tensor. Its content is not kept.
    SparseTensor,
    /// A list of sparse tensors. Their content is not kept.
    SparseTensors,
    /// A type. Its content is not kept.
    Type,
    /// A list of types. Their content is not kept.
    Types,
}

impl Attribute {
    /// What kind of value it is, in words for an error message: `int`, `floats`, `graph`, ...
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::Ints(_) => "ints",
            Self::Float(_) => "float",
            Self::Floats(_) => "floats",
            Self::String(_) => "string",
            Self::Strings(_) => "strings",
            Self::Tensor(_) => "tensor",
            Self::Tensors(_) => "tensors",
            Self::Graph { .. } => "graph",
            Self::Graphs { .. } => "graphs",
            Self::SparseTensor => "sparse tensor",
            Self::SparseTensors => "sparse tensors",
            Self::Type => "type",
            Self::Types => "types",
        }
    }

    pub(super) fn from_proto(
        proto: AttributeProto,
        name: &str,
        node: &NodePlace,
        decoder: &mut Decoder<'_>,
    ) -> Result<Self, OnnxError> {
        let failed = |problem| {
            let (node, attribute) = (node.clone(), name.to_owned());
            OnnxError::from(OnnxErrorKind::Attribute { node, attribute, problem })
        };
        if !proto.ref_attr_name.is_empty() {
            return Err(failed(AttributeProblem::Reference { parameter: proto.ref_attr_name }));
        }
        let mut decode = |tensor: TensorProto| {
            decoder.decode(tensor, &|_| TensorPlace::Attribute { node: node.clone(), attribute: name.to_owned() })
        };
        let missing = || failed(AttributeProblem::MissingValue);
        let text = |bytes: Bytes| {
            std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| failed(AttributeProblem::NotUtf8))
        };
        let kind = AttributeType::try_from(proto.r#type)
            .map_err(|_| failed(AttributeProblem::UnknownType { code: proto.r#type }))?;
        let kind = if kind == AttributeType::Undefined { kind_of_value(&proto) } else { kind };
        Ok(match kind {
            AttributeType::Undefined => return Err(missing()),
            // Some writers leave out a value that equals the default of its type.
            AttributeType::Float => Self::Float(proto.f.unwrap_or_default()),
            AttributeType::Int => Self::Int(proto.i.unwrap_or_default()),
            AttributeType::String => Self::String(text(proto.s.unwrap_or_default())?),
            AttributeType::Floats => Self::Floats(proto.floats),
            AttributeType::Ints => Self::Ints(proto.ints),
            AttributeType::Strings => Self::Strings(proto.strings.into_iter().map(text).collect::<Result<_, _>>()?),
            AttributeType::Tensor => Self::Tensor(decode(*proto.t.ok_or_else(missing)?)?),
            AttributeType::Tensors => Self::Tensors(proto.tensors.into_iter().map(decode).collect::<Result<_, _>>()?),
            AttributeType::Graph => Self::Graph { name: proto.g.ok_or_else(missing)?.name },
            AttributeType::Graphs => Self::Graphs { names: proto.graphs.into_iter().map(|graph| graph.name).collect() },
            AttributeType::SparseTensor => Self::SparseTensor,
            AttributeType::SparseTensors => Self::SparseTensors,
            AttributeType::TypeProto => Self::Type,
            AttributeType::TypeProtos => Self::Types,
        })
    }
}

/// The kind by the field that is set, for files that do not say it.
fn kind_of_value(proto: &AttributeProto) -> AttributeType {
    let candidates = [
        (proto.f.is_some(), AttributeType::Float),
        (proto.i.is_some(), AttributeType::Int),
        (proto.s.is_some(), AttributeType::String),
        (proto.t.is_some(), AttributeType::Tensor),
        (proto.g.is_some(), AttributeType::Graph),
        (!proto.floats.is_empty(), AttributeType::Floats),
        (!proto.ints.is_empty(), AttributeType::Ints),
        (!proto.strings.is_empty(), AttributeType::Strings),
        (!proto.tensors.is_empty(), AttributeType::Tensors),
        (!proto.graphs.is_empty(), AttributeType::Graphs),
        (proto.sparse_tensor.is_some(), AttributeType::SparseTensor),
        (!proto.sparse_tensors.is_empty(), AttributeType::SparseTensors),
        (proto.tp.is_some(), AttributeType::TypeProto),
        (!proto.type_protos.is_empty(), AttributeType::TypeProtos),
    ];
    candidates.iter().find(|(present, _)| *present).map_or(AttributeType::Undefined, |(_, kind)| *kind)
}
