//! Weights are read from where they lie in the file, wherever that is.

use std::error::Error;
use std::fs;

use crate::support::relu_model;
use glocal_onnx::proto::{
    AttributeProto, AttributeType, DataType, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto,
    TensorProto, TrainingInfoProto,
};
use glocal_onnx::{Attribute, Data, Model, OnnxError, OnnxErrorKind, TensorProblem};
use prost::Message;
use prost::encoding::encode_varint;

/// More elements than are read in one piece, and no multiple of it.
const LARGE: usize = 150_001;

/// Numbers that all differ.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|index| index as f32 - 0.5).collect()
}

fn floats(name: &str, count: usize) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![count as i64],
        data_type: DataType::Float as i32,
        raw_data: Some(values(count).into_iter().flat_map(f32::to_le_bytes).collect()),
        ..TensorProto::default()
    }
}

fn model(initializer: Vec<TensorProto>) -> ModelProto {
    let mut model = relu_model();
    model.graph.as_mut().unwrap().initializer = initializer;
    model
}

/// The model from its bytes, which is the same from a file.
fn read(bytes: &[u8]) -> Result<Model, OnnxError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    fs::write(&path, bytes).unwrap();
    let (from_file, from_bytes) = (Model::read(&path), Model::from_bytes(bytes));
    match (&from_file, &from_bytes) {
        (Ok(from_file), Ok(from_bytes)) => assert_eq!(from_file, from_bytes),
        (Err(from_file), Err(from_bytes)) => assert_eq!(from_file.kind(), from_bytes.kind()),
        _ => panic!("{from_file:?} and {from_bytes:?}"),
    }
    from_bytes
}

