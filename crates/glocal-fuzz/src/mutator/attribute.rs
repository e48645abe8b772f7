//! Damage of a node's attributes: their values, their types, their names, whether they are there.

use glocal_onnx::proto::{AttributeProto, AttributeType, TensorProto};
use prost::bytes::Bytes;

use crate::random::Random;

/// Names of attributes that readers ask for; some nodes get one that is not theirs.
const NAMES: [&str; 30] = [
    "axis",
    "axes",
    "kernel_shape",
    "strides",
    "dilations",
    "pads",
    "auto_pad",
    "group",
    "output_padding",
    "output_shape",
    "ceil_mode",
    "count_include_pad",
    "keepdims",
    "noop_with_empty_axes",
    "allowzero",
    "perm",
    "split",
    "num_outputs",
    "starts",
    "ends",
    "start",
    "end",
    "alpha",
    "epsilon",
    "transA",
    "transB",
    "to",
    "p",
    "mode",
    "num_groups",
];

const WORDS: [&str; 16] = [
    "",
    "NOTSET",
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "constant",
    "edge",
    "reflect",
    "wrap",
    "nearest",
    "linear",
    "cubic",
    "asymmetric",
    "align_corners",
    "half_pixel",
    "tanh",
];

/// Changes one attribute of a node; `known` are those of other nodes.
pub(super) fn damage(attributes: &mut Vec<AttributeProto>, known: &[AttributeProto], random: &mut Random) {
    let at = random.below(attributes.len());
    match random.below(12) {
        0 if at < attributes.len() => drop(attributes.remove(at)),
        1 => attributes.extend(random.one_of(known).cloned()),
        2 => attributes.push(fresh(random)),
        3 => {
            if let Some(attribute) = attributes.get_mut(at) {
                NAMES[random.below(NAMES.len())].clone_into(&mut attribute.name);
            }
        }
        4 => {
            if let Some(attribute) = attributes.get_mut(at) {
                attribute.r#type = random.below(17) as i32;
            }
        }
        5 => {
            if let Some(attribute) = attributes.get_mut(at) {
                let name = std::mem::take(&mut attribute.name);
                *attribute = AttributeProto { name, ..fresh(random) };
            }
        }
        _ => {
            if let Some(attribute) = attributes.get_mut(at) {
                value(attribute, random);
            }
        }
    }
}

fn fresh(random: &mut Random) -> AttributeProto {
    let mut attribute = AttributeProto { name: NAMES[random.below(NAMES.len())].to_owned(), ..Default::default() };
    let kind = match random.below(6) {
        0 => {
            attribute.f = Some(random.float());
            AttributeType::Float
        }
        1 => {
            attribute.s = Some(Bytes::from_static(WORDS[random.below(WORDS.len())].as_bytes()));
            AttributeType::String
        }
        2 => {
            attribute.t =
                Some(Box::new(TensorProto { data_type: 1, float_data: vec![random.float()], ..Default::default() }));
            AttributeType::Tensor
        }
        3 | 4 => {
            attribute.ints = (0..random.below(7)).map(|_| random.edge()).collect();
            AttributeType::Ints
        }
        _ => {
            attribute.i = Some(random.edge());
            AttributeType::Int
        }
    };
    attribute.r#type = kind as i32;
    attribute
}

fn value(attribute: &mut AttributeProto, random: &mut Random) {
    if let Some(i) = &mut attribute.i {
        *i = random.near(*i);
    }
    if let Some(f) = &mut attribute.f {
        *f = random.float();
    }
    if attribute.s.is_some() {
        attribute.s = Some(Bytes::from_static(WORDS[random.below(WORDS.len())].as_bytes()));
    }
    list(&mut attribute.ints, random);
    let at = random.below(attribute.floats.len());
    if let Some(float) = attribute.floats.get_mut(at) {
        *float = random.float();
    }
}

/// One element changed, left out or added; or all the same.
pub(super) fn list(values: &mut Vec<i64>, random: &mut Random) {
    if values.is_empty() {
        return;
    }
    let at = random.below(values.len());
    match random.below(8) {
        0 => drop(values.remove(at)),
        1 => values.push(random.edge()),
        2 => {
            let edge = random.edge();
            values.fill(edge);
        }
        3 => values.clear(),
        4 => {
            let to = random.below(values.len());
            values.swap(at, to);
        }
        _ => values[at] = random.near(values[at]),
    }
}
