//! Damaged and foreign files are errors that say what they are. Random damage, and what becomes of it above this crate, is
//! `glocal-fuzz`'s.

use std::error::Error;
use std::fs;

use crate::support::{goldens, model_files, relu_model};
use glocal_onnx::{ForeignFormat, Model, OnnxErrorKind};
use prost::Message;

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for file in model_files() {
        let bytes = fs::read(&file).unwrap();
        // A prime step meets every position inside of fields; the last bytes are all tried.
        let cuts = (0..bytes.len()).step_by(37).chain(bytes.len().saturating_sub(64)..bytes.len());
        for cut in cuts {
            let error = Model::from_bytes(&bytes[..cut]).expect_err(&format!("{} cut at {cut}", file.display()));
            use OnnxErrorKind::{Empty, MissingGraph, MissingOpset, NotOnnx, Truncated};
            let helpful = match error.kind() {
                Truncated { at_least, actual } => *actual == cut as u64 && *at_least <= bytes.len() as u64,
                Empty => cut == 0,
                NotOnnx { .. } => cut < 2,
                MissingGraph | MissingOpset => true,
                _ => false,
            };
            assert!(helpful, "{} cut at {cut}: {error:?}", file.display());
        }
    }
}

#[test]
fn other_files_are_named_with_the_cause_chained() {
    let zip = [b"PK\x03\x04\x14\x00\x00\x00".as_slice(), &[0; 100]].concat();
    let cases: [(&[u8], ForeignFormat); 4] = [
        (b"This is a note, not a model.\n", ForeignFormat::Text),
        (b"rrrrrrrrrrrrrrrrrrrr", ForeignFormat::Text),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", ForeignFormat::GitLfsPointer),
        (&zip, ForeignFormat::Zip),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("renamed.onnx");
    for (bytes, format) in cases {
        fs::write(&path, bytes).unwrap();
        let error = Model::read(&path).unwrap_err();
        assert_eq!(error.kind(), &OnnxErrorKind::NotOnnx { looks_like: Some(format) });
        assert_eq!(error.file(), Some(path.as_path()));
        let message = error.to_string();
        assert!(message.contains("renamed.onnx") && message.contains(&format.to_string()), "{message}");
        assert!(error.source().is_some(), "{error:?}");
    }
    let weights = fs::read(goldens().join("mlp/weights.safetensors")).unwrap();
    let error = Model::from_bytes(&weights).unwrap_err();
    assert_eq!(error.kind(), &OnnxErrorKind::NotOnnx { looks_like: Some(ForeignFormat::Safetensors) });
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Model::read(folder.path().join("none.onnx")).unwrap_err();
    assert_eq!(missing.kind(), &OnnxErrorKind::Unreadable);
    assert!(missing.source().is_some() && missing.to_string().contains("none.onnx"));
    assert_eq!(Model::read(folder.path()).unwrap_err().kind(), &OnnxErrorKind::NotAFile);
    let empty = folder.path().join("empty.onnx");
    fs::write(&empty, b"").unwrap();
    assert_eq!(Model::read(&empty).unwrap_err().kind(), &OnnxErrorKind::Empty);
    // The system keeps no bytes for such a hole, so the test costs no disk.
    let huge = folder.path().join("huge.onnx");
    fs::File::create(&huge).unwrap().set_len(1 << 31).unwrap();
    let error = Model::read(&huge).unwrap_err();
    assert!(matches!(error.kind(), OnnxErrorKind::TooLarge { bytes: 0x8000_0000, .. }), "{error}");
}

#[test]
fn deep_nesting_is_an_error() {
    // Types within types, deeper than any model has and than a stack would hold.
    let mut kind = Vec::new();
    for _ in 0..50_000 {
        let mut outer = vec![0x22];
        prost::encoding::encode_varint(kind.len() as u64 + 1 + varint_length(kind.len()), &mut outer);
        outer.push(0x0a);
        prost::encoding::encode_varint(kind.len() as u64, &mut outer);
        outer.append(&mut kind);
        kind = outer;
        if kind.len() > 4000 {
            break;
        }
    }
    let mut bytes = relu_model().encode_to_vec();
    let value = wrapped(0x12, &kind);
    let graph = wrapped(0x3a, &wrapped(0x5a, &value));
    bytes.extend_from_slice(&graph);
    let error = Model::from_bytes(&bytes).unwrap_err();
    assert_eq!(error.kind(), &OnnxErrorKind::Malformed, "{error:?}");
    assert!(error.source().is_some());
}

fn varint_length(value: usize) -> u64 {
    prost::encoding::encoded_len_varint(value as u64) as u64
}

fn wrapped(tag: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    prost::encoding::encode_varint(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}
