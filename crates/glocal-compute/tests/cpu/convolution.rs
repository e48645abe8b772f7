//! Convolutions and their input gradients.

use glocal_compute::backend::WeightChange;
use glocal_compute::{Backend, ConvolutionGeometry, CpuBackend, Tensor};

use crate::naive;
use crate::random::Random;

/// A layer and an input size.
#[derive(Debug)]
struct Case {
    batch: usize,
    inputs: usize,
    outputs: usize,
    kernel: Vec<usize>,
    spatial: Vec<usize>,
    geometry: ConvolutionGeometry,
}

impl Case {
    /// Stride 1, no padding, one group.
    fn new(batch: usize, inputs: usize, outputs: usize, kernel: &[usize], spatial: &[usize]) -> Self {
        let rank = kernel.len();
        let geometry = ConvolutionGeometry {
            strides: vec![1; rank],
            dilations: vec![1; rank],
            pads_begin: vec![0; rank],
            pads_end: vec![0; rank],
            group: 1,
        };
        Self { batch, inputs, outputs, kernel: kernel.to_vec(), spatial: spatial.to_vec(), geometry }
    }

    fn pads(mut self, begin: &[usize], end: &[usize]) -> Self {
        (self.geometry.pads_begin, self.geometry.pads_end) = (begin.to_vec(), end.to_vec());
        self
    }

    fn strides(mut self, strides: &[usize]) -> Self {
        self.geometry.strides = strides.to_vec();
        self
    }

    fn dilations(mut self, dilations: &[usize]) -> Self {
        self.geometry.dilations = dilations.to_vec();
        self
    }

    /// `inputs` and `outputs` stay those of one group.
    fn group(mut self, group: usize) -> Self {
        self.geometry.group = group;
        self
    }

    /// `None` when the kernel does not fit.
    fn random(random: &mut Random) -> Option<Self> {
        let rank = random.within(1, 3);
        let (inputs, outputs) = match random.within(0, 3) {
            0 => (1, random.within(1, 5)),
            1 => (random.within(1, 3), random.within(6, 9)),
            _ => (random.within(1, 6), random.within(1, 6)),
        };
        let mut case = Self::new(
            random.within(1, 3),
            inputs,
            outputs,
            &random.several(rank, 1, 4),
            &random.several(rank, 1, if rank == 3 { 6 } else { 10 }),
        )
        .pads(&random.several(rank, 0, 4), &random.several(rank, 0, 4))
        .group(random.within(1, 3));
        if random.flip() {
            case = case.strides(&random.several(rank, 1, 4));
        }
        if random.flip() {
            case = case.dilations(&random.several(rank, 1, 3));
        }
        case.geometry.output_spatial(&case.spatial, &case.kernel).is_some().then_some(case)
    }

    fn check(&self, random: &mut Random) {
        let backend = CpuBackend::new();
        let group = self.geometry.group;
        let out_spatial = self.geometry.output_spatial(&self.spatial, &self.kernel).unwrap();
        let x_shape = [&[self.batch, self.inputs * group], &self.spatial[..]].concat();
        let out_shape = [&[self.batch, self.outputs * group], &out_spatial[..]].concat();
        let x = random.tensor(&x_shape);
        let w = random.tensor(&[&[self.outputs * group, self.inputs], &self.kernel[..]].concat());
        let bias = random.flip().then(|| random.tensor(&[self.outputs * group]));
        let packed = backend.pack_convolution(&w, WeightChange::None, &self.geometry).unwrap();

        let out = backend.convolution(&x, &packed, bias.as_ref()).unwrap();
        assert_eq!(out.shape(), out_shape, "{self:?}");
        naive::assert_sums(&out, &naive::convolution(&x, &w, bias.as_ref(), &self.geometry, &out_shape), self);

        let r = random.tensor(&out_shape);
        let gradient = backend.convolution_input_gradient(&r, &packed, &self.spatial).unwrap();
        assert_eq!(gradient.shape(), x_shape, "{self:?}");
        naive::assert_sums(&gradient, &naive::convolution_input_gradient(&r, &w, &self.geometry, &x_shape), self);

        let linear = backend.convolution(&x, &packed, None).unwrap();
        let (forward, first) = naive::dot(&linear, &r);
        let (backward, second) = naive::dot(&x, &gradient);
        // Each element carries at most one rounding per product that it sums, plus its own.
        let terms = (w.len() + 2) as f64;
        let tolerance = f64::from(f32::EPSILON) * terms * (first + second);
        assert!((forward - backward).abs() <= tolerance, "⟨f(x), r⟩ = {forward}, ⟨x, fᵀ(r)⟩ = {backward}: {self:?}");
    }
}

