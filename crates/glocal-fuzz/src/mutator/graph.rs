//! Damage of the graph: the file stays a well-formed ONNX message, and says something else.

use glocal_onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};
use prost::bytes::Bytes;

use super::{attribute, tensor};
use crate::random::Random;

/// The ops that a node may be turned into: all that are read, and some that are not.
const OPS: [&str; 78] = [
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "BatchNormalization",
    "Relu",
    "LeakyRelu",
    "Clip",
    "Sigmoid",
    "Tanh",
    "Elu",
    "Celu",
    "Selu",
    "HardSigmoid",
    "HardSwish",
    "Erf",
    "Gelu",
    "Softplus",
    "Softsign",
    "Mish",
    "Add",
    "Sub",
    "Sum",
    "Mul",
    "Div",
    "Softmax",
    "LogSoftmax",
    "Identity",
    "Dropout",
    "Cast",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "ReduceMean",
    "ReduceSum",
    "Concat",
    "Split",
    "Slice",
    "Pad",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Constant",
    "Shape",
    "Gather",
    "LayerNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "PRelu",
    "ReduceMax",
    "LpNormalization",
    "Pow",
    "Sqrt",
    "Expand",
    "Resize",
    "Upsample",
    "ConstantOfShape",
    "Range",
    "Where",
    "Equal",
    "Neg",
    "Reciprocal",
    "Exp",
    "Log",
    "Min",
    "Max",
    "Size",
    "Tile",
    "Einsum",
    "If",
    "Loop",
    "QuantizeLinear",
    "DequantizeLinear",
    "RMSNormalization",
    "",
];

/// Changes one to four things of the model.
pub(super) fn damage(model: &mut ModelProto, other: &ModelProto, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let Some(graph) = &mut model.graph else { return };
        let foreign = other.graph.as_ref().unwrap_or(graph).clone();
        match random.below(30) {
            0..=2 => change_op(graph, random),
            3..=5 => rewire(graph, random),
            6 => remove(graph, random),
            7 | 8 => insert(graph, &foreign, random),
            9..=14 => attribute_of(graph, &foreign, random),
            15..=20 => tensor_of(graph, &foreign, random),
            21 => graft(graph, &foreign, random),
            22 => reorder(graph, random),
            23 => outputs(graph, random),
            24 | 25 => tensor::value(graph, random),
            26 => to_constant_node(graph, random),
            27 => repeat_operands(graph, random),
            28 => header(model, random),
            _ => rarities(model, random),
        }
    }
}

/// The names of all values: the nodes' outputs, the initializers, the inputs.
fn names(graph: &GraphProto) -> Vec<String> {
    let computed = graph.node.iter().flat_map(|node| node.output.iter());
    let given = graph.initializer.iter().map(|tensor| &tensor.name);
    let inputs = graph.input.iter().map(|input| &input.name);
    computed.chain(given).chain(inputs).cloned().collect()
}

fn any_name(graph: &GraphProto, random: &mut Random) -> String {
    match random.below(12) {
        0 => String::new(),
        1 => "nowhere".to_owned(),
        _ => random.one_of(&names(graph)).cloned().unwrap_or_default(),
    }
}

fn any_node<'a>(graph: &'a mut GraphProto, random: &mut Random) -> Option<&'a mut NodeProto> {
    let index = random.below(graph.node.len());
    graph.node.get_mut(index)
}

fn change_op(graph: &mut GraphProto, random: &mut Random) {
    let Some(node) = any_node(graph, random) else { return };
    OPS[random.below(OPS.len())].clone_into(&mut node.op_type);
    if random.once_in(2) {
        node.attribute.clear();
    }
}

fn rewire(graph: &mut GraphProto, random: &mut Random) {
    let name = any_name(graph, random);
    let Some(node) = any_node(graph, random) else { return };
    let at = random.below(node.input.len());
    match (node.input.get_mut(at), random.below(5)) {
        (Some(input), 0..=2) => *input = name,
        (Some(_), 3) => drop(node.input.remove(at)),
        _ => node.input.push(name),
    }
}

