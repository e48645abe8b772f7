//! Files that are cheap to write and would be dear to read, were sizes believed, copies made or names compared without
//! count.

use glocal_onnx::proto::{AttributeProto, DataType, NodeProto, TensorProto};

use super::build::{block, file, floats, graph, int, integers, model, node, tensor, value};
use prost::Message;

/// The files by name, each of at most some megabytes.
#[must_use]
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("one weight transposed a thousand times", products()),
        ("one weight shared, and transposed a thousand times", shared_products()),
        ("one bias spread over many units, a thousand times", biases()),
        ("one constant added four thousand times", sums()),
        ("one list of integers taken four thousand times", lists()),
        ("one constant computed with ten thousand times", folded()),
        ("ten thousand constants of a large shape", filled()),
        ("ten thousand tables of a large axis", tables()),
        ("a name of a million dots", dots()),
        ("a name of a million bytes on four thousand nodes", long_name()),
        ("twenty thousand attributes under a long name", attributes()),
        ("forty thousand names for one value", aliases()),
        ("two hundred thousand nodes of two bytes", block(7, &block(1, &[]).repeat(200_000))),
        ("fifty thousand nodes", chain()),
        ("a million operands", operands()),
        ("bytes that become numbers", file(relu(), vec![tensor("w", DataType::Int8, &[6 << 20], vec![1; 6 << 20])])),
        ("taken bytes that become numbers", bytes_as_operand()),
        (
            "pairs of bytes that become numbers",
            file(relu(), vec![tensor("w", DataType::Int16, &[4 << 20], vec![1; 8 << 20])]),
        ),
        ("halves that become floats", halves()),
        ("floats one by one", typed_floats()),
        ("a shape of a million ones", ranks()),
        ("one group of two billion channels", channels()),
        ("one bias for two billion units without weights", units()),
        ("ten thousand scales between reshapes", moved()),
        ("a scale of two billion elements, reshaped", scaled()),
        ("a matrix without rows", matrix("MatMul")),
        ("weights without rows", matrix("Gemm")),
    ]
}

fn relu() -> Vec<NodeProto> {
    vec![node("Relu", &["x"], "y", vec![])]
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}{index}")).collect()
}

/// One node of each, of `x` and constants, and their sum.
fn summed(op_type: &str, count: usize, inputs: &[&str], attributes: &[AttributeProto]) -> Vec<NodeProto> {
    let names = names("n", count);
    let mut nodes: Vec<NodeProto> = names.iter().map(|name| node(op_type, inputs, name, attributes.to_vec())).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    nodes.push(node("Sum", &names, "y", vec![]));
    nodes
}

fn products() -> Vec<u8> {
    let mut nodes = vec![node("MatMul", &["x", "narrow"], "wide", vec![])];
    nodes.extend(summed("MatMul", 1000, &["wide", "w"], &[]));
    file(nodes, vec![floats("narrow", &[8, 500]), floats("w", &[500, 500])])
}

fn shared_products() -> Vec<u8> {
    let mut nodes = vec![node("Flatten", &["x"], "flat", vec![]), node("Gemm", &["flat", "narrow"], "wide", vec![])];
    nodes.push(node("Gemm", &["wide", "w"], "first", vec![int("transB", 1)]));
    nodes.extend(summed("Gemm", 1000, &["first", "w"], &[]));
    file(nodes, vec![floats("narrow", &[192, 500]), floats("w", &[500, 500])])
}

fn biases() -> Vec<u8> {
    let mut nodes = vec![node("Flatten", &["x"], "flat", vec![])];
    nodes.push(node("Gemm", &["flat", "narrow"], "one", vec![]));
    nodes.extend(summed("Gemm", 1000, &["one", "w", "b"], &[int("transB", 1)]));
    file(nodes, vec![floats("narrow", &[192, 1]), floats("w", &[200_000, 1]), floats("b", &[1])])
}

