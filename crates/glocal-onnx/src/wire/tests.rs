use std::io::Cursor;

use prost::Message;

use super::{WireError, outline};
use crate::budget::Budget;
use crate::error::{OnnxError, OnnxErrorKind};
use crate::proto::{GraphProto, ModelProto, NodeProto};

fn checked(bytes: &[u8]) -> Result<(), OnnxError> {
    let length = bytes.len() as u64;
    outline(&mut Cursor::new(bytes), length, &mut Budget::for_file(length)).map(drop)
}

/// A block field with a payload.
fn block(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_cut_graph_says_how_many_bytes_are_missing() {
    let node = NodeProto { op_type: "Relu".into(), ..NodeProto::default() };
    let graph = GraphProto { node: vec![node], ..GraphProto::default() };
    let bytes = ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() }.encode_to_vec();
    checked(&bytes).unwrap();
    let error = checked(&bytes[..bytes.len() - 3]).unwrap_err();
    let (at_least, actual) = (bytes.len() as u64, bytes.len() as u64 - 3);
    assert_eq!(error.kind(), &OnnxErrorKind::Truncated { at_least, actual });
}

#[test]
fn a_claimed_length_is_not_believed() {
    let mut bytes = vec![8, 8, 7 << 3 | 2];
    prost::encoding::encode_varint(u64::MAX, &mut bytes);
    let error = checked(&bytes).unwrap_err();
    assert!(matches!(error.kind(), OnnxErrorKind::Truncated { at_least: u64::MAX, .. }), "{error}");
}

#[test]
fn damage_inside_of_the_graph_is_told_with_its_offset() {
    // A node whose field runs past the node's end.
    let bytes = [vec![8, 8], block(7, &block(1, &[4 << 3 | 2, 100]))].concat();
    let error = checked(&bytes).unwrap_err();
    assert_eq!(error.kind(), &OnnxErrorKind::Malformed);
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<WireError>()).unwrap();
    let expected = WireError::Overrun { field: 4, wire_type: 2, offset: 6, needed: 100, available: 0 };
    assert_eq!(cause.to_string(), expected.to_string());
}

#[test]
fn a_file_that_becomes_shorter_is_an_error() {
    let node = NodeProto { op_type: "Relu".into(), ..NodeProto::default() };
    let graph = GraphProto { node: vec![node], ..GraphProto::default() };
    let bytes = ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() }.encode_to_vec();
    let length = bytes.len() as u64;
    for there in 0..bytes.len() {
        let mut source = Cursor::new(&bytes[..there]);
        let error = outline(&mut source, length, &mut Budget::for_file(length)).unwrap_err();
        assert_eq!(error.kind(), &OnnxErrorKind::Unreadable, "{there}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("became shorter"), "{cause}");
    }
}

#[test]
fn numbers_have_64_bits() {
    let version = |last: u8| [[8].as_slice(), &[0xff; 9], &[last]].concat();
    checked(&version(1)).unwrap();
    for last in [2, 0x7f, 0x81] {
        let error = checked(&version(last)).unwrap_err();
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<WireError>());
        assert!(matches!(cause, Some(WireError::LongNumber { offset: 1 })), "{error:?}");
    }
}

#[test]
fn messages_are_read_as_deep_as_the_decoder_goes() {
    // Subgraphs of nodes of subgraphs: three messages a step, in the graph.
    let nested = |steps: usize, innermost: Vec<u8>| {
        let step = |graph: Vec<u8>, _| block(1, &block(5, &block(6, &graph)));
        block(7, &(0..steps).fold(innermost, step))
    };
    // The graph, 99 messages in it, and one more.
    for (innermost, fits) in [(vec![], true), (block(1, &[]), false)] {
        let bytes = nested(33, innermost);
        let outline = outline(&mut Cursor::new(&bytes), bytes.len() as u64, &mut Budget::for_file(1000));
        assert_eq!(outline.is_ok(), fits);
        assert_eq!(ModelProto::decode(bytes.as_slice()).is_ok(), fits);
        assert!(outline.is_err() || ModelProto::decode(outline.unwrap()).is_ok());
    }
}

#[test]
fn many_small_messages_are_refused_before_they_are_built() {
    const COUNT: usize = 3_000_000;
    let cases = [
        ("nodes", block(7, &block(1, &[]).repeat(COUNT))),
        ("initializers", block(7, &block(5, &[]).repeat(COUNT))),
        ("inputs", block(7, &block(11, &[]).repeat(COUNT))),
        ("attributes", block(7, &block(1, &block(5, &[]).repeat(COUNT)))),
        ("node inputs", block(7, &block(1, &block(1, &[]).repeat(COUNT)))),
        ("functions", functions(COUNT)),
    ];
    for (name, bytes) in cases {
        let error = checked(&bytes).unwrap_err();
        assert!(matches!(error.kind(), OnnxErrorKind::MemoryLimit { .. }), "{name}: {error}");
    }
}

/// Empty functions; their field number takes two bytes.
fn functions(count: usize) -> Vec<u8> {
    let mut one = Vec::new();
    prost::encoding::encode_key(25, prost::encoding::WireType::LengthDelimited, &mut one);
    one.push(0);
    one.repeat(count)
}

#[test]
fn a_model_of_many_ordinary_nodes_is_within_its_budget() {
    let node = |index: usize| NodeProto {
        name: format!("/features/features.{index}/Relu"),
        op_type: "Relu".into(),
        input: vec![format!("/features/features.{index}/Add_output_0")],
        output: vec![format!("/features/features.{index}/Relu_output_0")],
        ..NodeProto::default()
    };
    let graph = GraphProto { node: (0..50_000).map(node).collect(), ..GraphProto::default() };
    let bytes = ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() }.encode_to_vec();
    checked(&bytes).unwrap();
}
