//! Short ways to say models.

use glocal_onnx::proto::tensor_shape_proto::{Dimension, dimension};
use glocal_onnx::proto::{
    AttributeProto, AttributeType, DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use prost::Message;
use prost::bytes::Bytes;

/// A model from `x`, one 3×8×8 image, to `y`.
pub(super) fn model(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let input = value("x", DataType::Float, &[1, 3, 8, 8]);
    let output = value("y", DataType::Float, &[]);
    let graph = GraphProto { node: nodes, initializer, input: vec![input], output: vec![output], ..Default::default() };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 18 }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// The bytes of such a model.
pub(super) fn file(nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> Vec<u8> {
    model(nodes, initializers).encode_to_vec()
}

/// The bytes of a model that is one ReLU, changed.
pub(super) fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = model(vec![node("Relu", &["x"], "y", vec![])], vec![]);
    change(&mut model);
    model.encode_to_vec()
}

/// The graph of a model.
pub(super) fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.get_or_insert_default()
}

pub(super) fn node(op_type: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: output.to_owned(),
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attributes,
        ..NodeProto::default()
    }
}

pub(super) fn value(name: &str, kind: DataType, sizes: &[i64]) -> ValueInfoProto {
    let dimension = |&size: &i64| Dimension { value: Some(dimension::Value::DimValue(size)), ..Default::default() };
    let shape = (!sizes.is_empty()).then(|| TensorShapeProto { dim: sizes.iter().map(dimension).collect() });
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(r#type), ..ValueInfoProto::default() }
}

/// A constant of ones.
pub(super) fn floats(name: &str, sizes: &[i64]) -> TensorProto {
    let count = usize::try_from(sizes.iter().product::<i64>()).unwrap_or(0);
    let raw: Vec<u8> = std::iter::repeat_n(1.0_f32.to_le_bytes(), count).flatten().collect();
    tensor(name, DataType::Float, sizes, raw)
}

/// A list of integers.
pub(super) fn integers(name: &str, values: &[i64]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, DataType::Int64, &[values.len() as i64], raw)
}

pub(super) fn tensor(name: &str, kind: DataType, sizes: &[i64], raw: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: sizes.to_vec(),
        data_type: kind as i32,
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    let r#type = AttributeType::Int as i32;
    AttributeProto { name: name.to_owned(), i: Some(value), r#type, ..AttributeProto::default() }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.to_owned(), ints: values.to_vec(), r#type, ..AttributeProto::default() }
}

pub(super) fn text(name: &str, value: &'static [u8]) -> AttributeProto {
    let r#type = AttributeType::String as i32;
    AttributeProto { name: name.to_owned(), s: Some(Bytes::from_static(value)), r#type, ..AttributeProto::default() }
}

/// A field that is a block of bytes.
pub(super) fn block(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}