/// Removes a node, as often as not leading what it computed around it.
fn remove(graph: &mut GraphProto, random: &mut Random) {
    if graph.node.is_empty() {
        return;
    }
    let node = graph.node.remove(random.below(graph.node.len()));
    if let (Some(from), Some(to), true) = (node.output.first(), node.input.first(), random.once_in(2)) {
        replace(graph, from, to);
    }
}

fn replace(graph: &mut GraphProto, from: &str, to: &str) {
    for input in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|input| *input == from) {
        to.clone_into(input);
    }
}

/// Puts a node of this or another model, or one of any op, behind some value.
fn insert(graph: &mut GraphProto, foreign: &GraphProto, random: &mut Random) {
    let value = any_name(graph, random);
    let mut node = match random.below(3) {
        0 => random.one_of(&graph.node).cloned().unwrap_or_default(),
        1 => random.one_of(&foreign.node).cloned().unwrap_or_default(),
        _ => NodeProto { op_type: OPS[random.below(OPS.len())].to_owned(), ..NodeProto::default() },
    };
    let fresh = format!("fuzz{}", random.below(1000));
    replace(graph, &value, &fresh);
    if graph.node.iter().all(|node| !node.input.contains(&fresh))
        && let Some(output) = graph.output.first_mut()
    {
        fresh.clone_into(&mut output.name);
    }
    match node.input.first_mut() {
        Some(input) => input.clone_from(&value),
        None => node.input.push(value.clone()),
    }
    while random.once_in(3) {
        node.input.push(any_name(graph, random));
    }
    // Constants that the node took in the other model come along.
    let taken = foreign.initializer.iter().filter(|tensor| node.input.contains(&tensor.name));
    graph.initializer.extend(taken.cloned());
    node.output = vec![fresh];
    let producer = graph.node.iter().position(|node| node.output.contains(&value));
    graph.node.insert(producer.map_or(0, |index| index + 1), node);
}

fn attribute_of(graph: &mut GraphProto, foreign: &GraphProto, random: &mut Random) {
    let attributes: Vec<AttributeProto> =
        foreign.node.iter().chain(&graph.node).flat_map(|node| node.attribute.iter().cloned()).collect();
    // Nodes without attributes are the most: try to find one that has some.
    for _ in 0..4 {
        let Some(node) = any_node(graph, random) else { return };
        if !node.attribute.is_empty() || random.once_in(4) {
            return attribute::damage(&mut node.attribute, &attributes, random);
        }
    }
}

fn tensor_of(graph: &mut GraphProto, foreign: &GraphProto, random: &mut Random) {
    let constants =
        graph.node.iter_mut().flat_map(|node| &mut node.attribute).filter_map(|given| given.t.as_deref_mut());
    let mut tensors: Vec<&mut TensorProto> = graph.initializer.iter_mut().chain(constants).collect();
    let at = random.below(tensors.len());
    if let Some(tensor) = tensors.get_mut(at) {
        tensor::damage(tensor, &foreign.initializer, random);
    }
}

/// Adds all of the other graph, fed by some value of this one.
fn graft(graph: &mut GraphProto, foreign: &GraphProto, random: &mut Random) {
    let mut added = foreign.clone();
    for name in added.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output)) {
        if !name.is_empty() {
            name.insert_str(0, "other/");
        }
    }
    for tensor in &mut added.initializer {
        tensor.name.insert_str(0, "other/");
    }
    let value = any_name(graph, random);
    if let Some(input) = foreign.input.first() {
        replace(&mut added, &format!("other/{}", input.name), &value);
    }
    graph.node.append(&mut added.node);
    graph.initializer.append(&mut added.initializer);
    if let (Some(ours), Some(theirs)) = (graph.output.first_mut(), foreign.output.first()) {
        ours.name = format!("other/{}", theirs.name);
    }
}

