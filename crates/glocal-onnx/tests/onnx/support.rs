//! What the tests of this crate share: the oracle's files and a small model to change.

use std::fs;
use std::path::PathBuf;

use glocal_onnx::proto::{
    DataLocation, DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TypeProto, ValueInfoProto, type_proto,
};

/// The folder of golden files.
pub(crate) fn goldens() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/goldens"))
}

/// All ONNX files of the oracle, sorted.
pub(crate) fn model_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in fs::read_dir(goldens()).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "onnx") {
                files.push(file);
            }
        }
    }
    files.sort();
    files
}

/// One Relu from `x` to `y`.
pub(crate) fn relu_model() -> ModelProto {
    let tensor_type = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor_type)), denotation: String::new() };
    let value = |name: &str| ValueInfoProto { name: name.into(), r#type: Some(kind.clone()), ..Default::default() };
    let relu = NodeProto {
        name: "/relu/Relu".into(),
        op_type: "Relu".into(),
        input: vec!["x".into()],
        output: vec!["y".into()],
        ..Default::default()
    };
    let graph =
        GraphProto { node: vec![relu], input: vec![value("x")], output: vec![value("y")], ..GraphProto::default() };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// The Relu model with one external initializer `w` of three f32, referenced by these entries.
pub(crate) fn external_model(entries: &[(&str, &str)]) -> ModelProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
    let tensor = TensorProto {
        name: "w".into(),
        dims: vec![3],
        data_type: DataType::Float as i32,
        data_location: DataLocation::External as i32,
        external_data: entries.iter().map(entry).collect(),
        ..TensorProto::default()
    };
    let mut model = relu_model();
    model.graph.as_mut().unwrap().initializer.push(tensor);
    model
}
