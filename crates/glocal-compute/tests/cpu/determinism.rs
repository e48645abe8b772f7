//! Row `i` of a result is the same bits whatever the batch size and the number of threads.

use glocal_compute::backend::{Map, Reduction, WeightChange, Zip};
use glocal_compute::{Backend, ComputeError, ConvolutionGeometry, CpuBackend, PoolGeometry, Resampling, Tensor};
use rayon::ThreadPoolBuilder;

use crate::random::Random;

type Operation = Box<dyn Fn(&Tensor) -> Result<Tensor, ComputeError> + Send + Sync>;

/// The largest batch; smaller ones are its first rows.
const BATCH: usize = 32;

fn assert_same_rows(name: &str, sample: &[usize], operation: &Operation) {
    let full = Random::new(20).tensor(&[&[BATCH], sample].concat());
    let expected = on_threads(2, &full, operation);
    for threads in 1..=3 {
        for batch in [1, 2, 7, BATCH] {
            let part = full.data()[..batch * full.row_len()].to_vec();
            let part = Tensor::new([&[batch], sample].concat(), part).unwrap();
            let given = on_threads(threads, &part, operation);
            let same =
                given.data().iter().zip(expected.data()).all(|(given, expected)| given.to_bits() == expected.to_bits());
            assert!(same && given.row_len() == expected.row_len(), "{name}: batch {batch}, {threads} threads");
        }
    }
    // Not only the first rows: the last one alone, and the first and the last one when all others are NaN.
    let last = Tensor::new([&[1], sample].concat(), full.row(BATCH - 1).to_vec()).unwrap();
    let given = on_threads(1, &last, operation);
    assert_eq!(given.data(), expected.row(BATCH - 1), "{name}: the last row");
    for kept in [0, BATCH - 1] {
        let mut others = vec![f32::NAN; full.len()];
        others[kept * full.row_len()..][..full.row_len()].copy_from_slice(full.row(kept));
        let given = on_threads(2, &Tensor::new(full.shape(), others).unwrap(), operation);
        assert_eq!(given.row(kept), expected.row(kept), "{name}: row {kept} beside NaN");
    }
}

fn on_threads(threads: usize, x: &Tensor, operation: &Operation) -> Tensor {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| operation(x)).unwrap()
}

/// inputs and outputs of a group, group, kernel, spatial, strides, pads
type Layer<'a> = (usize, usize, usize, &'a [usize], &'a [usize], usize, usize);

#[test]
fn convolutions() {
    let backend = CpuBackend::new();
    let layers: [Layer<'_>; 22] = [
        (1, 16, 1, &[3, 3], &[28, 28], 1, 1),
        (16, 32, 1, &[3, 3], &[14, 14], 1, 1),
        (40, 70, 1, &[3, 3], &[7, 7], 2, 1),
        (40, 36, 1, &[3, 3], &[15, 17], 1, 1),
        (40, 600, 1, &[1, 1], &[7, 7], 1, 0),
        (64, 64, 1, &[3, 3], &[14, 14], 1, 1),
        (3, 64, 1, &[7, 7], &[40, 40], 2, 3),
        (64, 3, 1, &[3, 3], &[40, 40], 1, 1),
        (300, 1, 1, &[1, 1], &[9, 9], 1, 0),
        (300, 20, 1, &[1, 1], &[1, 1], 1, 0),
        (300, 1, 1, &[1, 1], &[1, 1], 1, 0),
        (1, 300, 1, &[1, 1], &[1, 1], 1, 0),
        (20, 20, 1, &[5, 5], &[5, 5], 1, 0),
        (16, 16, 1, &[3, 3], &[14, 14], 1, 1),
        (12, 40, 1, &[5, 5], &[30, 33], 1, 2),
        (4, 6, 3, &[3, 3], &[11, 13], 1, 1),
        (1, 1, 12, &[3, 3], &[14, 14], 1, 1),
        (1, 2, 12, &[5, 5], &[30, 30], 2, 2),
        (12, 24, 1, &[3], &[50], 1, 1),
        (6, 24, 1, &[5], &[50], 2, 2),
        (5, 7, 1, &[3, 3, 3], &[5, 6, 7], 1, 1),
        (2, 8, 1, &[3, 3, 3], &[5, 6, 7], 2, 1),
    ];
    for (inputs, outputs, group, kernel, spatial, stride, pad) in layers {
        let rank = kernel.len();
        let geometry = ConvolutionGeometry {
            strides: vec![stride; rank],
            dilations: vec![1; rank],
            pads_begin: vec![pad; rank],
            pads_end: vec![pad; rank],
            group,
        };
        let mut random = Random::new(21);
        let w = random.tensor(&[&[outputs * group, inputs], kernel].concat());
        let bias = random.tensor(&[outputs * group]);
        let packed = backend.pack_convolution(&w, WeightChange::None, &geometry).unwrap();
        let out_spatial = geometry.output_spatial(spatial, kernel).unwrap();
        let name = format!("{inputs}→{outputs} of {group} groups, {kernel:?} at {spatial:?}");

        // Weights that are packed for each use give the same, each time.
        let anew = CpuBackend::for_one_pass().pack_convolution(&w, WeightChange::None, &geometry).unwrap();
        let x = random.tensor(&[&[2, inputs * group], spatial].concat());
        let r = random.tensor(&[&[2, outputs * group], &out_spatial[..]].concat());
        for _ in 0..2 {
            let forward = [&packed, &anew].map(|packed| backend.convolution(&x, packed, Some(&bias)).unwrap());
            let gradient =
                [&packed, &anew].map(|packed| backend.convolution_input_gradient(&r, packed, spatial).unwrap());
            assert!(forward[0] == forward[1] && gradient[0] == gradient[1], "{name}");
        }

        let weight = packed.clone();
        let forward: Operation = Box::new(move |x| backend.convolution(x, &weight, Some(&bias)));
        assert_same_rows(&name, &[&[inputs * group], spatial].concat(), &forward);
        let input = spatial.to_vec();
        let gradient: Operation = Box::new(move |r| backend.convolution_input_gradient(r, &packed, &input));
        assert_same_rows(&format!("gradient of {name}"), &[&[outputs * group], &out_spatial[..]].concat(), &gradient);
    }
}

