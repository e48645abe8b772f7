//! Planes with each machine's vectors that can run here, beside plain loops: a test elsewhere meets the widest ones only.

use rten_simd::isa::GenericIsa;
#[cfg(target_arch = "x86_64")]
use rten_simd::isa::{Avx2Isa, Avx512Isa};

use super::*;
use crate::backend::cpu::convolution::phase::Phase;

/// A plane of a square kernel, with the shares that compute it.
struct Case {
    size: [usize; 2],
    kernel: usize,
    stride: usize,
    pad: usize,
}

impl Case {
    /// The axes of the windows' positions along one axis of the image.
    fn axis(&self, axis: usize) -> Axis {
        let count = (self.size[axis] + 2 * self.pad - self.kernel) / self.stride + 1;
        Axis::window(self.size[axis], self.kernel, self.stride, 1, self.pad, count)
    }

    /// For each machine, the outputs of the planes, of which each image has one.
    fn run(&self, shares: &[Share<'_>], period: usize, output: [usize; 2], images: &[f32]) -> Vec<Vec<f32>> {
        let Ok(planes) = Planes::new(shares, [period; 2], output) else { panic!("planes that lines can compute") };
        let len = images.len() / 2;
        let mut outputs = Vec::new();
        let mut run = |eval: &dyn Fn(Plane<'_>)| {
            let (mut out, mut workspace) = (vec![f32::NAN; 2 * output[0] * output[1]], planes.workspace());
            for (plane, out) in out.chunks_exact_mut(output[0] * output[1]).enumerate() {
                // what follows an image has no part in its planes
                let image = [&images[plane * len..][..len], &vec![f32::NAN; len]].concat();
                eval(Plane { planes: &planes, plane, image: &image, workspace: &mut workspace, bias: 0.5, out });
            }
            outputs.push(out);
        };
        run(&|plane| plane.eval(GenericIsa::new()));
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(isa) = Avx2Isa::new() {
                run(&|plane| plane.eval(isa));
            }
            if let Some(isa) = Avx512Isa::new() {
                run(&|plane| plane.eval(isa));
            }
        }
        outputs
    }
}

/// The output element at `position`: the bias and the products that `axes` describe, in `f64`, and a bound of the error of
/// their sum, one rounding for each product and each addition.
fn exact(axes: [&Axis; 2], position: [usize; 2], image: &[f32], kernel: &[f32]) -> (f64, f64) {
    let (mut sum, mut magnitude) = (0.5, 0.5);
    let rows = axes[0].taps.len();
    for row in 0..rows {
        for column in 0..axes[1].taps.len() {
            let (y, x) = (axes[0].position(position[0], row), axes[1].position(position[1], column));
            if let (Some(y), Some(x)) = (y, x) {
                let product = f64::from(image[y * axes[1].size + x]) * f64::from(kernel[column * rows + row]);
                sum += product;
                magnitude += product.abs();
            }
        }
    }
    (sum, magnitude * 2.0 * (kernel.len() + 1) as f64 * f64::from(f32::EPSILON))
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index * 7919 % 2017) as f32 / 1008.0 - 1.0).collect()
}

fn cases() -> impl Iterator<Item = Case> {
    let widths = [1, 3, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 70];
    let kernels = [(3, 1, 1), (5, 1, 2), (3, 2, 1), (5, 2, 2), (7, 1, 3), (3, 1, 2), (3, 2, 0)];
    widths.into_iter().flat_map(move |width| {
        let cases = [2, 7, 13].into_iter().flat_map(move |height| {
            kernels.into_iter().map(move |(kernel, stride, pad)| Case { size: [height, width], kernel, stride, pad })
        });
        cases.filter(|case| case.size.iter().all(|size| size + 2 * case.pad >= case.kernel + case.stride))
    })
}

#[test]
fn windows_agree_with_plain_loops_on_every_machine() {
    for case in cases() {
        let kernels = numbers(2 * case.kernel * case.kernel);
        let images = numbers(2 * case.size[0] * case.size[1]);
        let axes = [case.axis(0), case.axis(1)];
        let output = axes.each_ref().map(|axis| axis.count);
        let share = Share { vertical: axes[0].clone(), horizontal: axes[1].clone(), kernels: &kernels, offset: [0; 2] };
        for out in case.run(&[share], 1, output, &images) {
            for (index, &given) in out.iter().enumerate() {
                let (plane, position) = (index / (output[0] * output[1]), index % (output[0] * output[1]));
                let image = &images[plane * images.len() / 2..][..images.len() / 2];
                let kernel = &kernels[plane * kernels.len() / 2..][..kernels.len() / 2];
                let position = [position / output[1], position % output[1]];
                let (sum, bound) = exact(axes.each_ref(), position, image, kernel);
                assert!(
                    (f64::from(given) - sum).abs() <= bound,
                    "{given} is not {sum} at {position:?} of {:?}",
                    case.size
                );
            }
        }
    }
}

#[test]
fn phases_agree_with_plain_loops_on_every_machine() {
    for case in cases().filter(|case| case.stride == 2) {
        let r_size = [case.axis(0).count, case.axis(1).count];
        let phases = Phase::all(case.kernel, case.stride, 1, case.pad);
        let images = numbers(2 * r_size[0] * r_size[1]);
        let kernels = numbers(2 * case.kernel * case.kernel);
        let mut shares = Vec::new();
        for down in &phases {
            for across in &phases {
                let (vertical, horizontal) = (down.axis(case.size[0], r_size[0]), across.axis(case.size[1], r_size[1]));
                if let (Some(vertical), Some(horizontal)) = (vertical, horizontal) {
                    let kernels = &kernels[..2 * vertical.taps.len() * horizontal.taps.len()];
                    shares.push(Share { vertical, horizontal, kernels, offset: [down.offset, across.offset] });
                }
            }
        }
        for out in case.run(&shares, case.stride, case.size, &images) {
            for share in &shares {
                for plane in 0..2 {
                    let image = &images[plane * images.len() / 2..][..images.len() / 2];
                    let taps = share.kernels.len() / 2;
                    let kernel = &share.kernels[plane * taps..][..taps];
                    for line in 0..share.vertical.count {
                        for x in 0..share.horizontal.count {
                            let (sum, bound) = exact([&share.vertical, &share.horizontal], [line, x], image, kernel);
                            let position = [share.offset[0] + 2 * line, share.offset[1] + 2 * x];
                            let given = out[(plane * case.size[0] + position[0]) * case.size[1] + position[1]];
                            let is_close = (f64::from(given) - sum).abs() <= bound;
                            assert!(is_close, "{given} is not {sum} at {position:?} of {:?}", case.size);
                        }
                    }
                }
            }
        }
    }
}
