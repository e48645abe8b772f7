//! Every model of the oracle is read, and its weights are those that the exporter was given.

use std::fs;

use crate::support::{goldens, model_files};
use glocal_onnx::{Attribute, Data, Dimension, ElementType, Model};
use safetensors::SafeTensors;

#[test]
fn all_models_are_read() {
    let files = model_files();
    assert!(files.len() >= 10, "the oracle has models: {files:?}");
    for file in files {
        let model = Model::read(&file).unwrap();
        assert_eq!(model.opset_version(""), Some(17), "{}", file.display());
        assert_eq!(model.opset_version("ai.onnx"), Some(17));
        assert_eq!(model.producer_name, "pytorch");
        let inputs = model.graph.data_inputs().collect::<Vec<_>>();
        assert_eq!(inputs.len(), 1);
        assert_eq!((inputs[0].name.as_str(), inputs[0].element_type), ("input", ElementType::Float32));
        let shape = inputs[0].shape.as_ref().unwrap();
        assert!(matches!(shape[0], Dimension::Named(_)), "{shape:?}");
        assert!(shape[1..].iter().all(|dimension| matches!(dimension, Dimension::Fixed(1..))), "{shape:?}");
        assert_eq!(model.graph.outputs.len(), 1);
        assert!(model.graph.nodes.iter().all(|node| !node.name.is_empty() && !node.outputs.is_empty()));
    }
}

#[test]
fn weights_are_bit_identical_to_the_state_dict() {
    for name in ["mlp", "vgg_tiny", "resnet_tiny", "mobile_tiny", "conv3d_tiny"] {
        let folder = goldens().join(name);
        let model = Model::read(folder.join("model.onnx")).unwrap();
        let bytes = fs::read(folder.join("weights.safetensors")).unwrap();
        let weights = SafeTensors::deserialize(&bytes).unwrap();
        let mut compared = 0;
        for (name, expected) in weights.iter() {
            let Some(tensor) = model.graph.initializers.get(name) else { continue };
            assert_eq!(tensor.shape, expected.shape(), "{name}");
            let values = tensor.as_f32().unwrap();
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
            assert!(bytes == expected.data(), "{name} differs");
            compared += 1;
        }
        assert!(compared >= 4, "{name}: only {compared} names match");
    }
}

#[test]
fn nodes_and_attributes_are_as_written() {
    let model = Model::read(goldens().join("resnet_tiny/model.onnx")).unwrap();
    let conv = model.graph.nodes.iter().find(|node| node.op_type == "Conv").unwrap();
    assert_eq!(conv.domain, "");
    assert_eq!(conv.inputs[0], "input");
    assert!(model.graph.initializers.contains_key(&conv.inputs[1]));
    let Attribute::Ints(pads) = &conv.attributes["pads"] else { panic!("{:?}", conv.attributes) };
    assert_eq!(pads.len(), 4);
    assert!(matches!(conv.attributes["group"], Attribute::Int(1)));
    let norm = model.graph.nodes.iter().find(|node| node.op_type == "BatchNormalization").unwrap();
    assert!(matches!(norm.attributes["epsilon"], Attribute::Float(epsilon) if epsilon == 1e-5));
    let gemm = model.graph.nodes.iter().find(|node| node.op_type == "Gemm").unwrap();
    assert!(matches!(gemm.attributes["transB"], Attribute::Int(1)));
    let integers = model.graph.initializers.values().filter(|tensor| matches!(tensor.data, Data::I64(_)));
    assert!(integers.into_iter().all(|tensor| tensor.element_type == ElementType::Int64));
}