fn sums() -> Vec<u8> {
    let mut nodes = vec![node("Conv", &["x", "k"], "c", vec![])];
    let operands: Vec<&str> = std::iter::once("c").chain(std::iter::repeat_n("w", 4000)).collect();
    nodes.push(node("Sum", &operands, "y", vec![]));
    file(nodes, vec![floats("k", &[2000, 3, 1, 1]), floats("w", &[2000, 1, 1])])
}

fn lists() -> Vec<u8> {
    let operands: Vec<&str> = std::iter::repeat_n("i", 4000).collect();
    let nodes = vec![node("Concat", &operands, "s", vec![int("axis", 0)]), node("Reshape", &["x", "s"], "y", vec![])];
    file(nodes, vec![integers("i", &[1; 60_000])])
}

fn folded() -> Vec<u8> {
    let names = names("n", 10_000);
    let mut nodes: Vec<NodeProto> = names.iter().map(|name| node("Add", &["i", "i"], name, vec![])).collect();
    nodes.extend(names.chunks(4000).enumerate().map(|(index, names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        node("Concat", &names, &format!("c{index}"), vec![int("axis", 0)])
    }));
    nodes.push(node("Concat", &["c0", "c1", "c2"], "s", vec![int("axis", 0)]));
    nodes.push(node("Reshape", &["x", "s"], "y", vec![]));
    file(nodes, vec![integers("i", &[1; 60_000])])
}

fn filled() -> Vec<u8> {
    let mut nodes = vec![];
    let names = names("n", 10_000);
    let mut last = "x".to_owned();
    for name in &names {
        nodes.push(node("ConstantOfShape", &["i"], &format!("{name}c"), vec![]));
        let added = format!("{name}a");
        nodes.push(node("Add", &[&last, &format!("{name}c")], &added, vec![]));
        last = added;
    }
    nodes.push(node("Relu", &[&last], "y", vec![]));
    file(nodes, vec![integers("i", &[1, 3, 8, 8])])
}

fn tables() -> Vec<u8> {
    file(
        summed("Expand", 4000, &["one", "i"], &[])
            .into_iter()
            .rev()
            .chain([node("Conv", &["x", "k"], "one", vec![])])
            .rev()
            .collect(),
        vec![floats("k", &[1, 3, 8, 1]), integers("i", &[1, 100_000, 1, 8])],
    )
}

fn dots() -> Vec<u8> {
    let mut nodes = relu();
    nodes[0].name = "/a.b".repeat(500_000);
    file(nodes, vec![])
}

fn long_name() -> Vec<u8> {
    let mut sum =
        node("Sum", &std::iter::once("x").chain(std::iter::repeat_n("w", 4000)).collect::<Vec<_>>(), "y", vec![]);
    sum.name = "n".repeat(1 << 20);
    file(vec![sum], vec![floats("w", &[8])])
}

