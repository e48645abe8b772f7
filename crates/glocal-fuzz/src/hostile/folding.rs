//! Constants that are computed from others to what cannot be.

use glocal_onnx::proto::{AttributeProto, TensorProto};

use super::Hostile;
use super::build::{int, integers, node, text};
use super::graphs::hostile;

pub(super) fn files() -> Vec<Hostile> {
    let reshape = || node("Reshape", &["x", "s"], "y", vec![]);
    let made = |name, says, op_type: &str, lists: Vec<TensorProto>, attributes| {
        let inputs: Vec<&str> = lists.iter().map(|tensor| tensor.name.as_str()).collect();
        let nodes = vec![node(op_type, &inputs, "s", attributes), reshape()];
        hostile(name, says, nodes, lists)
    };
    let list = |name: &str, values: &[i64]| integers(name, values);
    let number = |name: &str, value: i64| TensorProto { dims: vec![], ..integers(name, &[value]) };
    let mut doubling = vec![node("Shape", &["x"], "s0", vec![])];
    for step in 0..60 {
        let (from, to) = (format!("s{step}"), format!("s{}", step + 1));
        doubling.push(node("Concat", &[&from, &from], &to, vec![int("axis", 0)]));
    }
    doubling.push(node("Reshape", &["x", "s60"], "y", vec![]));
    vec![
        hostile("constants_that_double", "elements", doubling, vec![]),
        made(
            "constant_of_an_enormous_shape",
            "elements",
            "ConstantOfShape",
            vec![list("i", &[1 << 20, 1 << 20])],
            vec![],
        ),
        made("constant_of_a_negative_shape", "sizes", "ConstantOfShape", vec![list("i", &[-4])], vec![]),
        made(
            "range_enormous",
            "elements",
            "Range",
            vec![number("a", 0), number("b", i64::MAX), number("c", 1)],
            vec![],
        ),
        made(
            "range_overflow",
            "delta",
            "Range",
            vec![number("a", i64::MIN), number("b", i64::MAX), number("c", 1)],
            vec![],
        ),
        made("range_standing_still", "delta", "Range", vec![number("a", 0), number("b", 9), number("c", 0)], vec![]),
        made(
            "constants_expanded_without_end",
            "elements",
            "Expand",
            vec![list("i", &[1]), list("j", &[1 << 40])],
            vec![],
        ),
        made("division_by_zero", "(Div)", "Div", vec![list("i", &[1]), list("j", &[0])], vec![]),
        made("division_overflow", "(Div)", "Div", vec![list("i", &[i64::MIN]), list("j", &[-1])], vec![]),
        made("remainder_overflow", "(Mod)", "Mod", vec![list("i", &[i64::MIN]), list("j", &[-1])], vec![]),
        made("product_overflow", "(Mul)", "Mul", vec![list("i", &[i64::MAX]), list("j", &[2])], vec![]),
        made(
            "operands_that_do_not_broadcast",
            "operands",
            "Add",
            vec![list("i", &[1, 2]), list("j", &[1, 2, 3])],
            vec![],
        ),
        made("constants_gathered_beyond", "indices", "Gather", vec![list("i", &[1]), list("j", &[i64::MIN])], vec![]),
        made(
            "nothing_sliced_backwards",
            "(Reshape)",
            "Slice",
            vec![list("i", &[]), list("s", &[-1]), list("e", &[i64::MIN]), list("a", &[0]), list("t", &[-1])],
            vec![],
        ),
        made(
            "nothing_gathered_from_enormous_emptiness",
            "without elements",
            "Gather",
            vec![TensorProto { dims: vec![1 << 50, 0], ..list("i", &[]) }, list("j", &[])],
            vec![int("axis", 1)],
        ),
        made(
            "enormous_emptiness_sliced",
            "without elements",
            "Slice",
            vec![
                TensorProto { dims: vec![1 << 31, 0], ..list("i", &[]) },
                list("s", &[0]),
                list("e", &[i64::MAX]),
                list("a", &[0]),
            ],
            vec![],
        ),
        made(
            "enormous_emptiness_made",
            "without elements",
            "ConstantOfShape",
            vec![list("i", &[0, 1 << 40, 1 << 40])],
            vec![AttributeProto { i: None, t: Some(Box::new(list("", &[1]))), r#type: 4, ..int("value", 0) }],
        ),
        made(
            "enormous_emptiness_joined",
            "without elements",
            "Concat",
            vec![TensorProto { dims: vec![1 << 50, 0], ..list("i", &[]) }],
            vec![int("axis", 1)],
        ),
        made("constant_of_strings", "(Constant)", "Constant", vec![], vec![text("value_string", b"x")]),
    ]
}
