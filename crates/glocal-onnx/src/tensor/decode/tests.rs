use std::io::Cursor;
use std::path::Path;

use half::{bf16, f16};
use prost::bytes::Bytes;

use super::Decoder;
use crate::budget::Budget;
use crate::element_type::ElementType;
use crate::error::{OnnxError, OnnxErrorKind, TensorPlace, TensorProblem};
use crate::external::ExternalData;
use crate::proto::{DataLocation, DataType, TensorProto, tensor_proto};
use crate::source::Stored;
use crate::tensor::{Data, Tensor};

/// Decodes a tensor whose raw data lies in a source of its own.
fn decode(mut proto: TensorProto) -> Result<Tensor, OnnxError> {
    let place = TensorPlace::Initializer { index: 0, name: "w".into() };
    let bytes = proto.raw_data.take().unwrap_or_default();
    if !bytes.is_empty() {
        let stored = Stored { offset: 0, length: bytes.len() as u64 };
        proto.raw_data = Some(Bytes::copy_from_slice(&stored.to_bytes()));
    }
    let mut source = Cursor::new(bytes);
    Decoder::new(Budget::for_file(1000), ExternalData::beside(Path::new("m.onnx")), &mut source)
        .decode(proto, &|_| place.clone())
}

fn problem(proto: TensorProto) -> TensorProblem {
    match decode(proto).unwrap_err().kind() {
        OnnxErrorKind::Tensor { problem, .. } => problem.clone(),
        other => panic!("{other}"),
    }
}

fn proto(data_type: DataType, dims: &[i64]) -> TensorProto {
    TensorProto { data_type: data_type as i32, dims: dims.to_vec(), ..TensorProto::default() }
}

fn raw(data_type: DataType, dims: &[i64], bytes: impl IntoIterator<Item = impl AsRef<[u8]>>) -> TensorProto {
    let bytes = bytes.into_iter().flat_map(|bytes| bytes.as_ref().to_vec()).collect::<Vec<_>>();
    TensorProto { raw_data: Some(Bytes::from(bytes)), ..proto(data_type, dims) }
}

#[test]
fn raw_and_typed_data_agree_for_every_type() {
    let floats = [0.0_f32, -1.5, 65504.0, 0.000_1];
    let integers = [0_i32, 1, 100, 127];
    let signed = [0_i32, -1, 100, -128];
    let widened = |values: [i32; 4]| Data::I64(values.map(i64::from).to_vec());
    let halves = floats.map(f16::from_f32);
    let brains = floats.map(bf16::from_f32);
    let ints = |data_type, values: &[i32]| TensorProto { int32_data: values.to_vec(), ..proto(data_type, &[2, 2]) };
    let longs = |data_type| TensorProto { uint64_data: vec![0, 1, 100, 127], ..proto(data_type, &[2, 2]) };
    let cases = [
        (
            raw(DataType::Float, &[2, 2], floats.map(f32::to_le_bytes)),
            TensorProto { float_data: floats.to_vec(), ..proto(DataType::Float, &[2, 2]) },
            Data::F32(floats.to_vec()),
        ),
        (
            raw(DataType::Double, &[2, 2], floats.map(|value| f64::from(value).to_le_bytes())),
            TensorProto { double_data: floats.map(f64::from).to_vec(), ..proto(DataType::Double, &[2, 2]) },
            Data::F32(floats.to_vec()),
        ),
        (
            raw(DataType::Float16, &[2, 2], halves.map(f16::to_le_bytes)),
            ints(DataType::Float16, &halves.map(|value| value.to_bits().into())),
            Data::F32(halves.map(f16::to_f32).to_vec()),
        ),
        (
            raw(DataType::Bfloat16, &[2, 2], brains.map(bf16::to_le_bytes)),
            ints(DataType::Bfloat16, &brains.map(|value| value.to_bits().into())),
            Data::F32(brains.map(bf16::to_f32).to_vec()),
        ),
        (
            raw(DataType::Int8, &[2, 2], signed.map(|value| (value as i8).to_le_bytes())),
            ints(DataType::Int8, &signed),
            widened(signed),
        ),
        (
            raw(DataType::Int16, &[2, 2], signed.map(|value| (value as i16).to_le_bytes())),
            ints(DataType::Int16, &signed),
            widened(signed),
        ),
        (raw(DataType::Int32, &[2, 2], signed.map(i32::to_le_bytes)), ints(DataType::Int32, &signed), widened(signed)),
        (
            raw(DataType::Int64, &[2, 2], signed.map(|value| i64::from(value).to_le_bytes())),
            TensorProto { int64_data: signed.map(i64::from).to_vec(), ..proto(DataType::Int64, &[2, 2]) },
            widened(signed),
        ),
        (
            raw(DataType::Uint8, &[2, 2], integers.map(|value| [value as u8])),
            ints(DataType::Uint8, &integers),
            widened(integers),
        ),
        (
            raw(DataType::Uint16, &[2, 2], integers.map(|value| (value as u16).to_le_bytes())),
            ints(DataType::Uint16, &integers),
            widened(integers),
        ),
        (
            raw(DataType::Uint32, &[2, 2], integers.map(|value| (value as u32).to_le_bytes())),
            longs(DataType::Uint32),
            widened(integers),
        ),
        (
            raw(DataType::Uint64, &[2, 2], integers.map(|value| (value as u64).to_le_bytes())),
            longs(DataType::Uint64),
            widened(integers),
        ),
        (
            raw(DataType::Bool, &[2, 2], [[0_u8], [1], [0], [1]]),
            ints(DataType::Bool, &[0, 1, 0, 1]),
            Data::Bool(vec![false, true, false, true]),
        ),
    ];
    for (raw, typed, expected) in cases {
        let element_type = ElementType::from_code(raw.data_type);
        let raw = decode(raw).unwrap();
        assert_eq!(raw, decode(typed).unwrap(), "{element_type}");
        assert_eq!(raw.data, expected, "{element_type}");
        assert_eq!((raw.element_type, raw.shape), (element_type, vec![2, 2]));
    }
}