fn attributes() -> Vec<u8> {
    let mut nodes = relu();
    nodes[0].name = "n".repeat(1 << 20);
    let value =
        |name: String| AttributeProto { t: Some(Box::new(floats("", &[1]))), i: None, r#type: 4, ..int(&name, 0) };
    nodes[0].attribute = names("a", 20_000).into_iter().map(value).collect();
    file(nodes, vec![])
}

fn aliases() -> Vec<u8> {
    let mut nodes = Vec::new();
    let mut last = "x".to_owned();
    for name in names("s", 40_000) {
        nodes.push(node("Sum", &[&last], &name, vec![]));
        last = name;
    }
    nodes.push(node("Relu", &[&last], "y", vec![]));
    file(nodes, vec![])
}

fn chain() -> Vec<u8> {
    let mut nodes = Vec::new();
    let mut last = "x".to_owned();
    for name in names("/features/features.", 50_000) {
        nodes.push(node("Relu", &[&last], &name, vec![]));
        last = name;
    }
    nodes.push(node("Relu", &[&last], "y", vec![]));
    file(nodes, vec![])
}

fn operands() -> Vec<u8> {
    let operand = block(1, b"x");
    let sum = [operand.repeat(1_000_000), block(2, b"y"), block(4, b"Sum")].concat();
    [file(vec![], vec![]), block(7, &block(1, &sum))].concat()
}

fn bytes_as_operand() -> Vec<u8> {
    let nodes = vec![node("Gather", &["w", "i"], "s", vec![]), node("Reshape", &["x", "s"], "y", vec![])];
    file(nodes, vec![tensor("w", DataType::Int8, &[3 << 20], vec![1; 3 << 20]), integers("i", &[0])])
}

fn halves() -> Vec<u8> {
    let nodes = vec![node("MatMul", &["x", "w"], "y", vec![])];
    file(nodes, vec![tensor("w", DataType::Float16, &[8, 1 << 19], vec![0; 8 << 20])])
}

/// `float_data`, not packed: five bytes an element.
fn typed_floats() -> Vec<u8> {
    let count = 2 << 20;
    let constant = TensorProto {
        raw_data: None,
        float_data: vec![1.0; count],
        ..tensor("w", DataType::Float, &[8, count as i64 / 8], vec![])
    };
    let nodes = vec![node("MatMul", &["x", "w"], "y", vec![])];
    file(nodes, vec![constant])
}

fn ranks() -> Vec<u8> {
    let mut constant = tensor("w", DataType::Float, &[], vec![0; 4]);
    constant.dims = vec![1; 1_000_000];
    let constant = constant.encode_to_vec();
    let nodes = summed("Add", 1000, &["x", "w"], &[]);
    [file(nodes, vec![]), block(7, &block(5, &constant))].concat()
}

/// One number for each group becomes one for each channel.
fn channels() -> Vec<u8> {
    let groups = vec![node("GroupNormalization", &["x", "s", "s"], "y", vec![int("num_groups", 1)])];
    let mut model = model(groups, vec![floats("s", &[1])]);
    graph(&mut model).input = vec![value("x", DataType::Float, &[1, 1 << 31])];
    model.encode_to_vec()
}

fn units() -> Vec<u8> {
    let nodes =
        vec![node("Flatten", &["x"], "flat", vec![]), node("Gemm", &["flat", "w", "b"], "y", vec![int("transB", 1)])];
    file(nodes, vec![tensor("w", DataType::Float, &[1 << 31, 0], vec![]), floats("b", &[1])])
}

/// Nothing, a trillion times.
fn matrix(op_type: &str) -> Vec<u8> {
    let nodes = vec![node("Flatten", &["x"], "flat", vec![]), node(op_type, &["flat", "w"], "y", vec![])];
    file(nodes, vec![tensor("w", DataType::Float, &[0, 1 << 40], vec![])])
}

/// What canonizers follow scales through.
fn moved() -> Vec<u8> {
    let (mut nodes, mut last) = (Vec::new(), "x".to_owned());
    for name in names("n", 10_000) {
        let scaled = format!("{name}s");
        nodes.push(node("Mul", &[&last, "s"], &scaled, vec![]));
        nodes.push(node("Flatten", &[&scaled], &name, vec![]));
        last = name;
    }
    nodes.push(node("Gemm", &[&last, "w"], "y", vec![]));
    file(nodes, vec![floats("s", &[1]), floats("w", &[192, 1])])
}

fn scaled() -> Vec<u8> {
    let nodes = vec![
        node("Mul", &["x", "s"], "scaled", vec![]),
        node("Reshape", &["scaled", "i"], "turned", vec![]),
        node("MatMul", &["turned", "w"], "y", vec![]),
    ];
    let mut model = model(nodes, vec![floats("s", &[1]), integers("i", &[1, 1 << 26, 32]), floats("w", &[32, 1])]);
    graph(&mut model).input = vec![value("x", DataType::Float, &[1, 1 << 31])];
    model.encode_to_vec()
}
