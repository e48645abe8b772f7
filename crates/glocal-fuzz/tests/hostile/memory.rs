//! Reading and importing takes at most four times the file, and a constant.

use std::fs;
use std::time::Duration;

use glocal_fuzz::attempt::{Outcome, Source, attempt};
use glocal_fuzz::{hostile, memory, originals};
use glocal_onnx::Model;
use glocal_onnx::proto::{
    DataLocation, DataType, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
};
use prost::Message;

/// Of the files' bytes: the graph and what is read at once come to 1 MiB, the rest is reserved for a whole file's messages.
const WEIGHTS_ONCE: f64 = 1.1;

/// Far more than any of these files takes, also without optimisation.
const LONGEST_IMPORT: Duration = Duration::from_secs(20);

#[test]
fn large_hostile_files_take_little_memory_and_time() {
    let _turn = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut wrong = Vec::new();
    for (name, bytes) in hostile::large() {
        fs::write(&path, &bytes).unwrap();
        let size = bytes.len();
        drop(bytes);
        let done = attempt(Source::File(&path), 0);
        let fails = matches!(done.outcome, Outcome::Failed(_));
        if fails || done.peak > memory::limit(size) || done.import > LONGEST_IMPORT {
            wrong.push(format!("{name}: {} bytes for {size}, {:.1?}: {:.200?}", done.peak, done.import, done.outcome));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn weights_are_in_memory_once() {
    let _turn = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    // Three tensors of 8 MiB: one of them beside the others would show.
    const COUNT: usize = 2 << 20;
    let tensor = |index: u64| TensorProto {
        name: format!("w{index}"),
        dims: vec![COUNT as i64],
        data_type: DataType::Float as i32,
        ..TensorProto::default()
    };
    let bytes = prost::bytes::Bytes::from(vec![1; COUNT * 4]);
    let inside = |index| TensorProto { raw_data: Some(bytes.clone()), ..tensor(index) };
    let entry = |(key, value): (&str, String)| StringStringEntryProto { key: key.into(), value };
    let offset = |index: u64| index * COUNT as u64 * 4;
    let beside = |index| TensorProto {
        data_location: DataLocation::External as i32,
        external_data: [("location", "weights".to_owned()), ("offset", offset(index).to_string())].map(entry).to_vec(),
        ..tensor(index)
    };
    fs::write(folder.path().join("weights"), bytes.repeat(3)).unwrap();
    for initializer in [(0..3).map(inside).collect::<Vec<_>>(), (0..3).map(beside).collect()] {
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 18 }],
            graph: Some(GraphProto { initializer, ..GraphProto::default() }),
            ..ModelProto::default()
        };
        fs::write(&path, model.encode_to_vec()).unwrap();
        drop(model);
        let (read, peak) = memory::peak_of(|| Model::read(&path).unwrap());
        assert_eq!(read.graph.initializers.len(), 3);
        let size = 3 * COUNT * 4;
        assert!(peak as f64 <= WEIGHTS_ONCE * size as f64, "{peak} bytes for {size}");
    }
}

#[test]
fn models_take_less_than_four_times_their_size() {
    let _turn = crate::alone();
    for path in originals::paths().unwrap() {
        let size = fs::metadata(&path).unwrap().len() as usize;
        let done = attempt(Source::File(&path), 0);
        assert!(done.peak <= memory::limit(size), "{}: {} bytes for {size}", path.display(), done.peak);
    }
}
