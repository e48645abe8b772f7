//! What a node means beyond its numbers: which samples it keeps apart, and which kind of op it is.

use glocal::op::OpKind;
use glocal_compute::Tensor;

use crate::graph::Builder;
use crate::output;

fn wave(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    Tensor::new(shape, (0..count).map(|index| (index as f32 * 0.7).sin()).collect()).unwrap()
}

/// An exporter that traced a batch of 4 writes the 4 into shapes; it is the batch all the same, of any size.
#[test]
fn a_batch_that_the_exporter_fixed_is_the_batch() {
    let reshape = |batch: usize| {
        let builder = Builder::new(&[2, 3]).integers("shape", &[4, -1]).node("n", "Reshape", "x shape -> y", &[]);
        builder.batch(batch).read()
    };
    for batch in [1, 4, 5] {
        let x = wave(&[batch, 2, 3]);
        let y = output(&reshape(4).unwrap(), &x);
        assert_eq!((y.shape(), y.data()), (&[batch, 6][..], x.data()));
    }
    assert!(reshape(3).is_err());
    // One row of all samples is another thing than a batch that was fixed at 1.
    let joined = |batch: usize| {
        let builder = Builder::new(&[2, 3]).integers("shape", &[1, -1]).node("n", "Reshape", "x shape -> y", &[]);
        builder.batch(batch).read()
    };
    assert!(joined(1).is_ok() && joined(4).is_err());
    let expand = Builder::new(&[1, 3]).integers("shape", &[4, 2, 3]).node("n", "Expand", "x shape -> y", &[]);
    assert_eq!(output(&expand.batch(4).read().unwrap(), &wave(&[2, 1, 3])).shape(), [2, 2, 3]);
}

/// However a ReLU is written, rules for ReLUs are for it.
#[test]
fn a_clip_at_zero_is_a_relu() {
    let kind = |builder: Builder| {
        let model = builder.read().unwrap();
        model.graph().node(model.output()).op.kind()
    };
    let bounded = |op: &str, signature: &str| {
        let mut builder = Builder::new(&[4]);
        for (name, value) in [("zero", 0.0), ("six", 6.0), ("one", 1.0)] {
            let value = [("value_float", glocal_onnx::Attribute::Float(value))];
            builder = builder.node(name, "Constant", &format!("-> {name}"), &value);
        }
        kind(builder.node("n", op, signature, &[]))
    };
    assert_eq!(bounded("Max", "x zero -> y"), OpKind::Relu);
    assert_eq!(bounded("Max", "zero x -> y"), OpKind::Relu);
    assert_eq!(bounded("Clip", "x zero -> y"), OpKind::Relu);
    assert_eq!(bounded("Clip", "x zero six -> y"), OpKind::Clip);
    assert_eq!(bounded("Max", "x one -> y"), OpKind::Clip);
    assert_eq!(bounded("Min", "x zero -> y"), OpKind::Clip);
}
