//! Convolutions at the shapes of VGG16, ResNet-50 and MobileNet-v2, both directions, with packed weights.
//!
//! `cargo bench -p glocal-compute`; `tools/kernels/versus_torch.py` sets the same shapes beside PyTorch.
// Helpers of benches may fail the bench.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use glocal_compute::backend::WeightChange;
use glocal_compute::{Backend, ConvolutionGeometry, CpuBackend, Tensor};

/// Input channels, size of the square plane, output channels, size of the square kernel, stride, pad, groups.
type Layer = (usize, usize, usize, usize, usize, usize, usize);

const LAYERS: [(&str, Layer); 12] = [
    ("vgg 3x3 3-64@224", (3, 224, 64, 3, 1, 1, 1)),
    ("vgg 3x3 64-64@224", (64, 224, 64, 3, 1, 1, 1)),
    ("vgg 3x3 256-256@56", (256, 56, 256, 3, 1, 1, 1)),
    ("vgg 3x3 512-512@14", (512, 14, 512, 3, 1, 1, 1)),
    ("resnet 7x7 stride 2 3-64@224", (3, 224, 64, 7, 2, 3, 1)),
    ("resnet 1x1 64-256@56", (64, 56, 256, 1, 1, 0, 1)),
    ("resnet 1x1 1024-256@14", (1024, 14, 256, 1, 1, 0, 1)),
    ("resnet 3x3 stride 2 128-128@56", (128, 56, 128, 3, 2, 1, 1)),
    ("mobile 3x3 stride 2 3-32@224", (3, 224, 32, 3, 2, 1, 1)),
    ("mobile depthwise 3x3 144@56", (144, 56, 144, 3, 1, 1, 144)),
    ("mobile depthwise 3x3 stride 2 96@112", (96, 112, 96, 3, 2, 1, 96)),
    ("mobile 1x1 160-960@7", (160, 7, 960, 1, 1, 0, 1)),
];

fn numbers(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    Tensor::new(shape, (0..count).map(|index| (index * 7919 % 2017) as f32 / 1008.0 - 1.0).collect()).unwrap()
}

fn layers(criterion: &mut Criterion) {
    let backend = CpuBackend::new();
    for (name, (inputs, size, outputs, kernel, stride, pad, group)) in LAYERS {
        let geometry = ConvolutionGeometry {
            strides: vec![stride; 2],
            dilations: vec![1; 2],
            pads_begin: vec![pad; 2],
            pads_end: vec![pad; 2],
            group,
        };
        let out = geometry.output_spatial(&[size; 2], &[kernel; 2]).unwrap();
        let weight = numbers(&[outputs, inputs / group, kernel, kernel]);
        let weight = backend.pack_convolution(&weight, WeightChange::None, &geometry).unwrap();
        let (x, r) = (numbers(&[1, inputs, size, size]), numbers(&[1, outputs, out[0], out[1]]));
        criterion.bench_function(&format!("{name}, forward"), |bencher| {
            bencher.iter(|| backend.convolution(&x, &weight, None).unwrap());
        });
        criterion.bench_function(&format!("{name}, input gradient"), |bencher| {
            bencher.iter(|| backend.convolution_input_gradient(&r, &weight, &[size; 2]).unwrap());
        });
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
