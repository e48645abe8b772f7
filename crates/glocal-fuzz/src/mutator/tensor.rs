//! Damage of constants and of what the model says about its inputs and outputs.

use glocal_onnx::proto::tensor_shape_proto::dimension::Value as Size;
use glocal_onnx::proto::type_proto::Value as Kind;
use glocal_onnx::proto::{DataLocation, GraphProto, StringStringEntryProto, TensorProto, tensor_proto};
use prost::bytes::Bytes;

use super::attribute::list;
use crate::random::Random;

/// Where external data may claim to lie. `weights.bin` and `link.bin` are beside the model, the second a link out of the folder.
const LOCATIONS: [&str; 14] = [
    "weights.bin",
    "weights.bin",
    "link.bin",
    "model.onnx",
    "",
    ".",
    "..",
    "../weights.bin",
    "/etc/passwd",
    "/dev/zero",
    "folder",
    "folder/../../weights.bin",
    "C:\\weights.bin",
    "weights\0.bin",
];

const NUMBERS: [&str; 10] =
    ["0", "12", "4096", "-1", "18446744073709551615", "18446744073709551616", "1e3", "", " 4", "9223372036854775807"];

/// Changes a constant tensor.
pub(super) fn damage(tensor: &mut TensorProto, others: &[TensorProto], random: &mut Random) {
    match random.below(14) {
        0..=2 => list(&mut tensor.dims, random),
        3 => tensor.dims.insert(random.below(tensor.dims.len() + 1), random.edge()),
        4 => tensor.data_type = random.below(31) as i32,
        5 => length(tensor, random),
        6 | 7 => integers(tensor, random),
        8 | 9 => floats(tensor, random),
        10 => external(tensor, random),
        11 => match random.below(4) {
            0 => tensor.segment = Some(tensor_proto::Segment { begin: random.edge(), end: random.edge() }),
            1 => tensor.int32_data.push(random.edge() as i32),
            2 => tensor.string_data.push(Bytes::from_static(b"\xff")),
            _ => tensor.name.clear(),
        },
        _ => {
            // The other's content under this one's name.
            if let Some(other) = random.one_of(others) {
                let name = std::mem::take(&mut tensor.name);
                *tensor = TensorProto { name, ..other.clone() };
            }
        }
    }
}

fn length(tensor: &mut TensorProto, random: &mut Random) {
    if let Some(raw) = &tensor.raw_data {
        let mut bytes = raw.to_vec();
        match random.below(3) {
            0 => bytes.truncate(random.below(bytes.len() + 1)),
            1 => bytes.extend(std::iter::repeat_n(0, 1 + random.below(40))),
            _ => bytes.clear(),
        }
        tensor.raw_data = Some(bytes.into());
    }
    tensor.float_data.truncate(random.below(tensor.float_data.len() + 1));
    tensor.int64_data.truncate(random.below(tensor.int64_data.len() + 1));
}

/// Changes elements of a list of integers, which is a shape, axes, pads, ...
fn integers(tensor: &mut TensorProto, random: &mut Random) {
    if tensor.data_type != 7 {
        return floats(tensor, random);
    }
    let raw = tensor.raw_data.clone().unwrap_or_default();
    let mut values: Vec<i64> = raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    values.extend(&tensor.int64_data);
    let before = values.len();
    list(&mut values, random);
    // The shape follows as often as not.
    if values.len() != before && random.once_in(2) && tensor.dims.len() == 1 {
        tensor.dims = vec![values.len() as i64];
    }
    tensor.raw_data = None;
    tensor.int64_data = values;
}

fn floats(tensor: &mut TensorProto, random: &mut Random) {
    let value = random.float();
    let all = random.once_in(3);
    if let (Some(raw), 1) = (&tensor.raw_data, tensor.data_type) {
        let mut bytes = raw.to_vec();
        let chunks = bytes.as_chunks_mut::<4>().0;
        let at = random.below(chunks.len());
        for (_, chunk) in chunks.iter_mut().enumerate().filter(|(index, _)| all || *index == at) {
            *chunk = value.to_le_bytes();
        }
        tensor.raw_data = Some(bytes.into());
    }
    let at = random.below(tensor.float_data.len());
    for (_, element) in tensor.float_data.iter_mut().enumerate().filter(|(index, _)| all || *index == at) {
        *element = value;
    }
}

fn external(tensor: &mut TensorProto, random: &mut Random) {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    tensor.data_location = DataLocation::External as i32;
    tensor.external_data = vec![entry("location", LOCATIONS[random.below(LOCATIONS.len())])];
    for key in ["offset", "length"] {
        if random.once_in(2) {
            tensor.external_data.push(entry(key, NUMBERS[random.below(NUMBERS.len())]));
        }
    }
    if !random.once_in(3) {
        *tensor = TensorProto {
            name: std::mem::take(&mut tensor.name),
            dims: std::mem::take(&mut tensor.dims),
            data_type: tensor.data_type,
            data_location: tensor.data_location,
            external_data: std::mem::take(&mut tensor.external_data),
            ..TensorProto::default()
        };
    }
}

/// Changes what the graph says about an input or output.
pub(super) fn value(graph: &mut GraphProto, random: &mut Random) {
    let values = if random.once_in(5) { &mut graph.output } else { &mut graph.input };
    let at = random.below(values.len());
    let Some(value) = values.get_mut(at) else { return };
    if random.once_in(8) {
        let more = value.clone();
        return values.push(more);
    }
    if random.once_in(10) {
        value.r#type = None;
    }
    let Some(Kind::TensorType(tensor)) = value.r#type.as_mut().and_then(|kind| kind.value.as_mut()) else { return };
    if random.once_in(6) {
        tensor.elem_type = random.below(20) as i32;
    }
    let Some(shape) = &mut tensor.shape else { return };
    let at = random.below(shape.dim.len());
    match (shape.dim.get_mut(at), random.below(6)) {
        (Some(_), 0) => drop(shape.dim.remove(at)),
        (Some(size), 1) => size.value = None,
        (Some(size), 2) => {
            let more = size.clone();
            shape.dim.push(more);
        }
        (Some(size), _) => {
            let before = if let Some(Size::DimValue(before)) = size.value { before } else { 1 };
            size.value = Some(Size::DimValue(random.near(before)));
        }
        _ => {}
    }
}