#[test]
fn dense_layers() {
    let backend = CpuBackend::new();
    for (inputs, outputs) in
        [(784, 128), (128, 10), (300, 1), (1, 300), (1, 1), (5, 3), (1300, 900), ((1 << 20) + 1, 1)]
    {
        let mut random = Random::new(22);
        let packed = backend.pack_dense(&random.tensor(&[outputs, inputs])).unwrap();
        let bias = random.tensor(&[outputs]);
        let weight = packed.clone();
        let forward: Operation = Box::new(move |x| backend.dense(x, &weight, Some(&bias)));
        assert_same_rows(&format!("{inputs}→{outputs}"), &[inputs], &forward);
        let gradient: Operation = Box::new(move |r| backend.dense_input_gradient(r, &packed));
        assert_same_rows(&format!("gradient of {inputs}→{outputs}"), &[outputs], &gradient);
    }
}

#[test]
fn other_operations() {
    let backend = CpuBackend::new();
    let geometry = PoolGeometry {
        kernel: vec![3, 3],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        pads_begin: vec![1, 1],
        pads_end: vec![1, 1],
        ceil_mode: false,
    };
    let sample = [24, 15, 15];
    let same_geometry = geometry.clone();
    let operations: [(&str, Operation); 13] = [
        ("max pool", Box::new(move |x| Ok(backend.max_pool(x, &geometry)?.0))),
        ("average pool", Box::new(move |x| backend.average_pool(x, &same_geometry, true))),
        ("tanh", Box::new(move |x| backend.map(x, Map::Tanh))),
        ("zip", Box::new(move |x| backend.zip(x, &Random::new(23).tensor(&[24, 1, 1]), Zip::Divide))),
        ("sum over the plane", Box::new(move |x| backend.reduce(x, &[2, 3], Reduction::Sum))),
        ("mean over channels", Box::new(move |x| backend.reduce(x, &[1], Reduction::Mean))),
        ("sum to", Box::new(move |x| backend.sum_to(x, &[1, 15, 1]))),
        ("softmax over channels", Box::new(move |x| backend.softmax(x, 1))),
        ("softmax over lines", Box::new(move |x| backend.softmax(x, 3))),
        ("transpose", Box::new(move |x| backend.transpose(x, &[0, 2, 3, 1]))),
        ("products of matrices", Box::new(move |x| backend.matrix_product(x, &backend.transpose(x, &[0, 1, 3, 2])?))),
        ("one matrix for all", Box::new(move |x| backend.matrix_product(x, &Random::new(24).tensor(&[1, 1, 15, 40])))),
        (
            "resampling",
            Box::new(move |x| {
                let halves = (0..29usize).map(|index| vec![(index / 2, 0.5), (index.div_ceil(2), 0.5)]);
                backend.resample(x, 2, &Resampling::new(15, halves)?)
            }),
        ),
    ];
    for (name, operation) in &operations {
        assert_same_rows(name, &sample, operation);
    }
}