#[test]
fn random_layers_agree_with_plain_loops() {
    let mut random = Random::new(1);
    let mut checked = 0;
    while checked < 600 {
        let Some(case) = Case::random(&mut random) else { continue };
        case.check(&mut random);
        checked += 1;
    }
}

#[test]
fn particular_layers_agree_with_plain_loops() {
    let cases = [
        // more than one block of the product's depth, of its rows and columns
        Case::new(2, 40, 70, &[3, 3], &[19, 17]).pads(&[1, 1], &[1, 1]),
        Case::new(1, 300, 7, &[1, 1], &[9, 5]),
        Case::new(2, 12, 300, &[3], &[40]).pads(&[1], &[1]),
        // more than one block of rows, for one image and for some that share a product; more than one of columns
        Case::new(1, 3, 1030, &[1, 1], &[5, 5]),
        Case::new(5, 3, 1030, &[1, 1], &[3, 3]),
        Case::new(5, 129, 44, &[2, 2], &[4, 3]),
        Case::new(1, 8, 20, &[9], &[2100]).pads(&[4], &[4]),
        Case::new(1, 3, 20, &[1, 1], &[30, 31]),
        Case::new(1, 3, 8, &[7, 7], &[37, 35]).pads(&[3, 3], &[3, 3]).strides(&[2, 2]),
        Case::new(1, 5, 6, &[3, 3, 3], &[9, 10, 11]).pads(&[1, 1, 1], &[1, 1, 1]).strides(&[1, 2, 2]),
        Case::new(1, 2, 9, &[3, 3, 3], &[7, 9, 8]).pads(&[0, 1, 2], &[2, 1, 0]).dilations(&[2, 1, 3]),
        // Winograd: odd planes, pads from none to more than the kernel's reach, channels that are no multiple of any tile, more
        // channels than one block of the depth, by one too, images that share a product, lines that are parted, a third
        // axis of size 1
        Case::new(1, 32, 32, &[3, 3], &[16, 16]),
        Case::new(2, 33, 37, &[3, 3], &[15, 17]).pads(&[1, 1], &[1, 1]),
        Case::new(3, 35, 32, &[3, 3], &[14, 19]).pads(&[0, 2], &[3, 1]),
        Case::new(1, 40, 33, &[3, 3], &[21, 90]).pads(&[1, 1], &[1, 1]),
        Case::new(5, 130, 32, &[3, 3], &[14, 14]).pads(&[1, 1], &[1, 1]),
        Case::new(2, 129, 32, &[3, 3], &[14, 14]).pads(&[1, 1], &[1, 1]),
        Case::new(1, 32, 260, &[3, 3], &[15, 14]).pads(&[2, 2], &[2, 2]),
        Case::new(1, 136, 264, &[3, 3], &[8, 7]).pads(&[1, 1], &[1, 1]),
        Case::new(2, 32, 32, &[3, 3], &[16, 17]).pads(&[4, 5], &[5, 4]),
        Case::new(1, 32, 32, &[3, 3], &[14, 1030]).pads(&[1, 1], &[1, 1]),
        Case::new(2, 32, 32, &[1, 3, 3], &[1, 15, 16]).pads(&[0, 1, 1], &[0, 1, 1]),
        Case::new(1, 32, 32, &[1, 3, 3], &[3, 15, 16]).pads(&[0, 1, 1], &[0, 1, 1]).strides(&[4, 1, 1]),
        // read where they lie: more than one block of lines and of rows, one panel and a part of it, dilations, groups
        Case::new(2, 12, 40, &[5, 5], &[30, 33]).pads(&[2, 2], &[2, 2]),
        Case::new(3, 16, 13, &[3, 3], &[14, 14]).pads(&[1, 1], &[1, 1]),
        Case::new(1, 9, 33, &[3, 3], &[61, 27]).pads(&[0, 3], &[2, 1]).dilations(&[2, 3]),
        Case::new(2, 17, 9, &[3, 2], &[15, 16]).pads(&[1, 1], &[1, 0]).group(3),
        // small, but not so: wide pads between short lines, one line, large planes
        Case::new(3, 8, 16, &[3, 3], &[8, 8]).pads(&[24, 24], &[24, 24]).dilations(&[24, 24]),
        Case::new(2, 20, 20, &[5, 5], &[5, 5]),
        Case::new(1, 2, 5, &[3, 3], &[140, 150]).pads(&[1, 2], &[2, 1]),
        // depthwise: wider than several vectors, with strides, dilations, multipliers
        Case::new(2, 1, 1, &[3, 3], &[12, 77]).pads(&[1, 1], &[1, 1]).group(5),
        Case::new(1, 1, 2, &[5, 5], &[31, 70]).pads(&[2, 2], &[1, 2]).strides(&[2, 2]).group(4),
        Case::new(1, 1, 3, &[3, 3], &[20, 90]).pads(&[2, 2], &[2, 2]).dilations(&[2, 2]).group(3),
        Case::new(1, 1, 1, &[3], &[130]).pads(&[1], &[1]).strides(&[3]).group(7),
        // depthwise over three axes, a stride of which passes whole planes over
        Case::new(1, 1, 1, &[1, 3, 3], &[2, 6, 7]).pads(&[0, 1, 1], &[0, 1, 1]).strides(&[2, 1, 1]).group(3),
        Case::new(2, 1, 1, &[1, 3, 3], &[3, 9, 8]).pads(&[0, 1, 1], &[0, 1, 1]).strides(&[3, 2, 2]).group(2),
        Case::new(2, 1, 1, &[2, 3, 3], &[3, 9, 8]).pads(&[1, 1, 1], &[0, 1, 1]).strides(&[3, 1, 1]).group(2),
        // output 1×1, input smaller than the kernel, pads wider than the kernel, strides wider than all
        Case::new(2, 6, 4, &[5, 3], &[5, 3]),
        Case::new(2, 6, 4, &[5, 5], &[2, 3]).pads(&[2, 1], &[2, 1]),
        Case::new(1, 4, 4, &[2, 2], &[3, 3]).pads(&[4, 0], &[0, 5]),
        Case::new(1, 4, 4, &[1, 1], &[3, 3]).pads(&[2, 2], &[2, 2]).strides(&[3, 2]),
        Case::new(1, 4, 4, &[1, 1], &[8, 8]).strides(&[9, 11]),
        Case::new(1, 1, 1, &[2, 2], &[8, 8]).strides(&[9, 11]).group(4),
        Case::new(2, 33, 17, &[1, 1], &[1, 1]),
        Case::new(1, 1, 1, &[1], &[1]),
    ];
    let mut random = Random::new(2);
    for case in &cases {
        case.check(&mut random);
    }
}