#[test]
fn special_floats_keep_their_bits_or_their_meaning() {
    let nan_with_payload = f32::from_bits(0x7fc0_1234);
    let bits = |tensor: Tensor| tensor.as_f32().unwrap().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let floats = [nan_with_payload, -0.0, f32::MIN_POSITIVE / 2.0, f32::NEG_INFINITY];
    let expected = floats.map(f32::to_bits).to_vec();
    assert_eq!(bits(decode(raw(DataType::Float, &[4], floats.map(f32::to_le_bytes))).unwrap()), expected);

    // The smallest subnormal of 16 bits is 2^-24; infinity and NaN stay what they are.
    let halves = decode(raw(DataType::Float16, &[3], [[0x01, 0x00], [0x00, 0xfc], [0x01, 0x7e]])).unwrap();
    let halves = halves.as_f32().unwrap();
    assert_eq!((halves[0], halves[1]), (2.0_f32.powi(-24), f32::NEG_INFINITY));
    assert!(halves[2].is_nan());

    // Rounding is to the nearest, and what f32 cannot hold is infinite.
    let doubles = [0.1_f64, 1.0 + 2.0_f64.powi(-25), -1e300];
    let doubles = decode(raw(DataType::Double, &[3], doubles.map(f64::to_le_bytes))).unwrap();
    assert_eq!(doubles.as_f32().unwrap(), [0.1, 1.0, f32::NEG_INFINITY]);
}

#[test]
fn scalars_empty_tensors_and_strings_are_read() {
    let scalar = decode(raw(DataType::Float, &[], [2.5_f32.to_le_bytes()])).unwrap();
    assert_eq!((scalar.shape.len(), scalar.data), (0, Data::F32(vec![2.5])));
    let empty = decode(proto(DataType::Int64, &[3, 0])).unwrap();
    assert_eq!((empty.shape, empty.data), (vec![3, 0], Data::I64(Vec::new())));
    let text = |bytes: &'static [u8]| TensorProto {
        string_data: vec![Bytes::from_static(bytes)],
        ..proto(DataType::String, &[1])
    };
    assert_eq!(decode(text("Maß".as_bytes())).unwrap().data, Data::String(vec!["Maß".into()]));
    assert_eq!(problem(text(b"\xff")), TensorProblem::NotUtf8);
}