fn reorder(graph: &mut GraphProto, random: &mut Random) {
    if graph.node.len() > 1 {
        let (a, b) = (random.below(graph.node.len()), random.below(graph.node.len()));
        graph.node.swap(a, b);
    }
}

fn outputs(graph: &mut GraphProto, random: &mut Random) {
    let name = any_name(graph, random);
    match random.below(4) {
        0 => {
            if let Some(node) = any_node(graph, random) {
                node.output.push(name);
            }
        }
        1 => {
            if let Some(node) = any_node(graph, random) {
                node.output = vec![name];
            }
        }
        2 => {
            if let Some(output) = graph.output.first_mut() {
                output.name = name;
            }
        }
        _ => {
            let more = graph.output.first().cloned().unwrap_or_default();
            graph.output.push(more);
        }
    }
}

/// An initializer becomes a `Constant` node.
fn to_constant_node(graph: &mut GraphProto, random: &mut Random) {
    if graph.initializer.is_empty() {
        return;
    }
    let tensor = graph.initializer.remove(random.below(graph.initializer.len()));
    let output = vec![tensor.name.clone()];
    let value = AttributeProto { name: "value".to_owned(), t: Some(Box::new(tensor)), r#type: 4, ..Default::default() };
    let node = NodeProto { op_type: "Constant".to_owned(), output, attribute: vec![value], ..NodeProto::default() };
    graph.node.insert(0, node);
}

/// One operand many times over: few bytes, much work.
fn repeat_operands(graph: &mut GraphProto, random: &mut Random) {
    let name = any_name(graph, random);
    let Some(node) = any_node(graph, random) else { return };
    let count = [2, 3, 17, 300][random.below(4)];
    node.input.extend(std::iter::repeat_n(name, count));
    if random.once_in(2) {
        ["Sum", "Concat", "Add"][random.below(3)].clone_into(&mut node.op_type);
    }
}

fn header(model: &mut ModelProto, random: &mut Random) {
    match random.below(4) {
        0 => model.ir_version = random.edge(),
        1 => model.opset_import.clear(),
        2 => {
            if let Some(import) = model.opset_import.first_mut() {
                "com.example".clone_into(&mut import.domain);
            }
        }
        _ => {
            if let Some(import) = model.opset_import.first_mut() {
                import.version = if random.once_in(4) { random.edge() } else { 7 + random.below(23) as i64 };
            }
        }
    }
}

/// Parts of the format that few models have.
fn rarities(model: &mut ModelProto, random: &mut Random) {
    let Some(graph) = &mut model.graph else { return };
    match random.below(7) {
        0 => graph.sparse_initializer.push(SparseTensorProto::default()),
        1 => {
            let name = graph.node.first().map(|node| node.op_type.clone()).unwrap_or_default();
            model.functions.push(FunctionProto { name, ..FunctionProto::default() });
        }
        2 => {
            if let Some(node) = any_node(graph, random) {
                "com.example".clone_into(&mut node.domain);
            }
        }
        3 => {
            let name = any_name(graph, random);
            graph.initializer.push(TensorProto { name, ..TensorProto::default() });
        }
        4 => {
            let length = [0, 10, 5000][random.below(3)];
            if let Some(node) = any_node(graph, random) {
                node.name = "/a.b".repeat(length);
            }
        }
        5 => {
            let mut inner = GraphProto::default();
            for _ in 0..[3, 30, 60][random.below(3)] {
                let body = AttributeProto { name: "body".to_owned(), g: Some(Box::new(inner)), ..Default::default() };
                let node = NodeProto { op_type: "Loop".to_owned(), attribute: vec![body], ..NodeProto::default() };
                inner = GraphProto { node: vec![node], ..GraphProto::default() };
            }
            graph.node.append(&mut inner.node);
        }
        _ => {
            if let Some(node) = any_node(graph, random) {
                let text = Bytes::from_static(b"\xff\xfe");
                let name = "auto_pad".to_owned();
                node.attribute.push(AttributeProto { name, s: Some(text), r#type: 3, ..AttributeProto::default() });
            }
        }
    }
}