/// Relevance over a denominator that is next to nothing is a million times the others; by a transform over tiles they would be lost.
#[test]
fn one_large_element_takes_nothing_from_its_neighbours() {
    let backend = CpuBackend::new();
    let mut random = Random::new(9);
    let (w, mut r) = (random.tensor(&[33, 32, 3, 3]), random.tensor(&[2, 33, 16, 17]));
    let geometry = Case::new(2, 32, 33, &[3, 3], &[16, 17]).pads(&[1, 1], &[1, 1]).geometry;
    let packed = backend.pack_convolution(&w, WeightChange::None, &geometry).unwrap();
    let plain = backend.convolution_input_gradient(&r, &packed, &[16, 17]).unwrap();
    r.data_mut()[5 * 16 * 17 + 100] = 1e6;
    let gradient = backend.convolution_input_gradient(&r, &packed, &[16, 17]).unwrap();
    let expected = naive::convolution_input_gradient(&r, &w, &geometry, &[2, 32, 16, 17]);
    naive::assert_sums(&gradient, &expected, &"with one large element");
    // The other row is what it was, to the bit.
    assert_eq!(gradient.row(1), plain.row(1));
}

/// The same forward, with weights of one sign: sums that the large element has no part in are denominators.
#[test]
fn one_large_element_takes_nothing_from_sums_without_it() {
    let backend = CpuBackend::new();
    let mut random = Random::new(11);
    let (w, mut x) = (random.tensor(&[33, 32, 3, 3]), random.tensor(&[2, 32, 16, 17]));
    let bias = random.tensor(&[33]);
    x.data_mut().iter_mut().for_each(|x| *x = x.abs());
    let geometry = Case::new(2, 32, 33, &[3, 3], &[16, 17]).pads(&[1, 1], &[1, 1]).geometry;
    let packed = backend.pack_convolution(&w, WeightChange::Positive, &geometry).unwrap();
    let plain = backend.convolution(&x, &packed, Some(&bias)).unwrap();
    x.data_mut()[5 * 16 * 17 + 100] = 1e6;
    let out = backend.convolution(&x, &packed, Some(&bias)).unwrap();
    let positive = Tensor::new(w.shape(), w.data().iter().map(|w| w.max(0.0)).collect()).unwrap();
    let expected = naive::convolution(&x, &positive, Some(&bias), &geometry, out.shape());
    naive::assert_sums(&out, &expected, &"with one large element");
    // The other row is what it was, to the bit.
    assert_eq!(out.row(1), plain.row(1));
}

