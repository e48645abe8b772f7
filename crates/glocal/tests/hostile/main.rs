//! Graphs that a hostile file may hold: small to write, enormous to run. They must end in errors, at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use glocal::model::{ImportOptions, Model};
use glocal_compute::CpuBackend;
use glocal_onnx::{Attribute, Data, Dimension, ElementType, Graph, Node, Tensor, ValueInfo};

fn node(op_type: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) -> Node {
    Node {
        name: output.to_owned(),
        op_type: op_type.to_owned(),
        domain: String::new(),
        inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
        outputs: vec![output.to_owned()],
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        metadata: BTreeMap::new(),
    }
}

fn constant(name: &str, shape: &[usize], data: Data, element_type: ElementType) -> (String, Tensor) {
    (name.to_owned(), Tensor { name: name.to_owned(), shape: shape.to_vec(), element_type, data })
}

/// What reading a graph with an input `x` of one 3×8×8 image and an output `y` says.
fn error_of(nodes: Vec<Node>, initializers: Vec<(String, Tensor)>) -> String {
    let value = |name: &str, shape: Option<Vec<Dimension>>| ValueInfo {
        name: name.to_owned(),
        element_type: ElementType::Float32,
        shape,
    };
    let shape =
        vec![Dimension::Named("batch".to_owned()), Dimension::Fixed(3), Dimension::Fixed(8), Dimension::Fixed(8)];
    let onnx = glocal_onnx::Model {
        ir_version: 8,
        opset_imports: BTreeMap::from([(String::new(), 17)]),
        producer_name: String::new(),
        producer_version: String::new(),
        graph: Graph {
            name: String::new(),
            nodes,
            initializers: initializers.into_iter().collect(),
            inputs: vec![value("x", Some(shape))],
            outputs: vec![value("y", None)],
            metadata: BTreeMap::new(),
        },
        metadata: BTreeMap::new(),
        external_files: Vec::new(),
    };
    let error = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new())).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

fn integers(name: &str, values: &[i64]) -> (String, Tensor) {
    constant(name, &[values.len()], Data::I64(values.to_vec()), ElementType::Int64)
}

#[test]
fn padding_to_an_enormous_plane_is_refused() {
    let pads = integers("pads", &[0, 0, 1 << 30, 1 << 30, 0, 0, 1 << 30, 1 << 30]);
    let text = error_of(vec![node("Pad", &["x", "pads"], "y", &[])], vec![pads]);
    assert!(text.contains("\"y\" (Pad)") && text.contains("too large"), "{text}");
}

#[test]
fn a_convolution_padded_to_an_enormous_plane_is_refused() {
    let weight = constant("w", &[1, 3, 1, 1], Data::F32(vec![1.0; 3]), ElementType::Float32);
    let attributes = [("pads", Attribute::Ints(vec![1 << 31; 4])), ("strides", Attribute::Ints(vec![1 << 31; 2]))];
    let text = error_of(vec![node("Conv", &["x", "w"], "y", &attributes)], vec![weight]);
    assert!(text.contains("\"y\" (Conv)") && text.contains("padding"), "{text}");
}

#[test]
fn concatenations_that_double_are_refused() {
    let axis = |axis| [("axis", Attribute::Int(axis))];
    let mut nodes = vec![node("Shape", &["x"], "s0", &[])];
    for step in 0..60 {
        let (from, to) = (format!("s{step}"), format!("s{}", step + 1));
        nodes.push(node("Concat", &[&from, &from], &to, &axis(0)));
    }
    nodes.push(node("Reshape", &["x", "s60"], "y", &[]));
    let text = error_of(nodes, vec![]);
    assert!(text.contains("a constant of more than 65536 elements beyond"), "{text}");

    let mut nodes = Vec::new();
    for step in 0..60 {
        let from = if step == 0 { "x".to_owned() } else { format!("c{step}") };
        let to = if step == 59 { "y".to_owned() } else { format!("c{}", step + 1) };
        nodes.push(node("Concat", &[&from, &from], &to, &axis(1)));
    }
    let text = error_of(nodes, vec![]);
    assert!(text.contains("too large"), "{text}");
}

#[test]
fn an_empty_slice_is_refused() {
    let lists = vec![integers("from", &[4]), integers("to", &[2]), integers("axes", &[2])];
    let text = error_of(vec![node("Slice", &["x", "from", "to", "axes"], "y", &[])], lists);
    assert!(text.contains("\"y\" (Slice)") && text.contains("no elements"), "{text}");
}

#[test]
fn sizes_that_overflow_are_refused() {
    let smallest = integers("smallest", &[i64::MIN]);
    let minus_one = integers("minus_one", &[-1]);
    let nodes = vec![
        node("Shape", &["x"], "shape", &[("end", Attribute::Int(1))]),
        node("Mul", &["shape", "smallest"], "product", &[]),
        node("Div", &["product", "minus_one"], "ratio", &[]),
        node("Reshape", &["x", "ratio"], "y", &[]),
    ];
    let text = error_of(nodes, vec![smallest, minus_one]);
    assert!(text.contains("(Div)"), "{text}");

    let parts = integers("parts", &[i64::MAX, i64::MAX, 5]);
    let mut split = node("Split", &["x", "parts"], "y", &[("axis", Attribute::Int(1))]);
    split.outputs.extend(["z".to_owned(), "u".to_owned()]);
    let text = error_of(vec![split], vec![parts]);
    assert!(text.contains("\"y\" (Split)") && text.contains("add up"), "{text}");
}

#[test]
fn activations_of_different_ranks_are_not_broadcast() {
    let nodes = vec![node("Flatten", &["x"], "flat", &[]), node("Add", &["x", "flat"], "y", &[])];
    let text = error_of(nodes, vec![]);
    assert!(text.contains("\"y\" (Add)") && text.contains("[3, 8, 8]"), "{text}");
}
