//! What becomes of each part of a model, and which parts are refused.

use crate::support::relu_model;
use glocal_onnx::proto::{
    AttributeProto, AttributeType, DataType, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, tensor_shape_proto,
    type_proto,
};
use glocal_onnx::{Attribute, AttributeProblem, Data, Dimension, Model, OnnxError, OnnxErrorKind};
use prost::Message;
use prost::bytes::Bytes;

fn read(model: &ModelProto) -> Result<Model, OnnxError> {
    Model::from_bytes(&model.encode_to_vec())
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn with_attribute(attribute: AttributeProto) -> Result<Attribute, OnnxError> {
    let mut model = relu_model();
    graph(&mut model).node[0].attribute = vec![AttributeProto { name: "a".into(), ..attribute }];
    read(&model).map(|mut model| model.graph.nodes[0].attributes.remove("a").unwrap())
}

fn number(value: f32) -> TensorProto {
    TensorProto { data_type: DataType::Float as i32, float_data: vec![value], ..TensorProto::default() }
}

#[test]
fn attributes_are_read_by_kind_with_and_without_their_type() {
    let base = AttributeProto::default;
    let cases = [
        (AttributeType::Int, AttributeProto { i: Some(-3), ..base() }, Attribute::Int(-3)),
        (AttributeType::Float, AttributeProto { f: Some(0.5), ..base() }, Attribute::Float(0.5)),
        (AttributeType::Ints, AttributeProto { ints: vec![1, -2], ..base() }, Attribute::Ints(vec![1, -2])),
        (AttributeType::Floats, AttributeProto { floats: vec![1.5], ..base() }, Attribute::Floats(vec![1.5])),
        (
            AttributeType::String,
            AttributeProto { s: Some(Bytes::from_static(b"SAME_UPPER")), ..base() },
            Attribute::String("SAME_UPPER".into()),
        ),
        (
            AttributeType::Strings,
            AttributeProto { strings: vec![Bytes::from_static(b"x")], ..base() },
            Attribute::Strings(vec!["x".into()]),
        ),
        (
            AttributeType::Graph,
            AttributeProto { g: Some(Box::new(GraphProto { name: "then".into(), ..GraphProto::default() })), ..base() },
            Attribute::Graph { name: "then".into() },
        ),
        (
            AttributeType::Graphs,
            AttributeProto { graphs: vec![GraphProto::default()], ..base() },
            Attribute::Graphs { names: vec![String::new()] },
        ),
        (
            AttributeType::SparseTensor,
            AttributeProto { sparse_tensor: Some(Box::default()), ..base() },
            Attribute::SparseTensor,
        ),
        (AttributeType::TypeProto, AttributeProto { tp: Some(Box::default()), ..base() }, Attribute::Type),
    ];
    for (kind, proto, expected) in cases {
        assert_eq!(with_attribute(proto.clone()).unwrap(), expected, "{kind:?} by its value");
        assert_eq!(with_attribute(AttributeProto { r#type: kind as i32, ..proto }).unwrap(), expected, "{kind:?}");
    }
    let tensor = AttributeProto { t: Some(Box::new(number(2.0))), ..base() };
    let Attribute::Tensor(tensor) = with_attribute(tensor).unwrap() else { panic!("no tensor") };
    assert_eq!(tensor.data, Data::F32(vec![2.0]));
    let tensors = AttributeProto { tensors: vec![number(1.0), number(2.0)], ..base() };
    assert!(matches!(with_attribute(tensors).unwrap(), Attribute::Tensors(list) if list.len() == 2));
    // A value that equals its type's default may be left out.
    let zero = AttributeProto { r#type: AttributeType::Int as i32, ..base() };
    assert_eq!(with_attribute(zero).unwrap(), Attribute::Int(0));
}

#[test]
fn attributes_that_make_no_sense_are_refused_by_name() {
    let base = AttributeProto::default;
    let cases = [
        (base(), AttributeProblem::MissingValue),
        (AttributeProto { r#type: AttributeType::Tensor as i32, ..base() }, AttributeProblem::MissingValue),
        (AttributeProto { r#type: AttributeType::Graph as i32, ..base() }, AttributeProblem::MissingValue),
        (AttributeProto { r#type: 99, i: Some(1), ..base() }, AttributeProblem::UnknownType { code: 99 }),
        (AttributeProto { s: Some(Bytes::from_static(b"\xff")), ..base() }, AttributeProblem::NotUtf8),
        (AttributeProto { ref_attr_name: "p".into(), ..base() }, AttributeProblem::Reference { parameter: "p".into() }),
    ];
    for (proto, expected) in cases {
        let error = with_attribute(proto).unwrap_err();
        let OnnxErrorKind::Attribute { problem, attribute, .. } = error.kind() else { panic!("{error}") };
        assert_eq!((problem, attribute.as_str()), (&expected, "a"));
        assert!(error.to_string().contains("node 0 `/relu/Relu` (Relu)"), "{error}");
    }
    let mut model = relu_model();
    let twice = AttributeProto { name: "a".into(), i: Some(1), ..base() };
    graph(&mut model).node[0].attribute = vec![twice.clone(), twice];
    let error = read(&model).unwrap_err();
    assert!(matches!(error.kind(), OnnxErrorKind::Attribute { problem: AttributeProblem::Duplicate, .. }), "{error}");
}

#[test]
fn names_notes_and_operator_sets_are_kept() {
    let note = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let mut model = relu_model();
    model.producer_name = "exporter".into();
    model.producer_version = "2.0".into();
    model.metadata_props = vec![note("author", "a")];
    model.opset_import = vec![
        OperatorSetIdProto { domain: "ai.onnx".into(), version: 21 },
        OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 },
    ];
    let node = &mut graph(&mut model).node[0];
    node.domain = "ai.onnx".into();
    node.metadata_props = vec![note("pkg.torch.onnx.name_scopes", "['', 'layer1', 'layer1.0']")];
    let model = read(&model).unwrap();
    assert_eq!((model.opset_version(""), model.opset_version("com.microsoft")), (Some(21), Some(1)));
    assert_eq!(model.opset_version("ai.onnx.ml"), None);
    assert_eq!((model.producer_name.as_str(), model.producer_version.as_str()), ("exporter", "2.0"));
    assert_eq!(model.metadata["author"], "a");
    let node = &model.graph.nodes[0];
    assert_eq!((node.name.as_str(), node.op_type.as_str(), node.domain.as_str()), ("/relu/Relu", "Relu", ""));
    assert_eq!(node.metadata["pkg.torch.onnx.name_scopes"], "['', 'layer1', 'layer1.0']");
}

#[test]
fn inputs_that_are_initializers_need_no_data() {
    let mut model = relu_model();
    let graph = graph(&mut model);
    let mut listed = graph.input[0].clone();
    listed.name = "w".into();
    graph.input.push(listed);
    graph.initializer.push(TensorProto { name: "w".into(), ..number(1.0) });
    let model = read(&model).unwrap();
    let names =
        |inputs: Vec<&glocal_onnx::ValueInfo>| inputs.iter().map(|value| value.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(model.graph.inputs.iter().collect()), ["x", "w"]);
    assert_eq!(names(model.graph.data_inputs().collect()), ["x"]);
}

#[test]
fn dimensions_are_fixed_named_or_unknown() {
    use tensor_shape_proto::dimension::Value::{DimParam, DimValue};
    let values =
        [Some(DimParam("batch".into())), Some(DimValue(3)), None, Some(DimValue(-1)), Some(DimParam(String::new()))];
    let dim = values.map(|value| tensor_shape_proto::Dimension { value, denotation: String::new() }).to_vec();
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(TensorShapeProto { dim }) };
    let mut model = relu_model();
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), denotation: String::new() };
    graph(&mut model).input[0].r#type = Some(kind);
    let model = read(&model).unwrap();
    use Dimension::{Fixed, Named, Unknown};
    let expected = vec![Named("batch".into()), Fixed(3), Unknown, Unknown, Unknown];
    assert_eq!(model.graph.inputs[0].shape, Some(expected));
    assert_eq!(model.graph.outputs[0].shape, None);
}

#[test]
fn what_is_not_supported_is_named() {
    type Change = fn(&mut ModelProto);
    let cases: [(Change, &str); 9] = [
        (|model| model.opset_import.clear(), "opset_import"),
        (|model| model.graph = None, "no graph"),
        (
            |model| model.opset_import.push(OperatorSetIdProto { domain: "ai.onnx".into(), version: 9 }),
            "two versions, 17 and 9",
        ),
        (
            |model| {
                model.functions.push(FunctionProto {
                    name: "Relu".into(),
                    domain: "ai.onnx".into(),
                    ..Default::default()
                })
            },
            "node 0 `/relu/Relu` (Relu) calls the model's own function",
        ),
        (
            |model| {
                let values = Some(TensorProto { name: "w_sparse".into(), ..number(1.0) });
                graph(model).sparse_initializer.push(SparseTensorProto { values, ..Default::default() });
            },
            "`w_sparse` is sparse",
        ),
        (
            |model| {
                let tensor = TensorProto { name: "twin".into(), ..number(1.0) };
                graph(model).initializer = vec![tensor.clone(), tensor];
            },
            "`twin` occurs twice",
        ),
        (|model| graph(model).initializer.push(number(1.0)), "initializer 0 has no name"),
        (|model| graph(model).node.push(NodeProto::default()), "node 1 has no operator type"),
        (
            |model| {
                let sequence = type_proto::Value::SequenceType(type_proto::Sequence::default());
                let kind = TypeProto { value: Some(sequence), denotation: String::new() };
                graph(model).input[0].r#type = Some(kind);
            },
            "`x` is no tensor",
        ),
    ];
    for (change, expected) in cases {
        let mut model = relu_model();
        change(&mut model);
        let message = read(&model).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn functions_that_nothing_calls_do_no_harm() {
    let mut model = relu_model();
    model.functions.push(FunctionProto { name: "Relu".into(), domain: "custom".into(), ..Default::default() });
    assert!(read(&model).is_ok());
}
