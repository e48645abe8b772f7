//! Constants, inputs and outputs that are not what they claim.

use glocal_onnx::proto::{DataLocation, DataType, StringStringEntryProto, TensorProto, tensor_proto};

use super::Hostile;
use super::build::{changed, floats, graph, tensor, value};

pub(super) fn files() -> Vec<Hostile> {
    let hostile = |name, says, bytes| Hostile { name, bytes, says };
    // Constants are read whether a node takes them or not.
    let with = |name, says, constant: TensorProto| {
        hostile(name, says, changed(|model| graph(model).initializer.push(constant)))
    };
    let external = |name, says, entries: &[(&str, &str)]| with(name, says, elsewhere(entries));
    let input = |name, says, kind, sizes: &[i64]| {
        hostile(name, says, changed(|model| graph(model).input = vec![value("x", kind, sizes)]))
    };
    vec![
        with("dimension_negative", "negative dimension", tensor("w", DataType::Float, &[-1], vec![0; 4])),
        with(
            "dimensions_overflow",
            "than can be addressed",
            tensor("w", DataType::Float, &[1 << 40, 1 << 40], vec![0; 4]),
        ),
        with(
            "dimensions_overflow_beside_zero",
            "than can be addressed",
            tensor("w", DataType::Float, &[0, i64::MAX, i64::MAX], vec![]),
        ),
        with("dimensions_beyond_the_data", "needs", tensor("w", DataType::Float, &[1 << 30], vec![0; 4])),
        with("dimensions_too_many", "has 65 dimensions", floats("w", &[1; 65])),
        with("data_cut_within_an_element", "bytes of data", tensor("w", DataType::Float, &[2], vec![0; 7])),
        with("data_missing", "0 values", TensorProto { raw_data: None, ..floats("w", &[3]) }),
        with("data_twice", "more than one place", TensorProto { float_data: vec![1.0], ..floats("w", &[1]) }),
        with(
            "data_in_segments",
            "in segments",
            TensorProto { segment: Some(tensor_proto::Segment { begin: 0, end: i64::MAX }), ..floats("w", &[1]) },
        ),
        with("type_unknown", "which is not supported", TensorProto { data_type: 1000, ..floats("w", &[1]) }),
        with("type_complex", "which is not supported", TensorProto { data_type: 14, ..floats("w", &[1]) }),
        with("unsigned_beyond_signed", "64 signed bits", tensor("w", DataType::Uint64, &[1], vec![0xff; 8])),
        with(
            "half_of_more_than_16_bits",
            "does not hold",
            TensorProto { int32_data: vec![70_000], ..tensor("w", DataType::Float16, &[1], vec![]) },
        ),
        with(
            "strings_not_utf8",
            "not UTF-8",
            TensorProto { string_data: vec![vec![0xff].into()], ..tensor("w", DataType::String, &[1], vec![]) },
        ),
        with("constant_without_name", "has no name", floats("", &[1])),
        hostile(
            "constant_twice",
            "occurs twice",
            changed(|model| graph(model).initializer = vec![floats("w", &[1]), floats("w", &[2])]),
        ),
        external("external_up", "unsafe path", &[("location", "../weights.bin")]),
        external("external_up_from_below", "unsafe path", &[("location", "a/../../weights.bin")]),
        external("external_absolute", "unsafe path", &[("location", "/etc/passwd")]),
        external("external_device", "unsafe path", &[("location", "/dev/zero")]),
        external("external_backslash", "unsafe path", &[("location", "..\\weights.bin")]),
        external("external_nul", "cannot be read", &[("location", "weights\0.bin")]),
        external("external_folder", "not a regular file", &[("location", ".")]),
        external("external_missing", "cannot be read", &[("location", "no_such_file.bin")]),
        external("external_without_location", "has no path", &[("offset", "0")]),
        external(
            "external_offset_beyond",
            "bytes from byte",
            &[("location", "external_offset_beyond.onnx"), ("offset", "99999999")],
        ),
        external(
            "external_offset_overflow",
            "bytes from byte",
            &[("location", "external_offset_overflow.onnx"), ("offset", "18446744073709551615")],
        ),
        external(
            "external_offset_negative",
            "expected a number",
            &[("location", "external_offset_negative.onnx"), ("offset", "-1")],
        ),
        external(
            "external_length_enormous",
            "bytes of data",
            &[("location", "external_length_enormous.onnx"), ("length", "18446744073709551615")],
        ),
        input("input_of_integers", "floating-point", DataType::Int64, &[1, 3, 8, 8]),
        input("input_without_axes", "has shape", DataType::Float, &[]),
        input("input_empty", "has shape", DataType::Float, &[1, 3, 0, 8]),
        input("input_enormous", "has shape", DataType::Float, &[1, 1 << 31, 1 << 31]),
        input("input_beyond_any_network", "has shape", DataType::Float, &[1, 1 << 59]),
        input("input_of_too_many_axes", "has shape", DataType::Float, &[1; 70]),
        hostile("input_missing", "exactly one input", changed(|model| graph(model).input.clear())),
        hostile(
            "inputs_two",
            "exactly one input",
            changed(|model| graph(model).input.push(value("z", DataType::Float, &[1, 3]))),
        ),
        hostile("output_missing", "no such output", changed(|model| graph(model).output.clear())),
        hostile(
            "output_of_no_node",
            "no such output",
            changed(|model| "nowhere".clone_into(&mut graph(model).output[0].name)),
        ),
    ]
}

/// Three floats somewhere else.
fn elsewhere(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
    TensorProto {
        raw_data: None,
        data_location: DataLocation::External as i32,
        external_data: entries.iter().map(entry).collect(),
        ..tensor("w", DataType::Float, &[3], vec![])
    }
}