#[test]
fn sizes_that_do_not_fit_the_data_are_errors() {
    let four_bytes = |dims: &[i64]| raw(DataType::Float, dims, [[0_u8; 4]]);
    let wrong = |expected, shape| TensorProblem::WrongByteCount {
        shape,
        element_type: ElementType::Float32,
        expected,
        actual: 4,
    };
    assert_eq!(problem(four_bytes(&[2])), wrong(8, vec![2]));
    assert_eq!(problem(four_bytes(&[0])), wrong(0, vec![0]));
    assert_eq!(problem(four_bytes(&[1 << 40])), wrong(4 << 40, vec![1 << 40]));
    assert_eq!(problem(four_bytes(&[-1])), TensorProblem::NegativeDimension { shape: vec![-1] });
    for dims in [vec![i64::MAX, 2], vec![i64::MAX], vec![0, i64::MAX, i64::MAX], vec![1 << 32, 1 << 32]] {
        assert_eq!(problem(four_bytes(&dims)), TensorProblem::ShapeOverflow { shape: dims });
    }
    let none = problem(proto(DataType::Double, &[2]));
    assert!(matches!(none, TensorProblem::WrongValueCount { expected: 2, actual: 0, .. }), "{none}");
    // Floats in the field of another type are none.
    let misplaced = problem(TensorProto { float_data: vec![1.0], ..proto(DataType::Double, &[1]) });
    assert!(matches!(misplaced, TensorProblem::WrongValueCount { expected: 1, actual: 0, .. }), "{misplaced}");
}

#[test]
fn contradictions_and_unsupported_types_are_errors() {
    let both = TensorProto { float_data: vec![1.0], ..raw(DataType::Float, &[1], [[0_u8; 4]]) };
    assert_eq!(problem(both), TensorProblem::SeveralSources);
    let external =
        TensorProto { data_location: DataLocation::External as i32, ..raw(DataType::Float, &[1], [[0_u8; 4]]) };
    assert_eq!(problem(external), TensorProblem::SeveralSources);
    let segment = Some(tensor_proto::Segment { begin: 0, end: 1 });
    assert_eq!(problem(TensorProto { segment, ..proto(DataType::Float, &[0]) }), TensorProblem::Segmented);
    let unsupported = [(DataType::Complex64 as i32, "complex64"), (17, "float8e4m3fn"), (22, "int4"), (0, "undefined")];
    for (data_type, name) in unsupported {
        let message = problem(TensorProto { data_type, ..TensorProto::default() }).to_string();
        assert!(message.contains(name), "{message}");
    }
    let unknown = problem(TensorProto { data_type: 999, ..TensorProto::default() });
    assert_eq!(unknown, TensorProblem::UnsupportedElementType { element_type: ElementType::Unknown(999) });
}

#[test]
fn elements_that_are_not_there_any_more_are_an_error() {
    let place = TensorPlace::Initializer { index: 0, name: "w".into() };
    for there in [0, 2, 1000] {
        let mut source = Cursor::new(vec![0; there]);
        let stored = Stored { offset: 1, length: 400_000 };
        let raw_data = Some(Bytes::copy_from_slice(&stored.to_bytes()));
        let mut decoder = Decoder::new(Budget::for_file(400_000), ExternalData::nowhere(), &mut source);
        let tensor = TensorProto { raw_data, ..proto(DataType::Float, &[100_000]) };
        let error = decoder.decode(tensor, &|_| place.clone()).unwrap_err();
        assert_eq!(error.kind(), &OnnxErrorKind::Unreadable);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("became shorter"), "{cause}");
    }
}

#[test]
fn values_beyond_their_type_are_errors() {
    let ints = |data_type, value| TensorProto { int32_data: vec![value], ..proto(data_type, &[1]) };
    let longs = |data_type, value| TensorProto { uint64_data: vec![value], ..proto(data_type, &[1]) };
    let cases = [
        (ints(DataType::Uint8, 256), 256),
        (ints(DataType::Uint8, -1), -1),
        (ints(DataType::Int8, 128), 128),
        (ints(DataType::Float16, 65536), 65536),
        (longs(DataType::Uint32, 1 << 32), 1 << 32),
        (longs(DataType::Uint64, 1 << 63), 1 << 63),
        (raw(DataType::Uint64, &[1], [u64::MAX.to_le_bytes()]), i128::from(u64::MAX)),
    ];
    for (proto, expected) in cases {
        let found = problem(proto);
        assert!(matches!(found, TensorProblem::ValueOutOfRange { value, .. } if value == expected), "{found}");
    }
}