/// A field that is a block of bytes, with its length in more bytes than it needs.
fn block(number: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![number << 3 | 2];
    bytes.extend((0..6).map(|index| (length >> (7 * index)) as u8 | 0x80));
    bytes.push(0);
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn weights_of_every_size_are_read() {
    // Four floats have as many bytes as what says where they lie.
    let counts = [0, 1, 3, 4, 5, LARGE];
    let tensors = counts.iter().map(|count| floats(&format!("w{count}"), *count)).collect();
    let read = read(&model(tensors).encode_to_vec()).unwrap();
    for count in counts {
        assert_eq!(read.graph.initializers[&format!("w{count}")].as_f32().unwrap(), values(count), "{count}");
    }
}

#[test]
fn tensors_in_nodes_are_read_and_those_of_subgraphs_passed_over() {
    let attribute = |name: &str, r#type, attribute| AttributeProto { name: name.into(), r#type, ..attribute };
    let inner = || GraphProto { name: "inner".into(), initializer: vec![floats("w", LARGE)], ..GraphProto::default() };
    let sparse = || SparseTensorProto { values: Some(floats("w", LARGE)), ..SparseTensorProto::default() };
    let base = AttributeProto::default;
    let attributes = vec![
        attribute("t", AttributeType::Tensor as i32, AttributeProto { t: Some(Box::new(floats("", 7))), ..base() }),
        attribute("g", AttributeType::Graph as i32, AttributeProto { g: Some(Box::new(inner())), ..base() }),
        attribute("gs", AttributeType::Graphs as i32, AttributeProto { graphs: vec![inner(), inner()], ..base() }),
        attribute(
            "s",
            AttributeType::SparseTensor as i32,
            AttributeProto { sparse_tensor: Some(Box::new(sparse())), ..base() },
        ),
        attribute(
            "ts",
            AttributeType::Tensors as i32,
            AttributeProto { tensors: vec![floats("", LARGE), floats("", 2)], ..base() },
        ),
    ];
    let mut model = model(vec![floats("w", 3)]);
    let node = NodeProto { attribute: attributes.clone(), ..model.graph.as_ref().unwrap().node[0].clone() };
    model.functions.push(FunctionProto { name: "f".into(), node: vec![node.clone()], ..FunctionProto::default() });
    model.training_info.push(TrainingInfoProto { initialization: Some(inner()), ..TrainingInfoProto::default() });
    model.graph.as_mut().unwrap().node[0] = node;
    let read = read(&model.encode_to_vec()).unwrap();
    assert_eq!(read.graph.initializers["w"].as_f32().unwrap(), values(3));
    let attributes = &read.graph.nodes[0].attributes;
    let floats = |attribute: &Attribute| match attribute {
        Attribute::Tensor(tensor) => vec![tensor.data.clone()],
        Attribute::Tensors(tensors) => tensors.iter().map(|tensor| tensor.data.clone()).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(floats(&attributes["t"]), [Data::F32(values(7))]);
    assert_eq!(floats(&attributes["ts"]), [Data::F32(values(LARGE)), Data::F32(values(2))]);
    assert_eq!(attributes["g"], Attribute::Graph { name: "inner".into() });
    assert_eq!(attributes["gs"], Attribute::Graphs { names: vec!["inner".into(); 2] });
    assert_eq!(attributes["s"], Attribute::SparseTensor);
}

#[test]
fn unusual_and_legal_encodings_are_read() {
    let tensor = |name: &str, count: usize| floats(name, count).encode_to_vec();
    let first = TensorProto { dims: Vec::new(), ..floats("w", 2) }.encode_to_vec();
    // Of a field that comes twice the last holds; an unknown field may be anywhere.
    let twice = [first, block(15, b"unknown"), tensor("w", LARGE)].concat();
    let later = [block(7, b"unknown"), block(5, &tensor("v", 5))].concat();
    // So may parts of the graph, which are joined.
    let file = [relu_model().encode_to_vec(), block(7, &block(5, &twice)), block(9, b"unknown"), block(7, &later)];
    let read = read(&file.concat()).unwrap();
    assert_eq!(read.graph.initializers["w"].as_f32().unwrap(), values(LARGE));
    assert_eq!(read.graph.initializers["v"].as_f32().unwrap(), values(5));
    assert_eq!(read.graph.nodes.len(), 1);
}

#[test]
fn a_file_that_ends_within_weights_is_cut_off() {
    let model = model(vec![floats("w", LARGE)]);
    let bytes = model.encode_to_vec();
    // The operator sets come behind the graph, which is known to be missing.
    let behind = ModelProto { opset_import: model.opset_import, ..ModelProto::default() }.encoded_len();
    for cut in [100, 300_000, bytes.len() - 1000] {
        let error = read(&bytes[..cut]).unwrap_err();
        let OnnxErrorKind::Truncated { at_least, actual } = error.kind() else { panic!("{error}") };
        assert_eq!((*at_least, *actual), ((bytes.len() - behind) as u64, cut as u64));
    }
}

#[test]
fn weights_that_do_not_fit_are_told() {
    let elements = floats("w", LARGE).raw_data.unwrap();
    let tensor = |elements: &[u8]| {
        let damaged = TensorProto { raw_data: Some(elements.to_vec().into()), ..floats("w", LARGE) };
        read(&model(vec![damaged]).encode_to_vec())
    };
    for wrong in [&elements[..16], &elements[4..], &[elements.as_ref(), &[0]].concat()] {
        let error = tensor(wrong).unwrap_err();
        let OnnxErrorKind::Tensor { problem: TensorProblem::WrongByteCount { expected, actual, .. }, .. } =
            error.kind()
        else {
            panic!("{error}")
        };
        assert_eq!((*expected, *actual), (elements.len() as u64, wrong.len() as u64));
    }
    // One byte more than the tensor that holds them.
    let mut field = vec![9 << 3 | 2];
    encode_varint(elements.len() as u64 + 1, &mut field);
    field.extend_from_slice(&elements);
    let file = [relu_model().encode_to_vec(), block(7, &block(5, &field))].concat();
    let error = read(&file).unwrap_err();
    assert_eq!(error.kind(), &OnnxErrorKind::Malformed);
    assert!(error.source().unwrap().to_string().contains("field 9"), "{error:?}");
}
