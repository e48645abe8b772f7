//! What is refused, and that the error says where and why.

use glocal::error::{ModelError, ModelErrorKind};
use glocal::model::ImportOptions;
use glocal_onnx::{Attribute, Dimension, ElementType};

use crate::graph::{Builder, value};

fn int(value: i64) -> Attribute {
    Attribute::Int(value)
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

fn text(value: &str) -> Attribute {
    Attribute::String(value.to_owned())
}

/// An image model with constants of several shapes.
fn image() -> Builder {
    Builder::new(&[3, 6, 6])
        .floats("w", &[4, 3, 3, 3])
        .floats("w5", &[4, 5, 3, 3])
        .floats("b", &[4])
        .floats("b3", &[3])
        .floats("b2", &[2])
        .floats("s", &[1])
        .floats("batched", &[2, 3, 6, 6])
        .floats("wide", &[1, 3, 6, 12])
}

/// A model of feature vectors.
fn vector() -> Builder {
    Builder::new(&[4]).floats("w", &[4, 5]).floats("b", &[5]).floats("b4", &[4]).floats("m3", &[2, 4, 5])
}

#[test]
fn unsupported_nodes_are_named_with_what_is_wrong() {
    // What is read, and words that the whole text of the error must hold beside the node's name and op.
    let cases: Vec<(&str, Builder, &str)> = vec![
        ("an unknown op", image().node("n", "NonMaxSuppression", "x -> y", &[]), "not supported"),
        (
            "another domain",
            image().node("n", "Relu", "x -> y", &[]).change(|m| m.graph.nodes[0].domain = "com.microsoft".into()),
            "com.microsoft",
        ),
        ("an unread attribute", image().node("n", "Relu", "x -> y", &[("slope", int(3))]), "slope"),
        (
            "an unread attribute among read ones",
            image().node("n", "Conv", "x w -> y", &[("group", int(1)), ("activation", text("Relu"))]),
            "activation",
        ),
        (
            "an attribute of another type",
            image().node("n", "LeakyRelu", "x -> y", &[("alpha", int(1))]),
            "alpha must be a number",
        ),
        ("a missing operand", image().node("n", "Conv", "x w missing -> y", &[]), "missing"),
        ("a missing weight", image().node("n", "Conv", "x -> y", &[]), "W must be"),
        ("a weight that is computed", image().node("n", "Conv", "x x -> y", &[]), "W must be a constant"),
        ("a weight for other channels", image().node("n", "Conv", "x w5 -> y", &[]), "channels"),
        ("a bias of another length", image().node("n", "Conv", "x w b3 -> y", &[]), "B must be"),
        ("a group that does not divide", image().node("n", "Conv", "x w -> y", &[("group", int(3))]), "group must be"),
        ("another kernel", image().node("n", "Conv", "x w -> y", &[("kernel_shape", ints(&[5, 5]))]), "kernel_shape"),
        ("a stride of 0", image().node("n", "Conv", "x w -> y", &[("strides", ints(&[0, 1]))]), "strides must be"),
        ("too few pads", image().node("n", "Conv", "x w -> y", &[("pads", ints(&[1, 1]))]), "pads must be"),
        ("negative pads", image().node("n", "Conv", "x w -> y", &[("pads", ints(&[-1, 0, 0, 0]))]), "pads must be"),
        (
            "an unknown auto_pad",
            image().node("n", "Conv", "x w -> y", &[("auto_pad", text("SOME"))]),
            "auto_pad must be",
        ),
        (
            "a kernel larger than the input",
            image().node("n", "MaxPool", "x -> y", &[("kernel_shape", ints(&[7, 7]))]),
            "does not fit",
        ),
        (
            "the indices of a max pool",
            image().node("n", "MaxPool", "x -> p i", &[("kernel_shape", ints(&[2, 2]))]).node(
                "s",
                "Add",
                "p i -> y",
                &[],
            ),
            "indices",
        ),
        (
            "a reshape that mixes samples",
            image().integers("shape", &[-1, 6, 6]).node("n", "Reshape", "x shape -> y", &[]),
            "mixes samples",
        ),
        (
            "a reshape to another size",
            image().integers("shape", &[0, 7]).node("n", "Reshape", "x shape -> y", &[]),
            "reshape",
        ),
        ("a reshape by an activation", image().node("n", "Reshape", "x x -> y", &[]), "shape must be a constant"),
        (
            "a power that adds an axis",
            vector().floats("e", &[1, 1, 1]).node("n", "Pow", "x e -> y", &[]),
            "shape [1, 1, 1]",
        ),
        (
            "a slope that adds an axis",
            vector().floats("e", &[1, 1, 1]).node("n", "PRelu", "x e -> y", &[]),
            "shape [1, 1, 1]",
        ),
        (
            "a bound that adds an axis",
            vector().floats("e", &[1, 1, 1]).node("n", "Max", "x e -> y", &[]),
            "shape [1, 1, 1]",
        ),
        (
            "a repetition of a batch of 4",
            vector().batch(4).integers("r", &[4, 1]).node("n", "Tile", "x r -> y", &[]),
            "a repetition of the batch",
        ),
        (
            "a reshape to another batch than the file's",
            vector().batch(4).integers("shape", &[2, -1]).node("n", "Reshape", "x shape -> y", &[]),
            "mixes samples",
        ),
        (
            "bytes that wrap",
            vector()
                .typed("bytes", ElementType::Uint8, &[200, 3])
                .node("n", "Add", "bytes bytes -> more", &[])
                .node("cast", "Cast", "more -> numbers", &[("to", int(1))])
                .node("m", "Mul", "x numbers -> y", &[]),
            "leaves the integers of its type",
        ),
        (
            "a sum of integers that wraps",
            vector()
                .typed("large", ElementType::Int32, &[2_000_000_000, 2_000_000_000])
                .node("n", "ReduceSum", "large -> more", &[("keepdims", int(0))])
                .node("cast", "Cast", "more -> numbers", &[("to", int(1))])
                .node("m", "Mul", "x numbers -> y", &[]),
            "leaves the integers of its type",
        ),
        ("a flatten of everything", image().node("n", "Flatten", "x -> y", &[("axis", int(0))]), "flatten"),
        ("a flatten of some axes", image().node("n", "Flatten", "x -> y", &[("axis", int(2))]), "flatten"),
        ("a softmax over the batch", vector().node("n", "Softmax", "x -> y", &[("axis", int(0))]), "axis 0"),
        ("a softmax over no axis", vector().node("n", "Softmax", "x -> y", &[("axis", int(5))]), "axis must be"),
        ("a concatenation of samples", image().node("n", "Concat", "x x -> y", &[("axis", int(0))]), "axis 0"),
        ("a concatenation with a constant", image().node("n", "Concat", "x w -> y", &[("axis", int(1))]), "constant"),
        ("a transpose of the batch", image().node("n", "Transpose", "x -> y", &[]), "batch"),
        ("a transpose of nothing", image().node("n", "Transpose", "x -> y", &[("perm", ints(&[0, 1, 1, 2]))]), "perm"),
        ("a squeeze of all axes", image().node("n", "Squeeze", "x -> y", &[]), "unnamed axes"),
        (
            "a squeeze of a large axis",
            image().integers("axes", &[1]).node("n", "Squeeze", "x axes -> y", &[]),
            "axes must be",
        ),
        ("a mean of everything", image().node("n", "ReduceMean", "x -> y", &[]), "all axes"),
        (
            "a slice of the batch",
            image().integers("from", &[0]).integers("to", &[1]).integers("axes", &[0]).node(
                "n",
                "Slice",
                "x from to axes -> y",
                &[],
            ),
            "axis 0",
        ),
        (
            "a slice by steps of 0",
            image().integers("from", &[0]).integers("to", &[1]).integers("axes", &[1]).integers("by", &[0]).node(
                "n",
                "Slice",
                "x from to axes by -> y",
                &[],
            ),
            "steps must be",
        ),
        (
            "a split into other parts",
            image().integers("parts", &[1, 1]).node("n", "Split", "x parts -> y z", &[("axis", int(1))]),
            "split must be",
        ),
        (
            "pads of the batch",
            image().integers("pads", &[1, 0, 0, 0, 0, 0, 0, 0]).node("n", "Pad", "x pads -> y", &[]),
            "axis 0",
        ),
        (
            "an unknown pad mode",
            image().integers("pads", &[0; 8]).node("n", "Pad", "x pads -> y", &[("mode", text("wrap"))]),
            "wrap",
        ),
        ("a transposed A", vector().node("n", "Gemm", "x w -> y", &[("transA", int(1))]), "transposed A"),
        ("weights for other features", vector().node("n", "Gemm", "x w -> y", &[("transB", int(1))]), "features"),
        ("a bias for other units", vector().node("n", "Gemm", "x w b4 -> y", &[]), "C must be"),
        ("a stack of matrices", vector().node("n", "MatMul", "x m3 -> y", &[]), "mixes samples"),
        ("a product with one number", vector().floats("one", &[]).node("n", "MatMul", "x one -> y", &[]), "one axis"),
        ("a product of activations", vector().node("n", "MatMul", "x x -> y", &[]), "matrix product"),
        (
            "training",
            image().node("n", "BatchNormalization", "x b3 b3 b3 b3 -> y", &[("training_mode", int(1))]),
            "training mode",
        ),
        (
            "training outputs",
            image().opset(9).node("n", "BatchNormalization", "x b3 b3 b3 b3 -> y m v", &[]),
            "training mode",
        ),
        (
            "normalisation of other channels",
            image().node("n", "BatchNormalization", "x b b b b -> y", &[("epsilon", Attribute::Float(1.0))]),
            "channels",
        ),
        (
            "normalisation with uneven parameters",
            image().node("n", "BatchNormalization", "x b3 b2 b3 b3 -> y", &[("epsilon", Attribute::Float(1.0))]),
            "shapes",
        ),
        (
            "a negative variance",
            image().node("n", "BatchNormalization", "x b3 b3 b3 b3 -> y", &[]),
            "input_var must be",
        ),
        (
            "the mask of a dropout",
            vector().node("n", "Dropout", "x -> a m", &[]).node("s", "Mul", "a m -> y", &[]),
            "training mode",
        ),
        ("a constant for each sample", image().node("n", "Add", "x batched -> y", &[]), "constant operand"),
        ("a constant that widens", image().node("n", "Mul", "x wide -> y", &[]), "shapes"),
        ("a power by an activation", vector().node("n", "Pow", "x x -> y", &[]), "exponent"),
        ("a power for each channel", image().node("n", "Pow", "x b3 -> y", &[]), "one constant exponent"),
        ("the larger of two", image().node("n", "Max", "x x -> y", &[]), "several activations"),
        ("slopes that do not broadcast", image().floats("c", &[5]).node("n", "PRelu", "x c -> y", &[]), "shapes"),
        ("the largest of everything", image().node("n", "ReduceMax", "x -> y", &[]), "all axes"),
        ("a norm of the third kind", image().node("n", "LpNormalization", "x -> y", &[("p", int(3))]), "p must be"),
        (
            "groups that do not divide",
            image().node("n", "GroupNormalization", "x b3 b3 -> y", &[("num_groups", int(2))]),
            "num_groups must be",
        ),
        ("one number for all channels", image().node("n", "InstanceNormalization", "x b b -> y", &[]), "scale must be"),
        (
            "the statistics of a normalisation",
            image().node("n", "LayerNormalization", "x s -> a n", &[]).node("s", "Add", "a n -> y", &[]),
            "statistics",
        ),
        ("an element of the batch", image().integers("at", &[0]).node("n", "Gather", "x at -> y", &[]), "axis 0"),
        (
            "an element beyond the axis",
            image().integers("at", &[3]).node("n", "Gather", "x at -> y", &[("axis", int(1))]),
            "elements of the axis",
        ),
        ("more samples", image().integers("to", &[2, 3, 6, 6]).node("n", "Expand", "x to -> y", &[]), "the batch"),
        (
            "more axes",
            image().integers("to", &[1, 1, 3, 6, 6]).node("n", "Expand", "x to -> y", &[]),
            "moves the batch",
        ),
        (
            "an expansion that shrinks",
            image().integers("to", &[2, 6, 6]).node("n", "Expand", "x to -> y", &[]),
            "shape",
        ),
        (
            "an axis of enormous length",
            image().integers("to", &[1, 1, 1, 1 << 30]).node("n", "Tile", "x to -> y", &[]),
            "more than",
        ),
        (
            "a resize with antialiasing",
            image().floats("by", &[4]).node("n", "Resize", "x _ by -> y", &[("antialias", int(1))]),
            "antialiasing",
        ),
        (
            "a resize that keeps the aspect of the batch",
            image().integers("to", &[1, 3, 3, 3]).node(
                "n",
                "Resize",
                "x _ _ to -> y",
                &[("keep_aspect_ratio_policy", text("not_larger"))],
            ),
            "the batch",
        ),
        (
            "a resize of samples",
            image().integers("to", &[2, 3, 6, 6]).node("n", "Resize", "x _ _ to -> y", &[]),
            "the batch",
        ),
        ("bounds for each channel", image().node("n", "Clip", "x b3 -> y", &[]), "min must be one number"),
        ("a cast to integers", vector().node("n", "Cast", "x -> y", &[("to", int(7))]), "integers"),
        ("shapes that do not meet", image().floats("c", &[5]).node("n", "Add", "x c -> y", &[]), "shapes"),
        ("floats as a shape", image().node("n", "Reshape", "x s -> y", &[]), "shape must be integers"),
    ];
    let mut failures = Vec::new();
    for (what, builder, words) in cases {
        let op_type = builder.op_type().to_owned();
        match builder.read() {
            Ok(_) => failures.push(format!("{what}: accepted")),
            Err(error) => {
                let text = whole(&error);
                if !text.contains(words) {
                    failures.push(format!("{what}: no {words:?} in {text:?}"));
                }
                if error.node() != Some("n") || !text.contains(&op_type) {
                    failures.push(format!("{what}: the node is not named in {text:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Batches that are made one list are read where every sample gets its own elements back, and only there.
#[test]
fn samples_are_never_mixed() {
    let list = || image().integers("list", &[-1]).node("l", "Reshape", "x list -> l", &[]);
    let samples = |count: &str| {
        list()
            .integers("zero", &[0])
            .integers("one", &[1])
            .integers("plane", &[108])
            .integers("other", &[54])
            .node("s", "Shape", "x -> s", &[("end", int(1))])
            .node("r", "Range", "zero s one -> r", &[])
            .node("m", "Mul", &format!("r {count} -> m"), &[])
    };
    let read = samples("plane").node("g", "Gather", "l m -> y", &[]).read().unwrap();
    assert_eq!(read.output_shape(), [0; 0]);
    let cases = [
        ("a list of all samples", list().node("n", "Relu", "l -> y", &[]), "samples are mixed"),
        ("elements of other samples", samples("other").node("n", "Gather", "l m -> y", &[]), "mixes samples"),
        (
            "the same for all samples",
            list().integers("at", &[3]).node("n", "Gather", "l at -> y", &[]),
            "mixes samples",
        ),
        ("another axis in front", samples("plane").node("n", "Unsqueeze", "m zero -> y", &[]), "indices of samples"),
    ];
    for (what, builder, words) in cases {
        let error = builder.read().unwrap_err();
        let text = whole(&error);
        assert!(text.contains(words) && error.node() == Some("n"), "{what}: {text}");
    }
}

/// An error with all its causes.
fn whole(error: &ModelError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn relu() -> Builder {
    Builder::new(&[3]).node("n", "Relu", "x -> y", &[])
}

#[test]
fn models_are_refused_as_a_whole() {
    let shape = |dimensions: &[Dimension]| Some(dimensions.to_vec());
    let batch = Dimension::Named("N".to_owned());
    let input = move |dimensions: Option<Vec<Dimension>>| {
        relu().change(|model| model.graph.inputs[0] = value("x", ElementType::Float32, dimensions))
    };
    use ModelErrorKind as Kind;
    type Expected = fn(&Kind) -> bool;
    let cases: Vec<(&str, Builder, Expected)> = vec![
        ("opset 8", relu().opset(8), |kind| matches!(kind, Kind::Opset { version: 8 })),
        ("opset 99", relu().opset(99), |kind| matches!(kind, Kind::Opset { version: 99 })),
        ("no opset", relu().change(|model| model.opset_imports.clear()), |kind| matches!(kind, Kind::Opset { .. })),
        (
            "several outputs",
            relu().change(|model| model.graph.outputs.push(value("x", ElementType::Float32, None))),
            |kind| matches!(kind, Kind::Outputs { names } if names == &["y", "x"]),
        ),
        ("no output", relu().change(|model| model.graph.outputs.clear()), |kind| matches!(kind, Kind::NoOutput)),
        (
            "an output that nothing computes",
            relu().change(|model| model.graph.outputs[0].name = "z".to_owned()),
            |kind| matches!(kind, Kind::NoOutput),
        ),
        (
            "several inputs",
            relu().change(|model| model.graph.inputs.push(value("z", ElementType::Float32, None))),
            |kind| matches!(kind, Kind::Inputs { names } if names == &["x", "z"]),
        ),
        ("no input", relu().change(|model| model.graph.inputs.clear()), |kind| matches!(kind, Kind::Inputs { .. })),
        (
            "an input of integers",
            relu().change(|model| model.graph.inputs[0].element_type = ElementType::Int64),
            |kind| matches!(kind, Kind::InputType { name } if name == "x"),
        ),
        (
            "an open size",
            input(shape(&[batch.clone(), Dimension::Named("features".to_owned())])),
            |kind| matches!(kind, Kind::InputShape { shape, .. } if shape == "[N, features]"),
        ),
        (
            "an unknown size",
            input(shape(&[batch.clone(), Dimension::Unknown])),
            |kind| matches!(kind, Kind::InputShape { shape, .. } if shape == "[N, ?]"),
        ),
        ("an unknown rank", input(None), |kind| matches!(kind, Kind::InputShape { .. })),
        ("no batch", input(shape(&[])), |kind| matches!(kind, Kind::InputShape { .. })),
        ("an empty sample", input(shape(&[batch.clone(), Dimension::Fixed(0)])), |kind| {
            matches!(kind, Kind::InputShape { .. })
        }),
        (
            "a sample larger than memory",
            input(shape(&[batch, Dimension::Fixed(usize::MAX / 2), Dimension::Fixed(3)])),
            |kind| matches!(kind, Kind::InputShape { .. }),
        ),
    ];
    for (what, builder, expected) in cases {
        let error = builder.read().expect_err(what);
        assert!(expected(error.kind()), "{what}: {:?}", error.kind());
        assert!(error.node().is_none() && !error.to_string().is_empty(), "{what}");
    }
}

#[test]
fn open_shapes_and_several_outputs_can_be_chosen() {
    let open = || {
        relu().change(|model| {
            let dimensions = vec![Dimension::Unknown, Dimension::Named("features".to_owned())];
            model.graph.inputs[0].shape = Some(dimensions);
            model.graph.outputs.push(value("x", ElementType::Float32, None));
        })
    };
    let options = |shape: &[usize], output: &str| ImportOptions {
        input_shape: Some(shape.to_vec()),
        output: Some(output.to_owned()),
    };
    assert_eq!(open().read_with(&options(&[7], "y")).unwrap().output_shape(), [7]);
    assert!(matches!(open().read_with(&options(&[7, 2], "y")).unwrap_err().kind(), ModelErrorKind::InputShape { .. }));
    assert!(matches!(open().read_with(&options(&[7], "z")).unwrap_err().kind(), ModelErrorKind::Outputs { .. }));
    // A shape that the file contradicts.
    let options = ImportOptions { input_shape: Some(vec![4]), output: None };
    assert!(matches!(relu().read_with(&options).unwrap_err().kind(), ModelErrorKind::InputShape { .. }));
}

/// Old exporters name the mask of every dropout and the indices of every pool; what nobody takes does no harm.
#[test]
fn outputs_that_nobody_takes_are_ignored() {
    let kernel = [("kernel_shape", ints(&[2, 2]))];
    let model = image().opset(9).node("p", "MaxPool", "x -> a i", &kernel).node("d", "Dropout", "a -> y m", &[]);
    assert_eq!(model.read().unwrap().output_shape(), [3, 5, 5]);
}

/// Nodes that the output does not depend on may be anything.
#[test]
fn nodes_beside_the_way_are_not_read() {
    let model = relu().node("z", "NonMaxSuppression", "x -> z", &[]).read().unwrap();
    assert_eq!(model.graph().len(), 2);
}

/// A graph whose first node takes the value of a later one is no graph that can be run.
#[test]
fn nodes_out_of_order_are_refused() {
    let model = Builder::new(&[3]).node("a", "Relu", "v -> y", &[]).node("b", "Relu", "x -> v", &[]);
    let error = model.read().unwrap_err();
    assert!(matches!(error.kind(), ModelErrorKind::MissingOperand { name } if name == "v"), "{error}");
    assert_eq!(error.node(), Some("a"));
}
