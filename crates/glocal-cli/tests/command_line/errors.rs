//! Every wrong call: exit code 2, a cause, a hint, and nothing left behind.

use std::path::Path;

use glocal_onnx::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use prost::Message;

use crate::support::{glocal, model, names, oracle, picture, preprocess, rows};

#[test]
fn a_truncated_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.onnx");
    let bytes = std::fs::read(model()).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    glocal(&["inspect", path.to_str().unwrap()]).was_wrong(&["cut.onnx", "cut off"]);
}

#[test]
fn a_text_file_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.onnx");
    std::fs::write(&path, "This is a text, and no model at all.\n").unwrap();
    glocal(&["inspect", path.to_str().unwrap()]).was_wrong(&["text.onnx", "not an ONNX model"]);
    let missing = folder.path().join("missing.onnx");
    glocal(&["inspect", missing.to_str().unwrap()]).was_wrong(&["missing.onnx", "cannot be read"]);
}

#[test]
fn an_unknown_op_is_named_with_its_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unknown.onnx");
    std::fs::write(&path, model_of_one("Einsum").encode_to_vec()).unwrap();
    glocal(&["inspect", path.to_str().unwrap()]).was_wrong(&["unknown.onnx", "the_node", "Einsum", "not supported"]);
}

/// A model of one node that takes samples of 4 numbers.
fn model_of_one(op_type: &str) -> ModelProto {
    let value = |name: &str| {
        let dimension = |size| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(size)),
            ..Default::default()
        };
        let shape = TensorShapeProto { dim: vec![dimension(1), dimension(4)] };
        let tensor = type_proto::Tensor { elem_type: 1, shape: Some(shape) };
        let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        ValueInfoProto { name: name.to_owned(), r#type: Some(r#type), ..Default::default() }
    };
    let node = NodeProto {
        name: "the_node".to_owned(),
        op_type: op_type.to_owned(),
        input: vec!["x".to_owned()],
        output: vec!["y".to_owned()],
        ..Default::default()
    };
    let graph =
        GraphProto { node: vec![node], input: vec![value("x")], output: vec![value("y")], ..Default::default() };
    let opset = OperatorSetIdProto { domain: String::new(), version: 17 };
    ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

/// Runs `attribute` with further arguments, and checks that it is refused without leaving anything.
#[track_caller]
fn refused(folder: &Path, input: &str, arguments: &[&str], words: &[&str]) {
    let before = names(folder);
    let out = folder.join("out.safetensors");
    let call = ["attribute", &model(), input, "-o", out.to_str().unwrap()];
    glocal(&[&call[..], arguments].concat()).was_wrong(words);
    assert_eq!(names(folder), before);
}

#[test]
fn unfit_inputs_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (pixel, preprocess) = (picture(here, "pixel.png", 1, 1), preprocess(here));
    refused(here, &pixel, &[], &["pixel.png", "[3, 16, 16]"]);
    let wrong = here.join("wrong.toml");
    std::fs::write(&wrong, "resize = { width = 8, height = 8 }\n").unwrap();
    refused(here, &pixel, &["--preprocess", wrong.to_str().unwrap()], &["pixel.png", "[3, 8, 8]", "[3, 16, 16]"]);
    std::fs::write(&wrong, "resise = 3\n").unwrap();
    refused(here, &pixel, &["--preprocess", wrong.to_str().unwrap()], &["wrong.toml", "resise"]);
    let text = here.join("text.png");
    std::fs::write(&text, "no image\n").unwrap();
    refused(here, text.to_str().unwrap(), &["--preprocess", &preprocess], &["text.png"]);
    let missing = here.join("missing.png");
    refused(here, missing.to_str().unwrap(), &["--preprocess", &preprocess], &["missing.png", "cannot be read"]);
    let other = oracle("../mlp/inputs.safetensors");
    refused(here, &other, &[], &["inputs.safetensors", "[3, 16, 16]"]);
}