/// Four of these are more than a float holds, but each of their products is small.
#[test]
fn huge_elements_with_tiny_weights_give_finite_sums() {
    let backend = CpuBackend::new();
    let mut random = Random::new(10);
    let geometry = Case::new(1, 32, 32, &[3, 3], &[16, 16]).pads(&[1, 1], &[1, 1]).geometry;
    let w = random.tensor(&[32, 32, 3, 3]).data().iter().map(|w| w * 1e-30).collect();
    let w = Tensor::new([32, 32, 3, 3], w).unwrap();
    let packed = backend.pack_convolution(&w, WeightChange::None, &geometry).unwrap();
    let r = Tensor::new([1, 32, 16, 16], vec![2e38; 32 * 16 * 16]).unwrap();
    let gradient = backend.convolution_input_gradient(&r, &packed, &[16, 16]).unwrap();
    naive::assert_sums(&gradient, &naive::convolution_input_gradient(&r, &w, &geometry, r.shape()), &"gradient");
    let out = backend.convolution(&r, &packed, None).unwrap();
    naive::assert_sums(&out, &naive::convolution(&r, &w, None, &geometry, r.shape()), &"forward");
}

#[test]
fn an_empty_batch_gives_no_rows() {
    let backend = CpuBackend::new();
    for (inputs, outputs, group) in [(3, 4, 1), (1, 1, 2), (1, 16, 1)] {
        let case = Case::new(0, inputs, outputs, &[3, 3], &[6, 6]).group(group);
        let w = Random::new(3).tensor(&[outputs * group, inputs, 3, 3]);
        let packed = backend.pack_convolution(&w, WeightChange::None, &case.geometry).unwrap();
        let x = Tensor::zeros([0, inputs * group, 6, 6]).unwrap();
        assert_eq!(backend.convolution(&x, &packed, None).unwrap().shape(), [0, outputs * group, 4, 4]);
        let r = Tensor::zeros([0, outputs * group, 4, 4]).unwrap();
        let gradient = backend.convolution_input_gradient(&r, &packed, &[6, 6]).unwrap();
        assert_eq!(gradient.shape(), [0, inputs * group, 6, 6]);
    }
}

