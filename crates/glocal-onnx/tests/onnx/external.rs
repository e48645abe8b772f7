//! External data is found beside the model and nowhere else.

use std::fs;
use std::path::Path;

use crate::support::external_model;
use glocal_onnx::{ExternalProblem, Model, OnnxError, OnnxErrorKind, TensorProblem};
use prost::Message;
use tempfile::TempDir;

const VALUES: [f32; 3] = [1.0, -2.5, 1e-30];

/// A folder with `model/` for the model, with data inside and outside of it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = VALUES.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    fs::create_dir_all(folder.path().join("model/sub")).unwrap();
    fs::write(folder.path().join("outside.bin"), &data).unwrap();
    fs::write(folder.path().join("model/w.bin"), &data).unwrap();
    fs::write(folder.path().join("model/sub/padded.bin"), [&[0; 16], data.as_slice(), &[7; 5]].concat()).unwrap();
    folder
}

fn read(folder: &Path, entries: &[(&str, &str)]) -> Result<Model, OnnxError> {
    let path = folder.join("model/m.onnx");
    fs::write(&path, external_model(entries).encode_to_vec()).unwrap();
    Model::read(path)
}

fn problem(folder: &Path, entries: &[(&str, &str)]) -> ExternalProblem {
    match read(folder, entries).unwrap_err().kind() {
        OnnxErrorKind::ExternalData { problem, .. } => problem.clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn data_beside_the_model_is_read() {
    let folder = folder();
    let cases: [&[(&str, &str)]; 5] = [
        &[("location", "w.bin")],
        &[("location", "w.bin"), ("offset", "0"), ("length", "12"), ("checksum", "unused")],
        &[("location", "./w.bin"), ("length", "12")],
        &[("location", "sub/padded.bin"), ("offset", "16"), ("length", "12")],
        &[("location", "sub/padded.bin"), ("offset", "16")],
    ];
    for entries in cases {
        let model = read(folder.path(), entries).unwrap();
        assert_eq!(model.graph.initializers["w"].as_f32().unwrap(), VALUES, "{entries:?}");
        let names: Vec<_> = model.external_files.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, [Path::new(entries[0].1).file_name().unwrap()]);
    }
}

#[test]
fn unsafe_paths_are_refused_unopened() {
    let folder = folder();
    let absolute = folder.path().join("outside.bin");
    let absolute = absolute.to_str().unwrap();
    for location in
        ["../outside.bin", "sub/../../outside.bin", "sub/../w.bin", "..", absolute, "/etc/passwd", "..\\outside.bin"]
    {
        assert_eq!(problem(folder.path(), &[("location", location)]), ExternalProblem::UnsafePath, "{location}");
    }
    assert_eq!(problem(folder.path(), &[("location", "")]), ExternalProblem::NoLocation);
    assert_eq!(problem(folder.path(), &[("offset", "0")]), ExternalProblem::NoLocation);
    assert_eq!(problem(folder.path(), &[("location", "sub")]), ExternalProblem::NotAFile);
    assert_eq!(problem(folder.path(), &[("location", ".")]), ExternalProblem::NotAFile);
    for location in ["missing.bin", "w.bin\0", "w.bin/x"] {
        let error = read(folder.path(), &[("location", location)]).unwrap_err();
        assert!(matches!(error.kind(), OnnxErrorKind::ExternalData { problem: ExternalProblem::Unreadable, .. }));
        assert!(std::error::Error::source(&error).is_some(), "the system's reason is chained");
    }
}

#[cfg(unix)]
#[test]
fn links_may_not_leave_the_folder() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let model = folder.path().join("model");
    symlink("../outside.bin", model.join("link.bin")).unwrap();
    symlink("..", model.join("up")).unwrap();
    symlink("sub/padded.bin", model.join("inner.bin")).unwrap();
    symlink("loop", model.join("loop")).unwrap();
    for location in ["link.bin", "up/outside.bin"] {
        assert_eq!(problem(folder.path(), &[("location", location)]), ExternalProblem::OutsideFolder, "{location}");
    }
    assert_eq!(problem(folder.path(), &[("location", "loop")]), ExternalProblem::Unreadable);
    assert!(read(folder.path(), &[("location", "inner.bin"), ("offset", "16")]).is_ok());
    // The folder itself may be reached through a link.
    symlink("model", folder.path().join("alias")).unwrap();
    read(folder.path(), &[("location", "w.bin")]).unwrap();
    assert!(Model::read(folder.path().join("alias/m.onnx")).is_ok());
}

#[test]
fn offsets_and_lengths_are_checked_against_the_file() {
    let folder = folder();
    let at = |offset: &str, length: &str| {
        problem(folder.path(), &[("location", "w.bin"), ("offset", offset), ("length", length)])
    };
    assert_eq!(at("1", "12"), ExternalProblem::OutOfBounds { offset: 1, length: 12, file_length: 12 });
    let far = u64::MAX.to_string();
    assert_eq!(at(&far, "12"), ExternalProblem::OutOfBounds { offset: u64::MAX, length: 12, file_length: 12 });
    for bad in ["-1", "1.5", "", "0x10", "99999999999999999999"] {
        assert_eq!(at(bad, "12"), ExternalProblem::BadNumber { key: "offset", value: bad.into() });
        assert_eq!(at("0", bad), ExternalProblem::BadNumber { key: "length", value: bad.into() });
    }
    for length in ["11", "13", "18446744073709551615"] {
        let error = read(folder.path(), &[("location", "w.bin"), ("length", length)]).unwrap_err();
        let OnnxErrorKind::Tensor { problem: TensorProblem::WrongByteCount { expected: 12, actual, .. }, .. } =
            error.kind()
        else {
            panic!("{error}")
        };
        assert_eq!(actual.to_string(), length);
    }
}

#[test]
fn one_range_cannot_be_read_without_end() {
    // 1 MiB of zeros, claimed by 1,000 tensors: far more memory than the files justify.
    let folder = folder();
    fs::write(folder.path().join("model/zeros.bin"), vec![0; 1 << 20]).unwrap();
    let mut model = external_model(&[("location", "zeros.bin")]);
    let graph = model.graph.as_mut().unwrap();
    let mut tensor = graph.initializer.remove(0);
    tensor.dims = vec![1 << 18];
    graph.initializer = (0..1000)
        .map(|index| {
            let mut tensor = tensor.clone();
            tensor.name = format!("w{index}");
            tensor
        })
        .collect();
    let path = folder.path().join("model/m.onnx");
    fs::write(&path, model.encode_to_vec()).unwrap();
    let error = Model::read(&path).unwrap_err();
    assert!(matches!(error.kind(), OnnxErrorKind::MemoryLimit { .. }), "{error}");
}

#[test]
fn bytes_have_no_folder() {
    let error = Model::from_bytes(&external_model(&[("location", "w.bin")]).encode_to_vec()).unwrap_err();
    assert!(matches!(error.kind(), OnnxErrorKind::ExternalData { problem: ExternalProblem::NoFolder, .. }), "{error}");
}