#[test]
fn an_image_of_one_pixel_is_explained_when_it_can_be_resized() {
    let folder = tempfile::tempdir().unwrap();
    let (pixel, preprocess) = (picture(folder.path(), "pixel.png", 1, 1), preprocess(folder.path()));
    glocal(&["attribute", &model(), &pixel, "--preprocess", &preprocess]).succeeded();
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let inputs = rows(here, &[0]);
    let inputs = inputs.to_str().unwrap();
    refused(here, inputs, &["--record", "feature.4"], &["feature.4", "features.4"]);
    refused(here, inputs, &["--start", "feature.4"], &["feature.4", "features.4"]);
    refused(here, inputs, &["--condition", "feature.4=1"], &["feature.4", "features.4"]);
    refused(here, inputs, &["--composite", "epsilon-pluss"], &["epsilon-pluss", "epsilon-plus"]);
    refused(here, inputs, &["--composite", "epsilon-plus:epsilom=1"], &["epsilom", "epsilon"]);
    refused(here, inputs, &["--colormap", "bvr"], &["bvr", "bwr"]);
    let call = ["concepts", &model(), inputs, "--layer", "feature.4"];
    glocal(&call).was_wrong(&["feature.4", "features.4"]);
}

#[test]
fn conditions_that_make_no_sense_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let inputs = rows(here, &[0, 1]);
    let inputs = inputs.to_str().unwrap();
    for (condition, words) in [
        ("features.4", &["features.4", "NAME=NUMBERS"][..]),
        ("features.4=x", &["\"x\"", "number"]),
        ("features.4=-1", &["\"-1\"", "number"]),
        ("features.4=1,", &["\"\"", "number"]),
        ("", &["neither"]),
        ("target=1;target=2", &["twice"]),
        ("features.4=1,2@0:0", &["mixes"]),
        ("features.4=1@0", &["1@0", "[8, 8, 8]"]),
        ("features.4=1@8:0", &["1@8:0", "[8, 8, 8]"]),
        ("features.4=8", &["features.4", "8 channels", "0 to 7"]),
        ("target=5", &["the output", "0 to 4"]),
        ("features.4=1;features.5=2", &["twice"]),
    ] {
        refused(here, inputs, &["--condition", condition], words);
    }
    refused(here, inputs, &["--target", "5"], &["the output", "0 to 4"]);
    refused(here, inputs, &["--pairing", "zip", "--target", "1"], &["2 samples and 1 conditions"]);
}

#[test]
fn class_names_must_be_as_many_as_classes() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("classes.txt");
    std::fs::write(&classes, "ant\nbee\n").unwrap();
    let inputs = rows(folder.path(), &[0]);
    let arguments = ["--classes", classes.to_str().unwrap()];
    refused(folder.path(), inputs.to_str().unwrap(), &arguments, &["classes.txt", "2 class names", "5 classes"]);
}

#[test]
fn outputs_that_cannot_be_written_are_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let inputs = rows(here, &[0]);
    let file = here.join("file");
    std::fs::write(&file, "mine").unwrap();
    std::fs::create_dir(here.join("folder.safetensors")).unwrap();
    let before = names(here);
    let call = |out: &Path| glocal(&["attribute", &model(), inputs.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    call(&file.join("below.safetensors")).was_wrong(&["file", "cannot be written"]);
    call(&file).was_wrong(&["file", "no folder"]);
    call(&here.join("folder.safetensors")).was_wrong(&["folder.safetensors", "no file"]);
    call(&here.join("new.png")).was_wrong(&["new.png", ".safetensors"]);
    assert_eq!(names(here), before);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_nobody_may_write_into_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0]);
    // Refuses new files even to the superuser.
    for out in ["/proc/out.safetensors", "/proc/out"] {
        glocal(&["attribute", &model(), inputs.to_str().unwrap(), "-o", out])
            .was_wrong(&["/proc/out", "cannot be written"]);
    }
}

