//! What is no protobuf, no ONNX, or an ONNX that is not read.

use glocal_onnx::proto::{AttributeProto, FunctionProto, OperatorSetIdProto, SparseTensorProto, TypeProto, type_proto};

use super::Hostile;
use super::build::{block, changed, graph, int, text};

pub(super) fn files() -> Vec<Hostile> {
    let relu = changed(|_| {});
    let with = |more: &[u8]| [relu.as_slice(), more].concat();
    let hostile = |name, says, bytes| Hostile { name, bytes, says };
    vec![
        hostile("no_bytes_of_a_model", "not an ONNX model", vec![0xff; 40]),
        hostile("graph_longer_than_the_file", "cut off", with(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x07])),
        hostile(
            "length_of_64_bits",
            "cut off",
            with(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ),
        hostile("node_longer_than_the_graph", "damaged", with(&block(7, &[0x0a, 0x7f]))),
        hostile(
            "number_of_more_than_64_bits",
            "more than 64 bits",
            with(&block(7, &[&[0x08], [0xff; 11].as_slice()].concat())),
        ),
        hostile("field_number_zero", "starts no protobuf field", with(&block(7, &[0x02, 0x00]))),
        hostile("group_in_the_graph", "starts no protobuf field", with(&block(7, &[0x0b, 0x0c]))),
        hostile("nodes_as_numbers", "another one in ONNX", with(&block(7, &[0x08, 0x01]))),
        hostile("types_nested_without_end", "damaged", with(&block(7, &block(11, &block(2, &nested_type()))))),
        hostile("no_graph", "no graph", changed(|model| model.graph = None)),
        hostile("no_opset", "imports no operator set", changed(|model| model.opset_import.clear())),
        hostile("opset_of_the_future", "opset", changed(|model| opset(model, i64::MAX))),
        hostile("opset_negative", "opset", changed(|model| opset(model, i64::MIN))),
        hostile(
            "opset_twice",
            "in two versions",
            changed(|model| model.opset_import.push(OperatorSetIdProto { domain: "ai.onnx".to_owned(), version: 3 })),
        ),
        hostile(
            "sparse_initializer",
            "sparse",
            changed(|model| graph(model).sparse_initializer.push(SparseTensorProto::default())),
        ),
        hostile(
            "function_call",
            "function",
            changed(|model| {
                model.functions.push(FunctionProto { name: "Relu".to_owned(), ..FunctionProto::default() });
            }),
        ),
        hostile("node_without_operator", "no operator type", changed(|model| graph(model).node[0].op_type.clear())),
        hostile(
            "operator_of_a_foreign_domain",
            "com.example",
            changed(|model| "com.example".clone_into(&mut graph(model).node[0].domain)),
        ),
        hostile(
            "operator_unknown",
            "not supported",
            changed(|model| "Warp".clone_into(&mut graph(model).node[0].op_type)),
        ),
        hostile(
            "attribute_unknown",
            "attributes that are not supported",
            changed(|model| graph(model).node[0].attribute.push(int("turbo", 1))),
        ),
        hostile(
            "attribute_twice",
            "occurs twice",
            changed(|model| graph(model).node[0].attribute = vec![int("axis", 1), int("axis", 2)]),
        ),
        hostile(
            "attribute_of_unknown_type",
            "unknown type code",
            changed(|model| graph(model).node[0].attribute.push(AttributeProto { r#type: 99, ..int("axis", 1) })),
        ),
        hostile(
            "attribute_without_value",
            "has no value",
            changed(|model| {
                graph(model).node[0].attribute.push(AttributeProto { i: None, r#type: 4, ..int("value", 1) });
            }),
        ),
        hostile(
            "attribute_not_utf8",
            "not UTF-8",
            changed(|model| graph(model).node[0].attribute.push(text("auto_pad", b"\xff\xfe"))),
        ),
        hostile(
            "attribute_of_a_function",
            "function parameter",
            changed(|model| {
                let attribute = AttributeProto { ref_attr_name: "outer".to_owned(), ..int("axis", 1) };
                graph(model).node[0].attribute.push(attribute);
            }),
        ),
        hostile(
            "input_is_a_sequence",
            "is no tensor",
            changed(|model| {
                let value = type_proto::Value::SequenceType(type_proto::Sequence { elem_type: None });
                graph(model).input[0].r#type = Some(TypeProto { value: Some(value), ..TypeProto::default() });
            }),
        ),
    ]
}

fn opset(model: &mut glocal_onnx::proto::ModelProto, version: i64) {
    model.opset_import[0].version = version;
}

/// Sequences of sequences.
fn nested_type() -> Vec<u8> {
    let mut kind = Vec::new();
    for _ in 0..200 {
        kind = block(4, &block(1, &kind));
    }
    kind
}
