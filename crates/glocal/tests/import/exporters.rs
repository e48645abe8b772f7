//! Layer names as exporters leave them: scopes in node names, scopes in metadata, names of weights.

use glocal::model::Model;
use glocal_onnx::Attribute;
use safetensors::SafeTensors;

use crate::graph::Builder;
use crate::{folder, support, tensor};

/// A few dozen products a sum, over ten layers.
const TOLERANCE: f32 = 1e-5;

/// A file of PyTorch's newer exporter (`tools/models/make_dynamo_model.py`): each module's name finds its value.
#[test]
fn modules_of_the_newer_exporter_are_found_by_name() {
    let folder = folder("models");
    let model = support::load_model(&folder.join("dynamo.onnx"));
    let bytes = std::fs::read(folder.join("dynamo.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = model.run(&tensor(&file, "x")).unwrap();
    let mut failures = Vec::new();
    let modules: Vec<&str> = file.names().into_iter().filter_map(|name| name.strip_prefix("module/")).collect();
    for module in &modules {
        let expected = tensor(&file, &format!("module/{module}"));
        match model.layer(module) {
            Err(error) => failures.push(error.to_string()),
            Ok(id) => {
                let difference = support::differ(values[id.index()].data(), expected.data(), TOLERANCE);
                failures.extend(difference.map(|difference| format!("{module}: {difference}")));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(modules.len() > 15, "only {} modules", modules.len());
}

/// A convolution into which the exporter folded a normalisation is the layer of its weight, and answers to both names.
#[test]
fn folded_normalisations_leave_their_names_to_the_convolution() {
    let model = support::load_model(&folder("models").join("dynamo.onnx"));
    for (convolution, normalisation) in
        [("stem.0", "stem.1"), ("layer1.1.conv2", "layer1.1.bn2"), ("layer1.1.downsample.0", "layer1.1.downsample.1")]
    {
        let id = model.layer(convolution).unwrap();
        assert_eq!(model.layer(normalisation).unwrap(), id);
        assert_eq!(model.graph().node(id).display_name(), convolution);
    }
}

/// An activation in the middle of a module's forward function must not pass for the module's output.
#[test]
fn a_module_is_what_it_computes_last() {
    let model = support::load_model(&folder("models").join("dynamo.onnx"));
    let id = model.layer("functional").unwrap();
    assert_eq!(model.graph().node(id).values, ["relu_5"]);
    let inner = model.layer("relu_4").unwrap();
    assert!(model.graph().node(inner).layers.is_empty());
}

/// Values, and the names that their nodes are shown by.
type Names = &'static [(&'static str, &'static str)];

fn named(model: &Model, value: &str) -> String {
    model.graph().node(model.layer(value).unwrap()).display_name().to_owned()
}

/// A dense layer from `x` with 4 features, through the nodes that the table gives.
fn chain() -> Builder {
    Builder::new(&[4]).floats("fc1.weight", &[4, 4]).floats("fc1.bias", &[4]).floats("onnx::MatMul_7", &[4, 4])
}

#[test]
fn names_come_from_the_first_trace_that_is_unique() {
    let gemm = "x fc1.weight fc1.bias -> a";
    let cases: Vec<(&str, Builder, Names)> = vec![
        (
            "weights alone",
            chain().node("g", "Gemm", gemm, &[]).node("r", "Relu", "a -> y", &[]),
            &[("a", "fc1"), ("y", "r")],
        ),
        (
            "node names go before weights",
            chain().node("/head/fc1/Gemm", "Gemm", gemm, &[]).node("/head/act/Relu", "Relu", "a -> y", &[]),
            &[("a", "head.fc1"), ("y", "head.act")],
        ),
        (
            "for dense layers weights go before metadata",
            chain()
                .node("n0", "Gemm", gemm, &[])
                .scopes("['', 'norm', 'batch_norm']")
                .node("n1", "Relu", "a -> y", &[])
                .scopes("['', 'layer1', 'layer1.0', 'layer1.0.act', 'relu']"),
            &[("a", "fc1"), ("norm", "fc1"), ("y", "layer1.0.act")],
        ),
        (
            "a module called twice is its second call",
            chain()
                .node("n0", "Relu", "x -> a", &[])
                .scopes("['', 'act', 'relu']")
                .node("n1", "Sigmoid", "a -> b", &[])
                .scopes("[\"\", \"gate\", \"sigmoid\"]")
                .node("n2", "Relu", "b -> y", &[])
                .scopes("['', 'act', 'relu_1']"),
            &[("a", "n0"), ("b", "gate"), ("y", "act")],
        ),
        (
            "sums are counted inside their module",
            chain()
                .node("n0", "Add", "x x -> a", &[])
                .scopes("['', 'block', 'add_7']")
                .node("n1", "Add", "a x -> b", &[])
                .scopes("['', 'block', 'add_8']")
                .node("n2", "Add", "b x -> y", &[])
                .scopes("['', 'other', 'add_9']"),
            &[("a", "block.sum"), ("b", "block.sum_1"), ("y", "other.sum")],
        ),
        (
            "what the exporter adds itself is no module",
            chain()
                .node("n0", "Relu", "x -> y", &[])
                .scopes("['_empty_nn_module_stack_from_metadata_hook', 'sym_size_int_2']"),
            &[("y", "n0")],
        ),
        (
            "an addition of a bias is the dense layer's, no sum",
            chain()
                .node("/fc1/MatMul", "MatMul", "x onnx::MatMul_7 -> a", &[])
                .node("/fc1/Add", "Add", "fc1.bias a -> b", &[])
                .node("/Add", "Add", "b x -> c", &[])
                .node("/Add_1", "Add", "c x -> y", &[]),
            &[("a", "/fc1/MatMul"), ("b", "fc1"), ("c", "sum"), ("y", "sum_1")],
        ),
        (
            "a shared weight is the last layer's that uses it",
            chain().node("n0", "Gemm", gemm, &[]).node("n1", "Gemm", "a fc1.weight fc1.bias -> y", &[]),
            &[("a", "n0"), ("y", "fc1")],
        ),
        (
            "nodes without names are known by their value",
            chain().node("", "Relu", "x -> a", &[]).node("", "Relu", "a -> y", &[]),
            &[("a", "a"), ("y", "y")],
        ),
        (
            "each part of a split is known by its value",
            chain().node("/parts/Split", "Split", "x -> a b", &[("axis", Attribute::Int(1))]).node(
                "/join/Concat",
                "Concat",
                "b a -> y",
                &[("axis", Attribute::Int(1))],
            ),
            &[("y", "join.concat")],
        ),
    ];
    for (what, builder, names) in cases {
        let model = builder.read().unwrap_or_else(|error| panic!("{what}: {error}"));
        for (value, name) in names {
            assert_eq!(named(&model, value), *name, "{what}: {value}");
            let layer = model.layer(name).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(layer, model.layer(value).unwrap(), "{what}: {name}");
        }
    }
}