#[test]
fn regions_that_make_no_sense_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0]);
    let out = folder.path().join("out");
    let concepts = |layer: &str, region: &[&str]| {
        let call = ["concepts", &model(), inputs.to_str().unwrap(), "--layer", layer, "-o", out.to_str().unwrap()];
        glocal(&[&call[..], region].concat())
    };
    let beyond = ["--region", "16,0,4,4"];
    concepts("features.4", &beyond).was_wrong(&["16,0,4,4", "16×16"]);
    concepts("features.4", &["--region", "0,0,4,0"]).was_wrong(&["0,0,4,0", "16×16"]);
    concepts("classifier.0", &["--region", "0,0,4,4"]).was_wrong(&["classifier.0", "[16]"]);
    let other = picture(folder.path(), "other.png", 20, 20);
    concepts("features.4", &["--mask", &other]).was_wrong(&["other.png", "20×20", "16×16"]);
    let black = folder.path().join("black.png");
    std::fs::write(&black, glocal_kit::picture::encode_png(&image::RgbImage::new(16, 16)).unwrap()).unwrap();
    concepts("features.4", &["--mask", black.to_str().unwrap()]).was_wrong(&["black.png", "16×16"]);
    concepts("features.4", &["--mask", "absent.png"]).was_wrong(&["absent.png"]);
    // One that is wrong spoils the call wherever it stands, and nothing is written.
    concepts("features.4", &[&["--region", "0,0,4,4", "--mask", &other][..], &beyond].concat())
        .was_wrong(&["other.png"]);
    concepts("features.4", &[&["--region", "0,0,4,4"][..], &beyond].concat()).was_wrong(&["16,0,4,4"]);
    assert!(!out.exists());
}

#[test]
fn arguments_that_cannot_be_read_exit_alike() {
    for call in [
        &["attribute"][..],
        &["attribute", "model.onnx", "x.npy", "--init", "many"],
        &["attribute", "model.onnx", "x.npy", "--target", "1", "--predicted"],
        &["attribute", "model.onnx", "x.npy", "--batch", "0"],
        &["concepts", "model.onnx", "x.npy", "--layer", "a", "--region", "1,2,3"],
        &["concepts", "model.onnx", "x.npy", "--layer", "a", "--region", "1,2,3,4", "--region", "1,2,3,-4"],
        &["inspect", "model.onnx", "--threads", "0"],
        &["attribut"],
    ] {
        let run = glocal(call);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{call:?}");
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing_half_written() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0, 1, 2].repeat(2000));
    let out = folder.path().join("out.safetensors");
    let call = ["attribute", &model(), inputs.to_str().unwrap(), "--record", "all", "-o", out.to_str().unwrap()];
    let child = Command::new(env!("CARGO_BIN_EXE_glocal"))
        .args(call)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    // The temporary file shows that the work has begun.
    while names(folder.path()).len() == 1 && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "interrupted\n");
    assert_eq!(output.stdout, b"");
    assert_eq!(names(folder.path()), ["rows.safetensors"]);
}

#[test]
fn what_would_go_wrong_in_silence_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut values = vec![0.25f32; 2 * 3 * 16 * 16];
    values[3 * 16 * 16 + 5] = f32::NAN;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let x = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 3, 16, 16], &bytes).unwrap();
    let nan = here.join("nan.safetensors");
    safetensors::serialize_to_file([("x", x)], None, &nan).unwrap();
    refused(here, nan.to_str().unwrap(), &[], &["nan", "NaN", "position 5"]);
    let pictures = here.join("pictures");
    let call = ["attribute", &model(), &oracle("inputs.safetensors"), "--record", "all"];
    glocal(&call).was_wrong(&["--record"]);
    glocal(&[&call[..], &["-o", pictures.to_str().unwrap()]].concat()).was_wrong(&["--record"]);
    assert!(!pictures.exists());
}
