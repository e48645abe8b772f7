//! Each op and idiom in the opsets that write it differently, against the values of onnxruntime
//! (`tools/models/make_import_goldens.py`).

use glocal::canonizer::canonize;

use crate::{folder, output, support, tensor};

/// Sums of at most a few dozen products, in another order than the reference's.
const TOLERANCE: f32 = 1e-5;

#[test]
fn ops_of_every_opset_compute_what_onnxruntime_does() {
    let folder = folder("import_goldens");
    let bytes = std::fs::read(folder.join("goldens.safetensors")).unwrap();
    let goldens = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let names: Vec<&str> = goldens.names().into_iter().filter_map(|name| name.strip_suffix("/x")).collect();
    let mut failures = Vec::new();
    for name in &names {
        let (x, expected) = (tensor(&goldens, &format!("{name}/x")), tensor(&goldens, &format!("{name}/y")));
        let onnx = glocal_onnx::Model::read(folder.join(format!("{name}.onnx"))).unwrap();
        let backend = std::sync::Arc::new(glocal_compute::CpuBackend::new());
        let model = match glocal::model::Model::from_onnx(onnx, &Default::default(), backend) {
            Ok(model) => model,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        for (what, model) in [("as read", model.clone()), ("canonized", canonize(&model).unwrap())] {
            let ours = output(&model, &x);
            if ours.shape() != expected.shape() {
                failures.push(format!("{name}, {what}: shape {:?} instead of {:?}", ours.shape(), expected.shape()));
            } else if let Some(difference) = support::differ(ours.data(), expected.data(), TOLERANCE) {
                failures.push(format!("{name}, {what}: {difference}"));
            }
        }
    }
    failures.sort();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(names.len() >= 50, "only {} cases", names.len());
}

#[test]
fn activations_written_out_are_recognised() {
    use glocal::op::OpKind;
    let onnx = glocal_onnx::Model::read(folder("import_goldens").join("activations_written_out_13.onnx")).unwrap();
    let backend = std::sync::Arc::new(glocal_compute::CpuBackend::new());
    let model = glocal::model::Model::from_onnx(onnx, &Default::default(), backend).unwrap();
    let kinds: Vec<OpKind> = canonize(&model).unwrap().graph().nodes().map(|(_, node)| node.op.kind()).collect();
    let expected = [
        OpKind::Input,
        OpKind::Silu,
        OpKind::HardSigmoid,
        OpKind::HardSwish,
        OpKind::HardSwish,
        OpKind::Mish,
        OpKind::Gelu,
        OpKind::Gelu,
        OpKind::Gelu,
        OpKind::Concat,
    ];
    assert_eq!(kinds, expected);
}