/// Depthwise planes around the widths of vectors: of one element, smaller than the kernel, cut by strides, with pads that
/// differ or are wider than the kernel, and with kernels that no loop is made for.
#[test]
fn depthwise_layers_of_odd_shapes_agree_with_plain_loops() {
    let mut random = Random::new(4);
    for width in [1, 2, 5, 7, 8, 15, 16, 17, 31, 33, 64] {
        for (kernel, height) in [(1, 2), (2, 5), (3, 7), (3, 12), (4, 3), (5, 14), (6, 9), (7, 8)] {
            for stride in 1..=5 {
                let pads = [random.within(0, kernel), random.within(0, kernel)];
                let ends = [random.within(0, kernel + 2), random.within(0, kernel + 2)];
                let case = Case::new(2, 1, random.within(1, 2), &[kernel; 2], &[height, width])
                    .pads(&pads, &ends)
                    .strides(&[stride, if random.flip() { stride } else { random.within(1, 3) }])
                    .dilations(&[random.within(1, 2), random.within(1, 3)])
                    .group(3);
                let plain = Case::new(2, 1, 1, &[kernel; 2], &[height, width])
                    .pads(&[kernel / 2; 2], &[kernel / 2; 2])
                    .strides(&[stride; 2])
                    .group(2);
                for case in [case, plain] {
                    if case.geometry.output_spatial(&case.spatial, &case.kernel).is_some() {
                        case.check(&mut random);
                    }
                }
            }
        }
    }
}

/// More lines than are computed from one filling of the rows.
#[test]
fn tall_and_wide_depthwise_planes_agree_with_plain_loops() {
    let mut random = Random::new(5);
    for (kernel, spatial, strides) in [
        ([3, 3], [150, 113], [1, 1]),
        ([5, 5], [113, 140], [2, 2]),
        ([3, 3], [1100, 7], [1, 1]),
        ([3, 3], [701, 6], [2, 2]),
        ([7, 7], [61, 330], [1, 2]),
        ([3, 5], [61, 530], [2, 1]),
        ([3, 3], [3, 5000], [1, 1]),
        ([1, 3], [9, 700], [1, 2]),
        ([3, 1], [200, 100], [3, 3]),
    ] {
        let pads = kernel.map(|size| size / 2);
        Case::new(1, 1, 1, &kernel, &spatial).pads(&pads, &pads).strides(&strides).group(2).check(&mut random);
    }
}

/// Weights that are changed as they are packed are those that were changed before, in every way that convolutions are computed.
#[test]
fn weights_are_changed_as_they_are_packed() {
    let (backend, mut random) = (CpuBackend::new(), Random::new(90));
    type Function = fn(f32) -> f32;
    let changes: [(WeightChange, Function); 3] = [
        (WeightChange::Positive, |w| w.max(0.0)),
        (WeightChange::Negative, |w| w.min(0.0)),
        (WeightChange::Square, |w| w * w),
    ];
    // channels in a group, channels out, groups, kernel, plane, stride: tiles, products, columns, lines and windows
    for (inputs, outputs, group, kernel, plane, stride) in
        [(32, 40, 1, 3, 15, 1), (20, 24, 1, 3, 9, 2), (3, 16, 1, 5, 12, 1), (1, 6, 6, 3, 10, 1), (1, 8, 4, 3, 9, 3)]
    {
        let geometry = ConvolutionGeometry {
            strides: vec![stride; 2],
            dilations: vec![1; 2],
            pads_begin: vec![1; 2],
            pads_end: vec![1; 2],
            group,
        };
        let weight = random.tensor(&[outputs, inputs, kernel, kernel]);
        let x = random.tensor(&[2, inputs * group, plane, plane]);
        for (change, function) in changes {
            let packed = backend.pack_convolution(&weight, change, &geometry).unwrap();
            let data = weight.data().iter().map(|&w| function(w)).collect();
            let changed = Tensor::new(weight.shape(), data).unwrap();
            let before = backend.pack_convolution(&changed, WeightChange::None, &geometry).unwrap();
            let out = backend.convolution(&x, &packed, None).unwrap();
            assert_eq!(out.data(), backend.convolution(&x, &before, None).unwrap().data(), "{change:?}");
            let r = random.tensor(out.shape());
            let gradient = |weight| backend.convolution_input_gradient(&r, weight, &[plane, plane]).unwrap();
            assert_eq!(gradient(&packed).data(), gradient(&before).data(), "{change:?}");
        }
    }
}
