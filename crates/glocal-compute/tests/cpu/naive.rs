//! The operations as their definitions say, in `f64`, and the comparison with them.

use glocal_compute::{ConvolutionGeometry, PoolGeometry, Tensor};

/// A sum with the sum of its terms' absolute values, which bounds its rounding error.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    value: f64,
    magnitude: f64,
    terms: usize,
}

impl Sum {
    pub(crate) fn add(&mut self, term: f64) {
        self.value += term;
        self.magnitude += term.abs();
        self.terms += 1;
    }

    /// The same sum, divided.
    pub(crate) fn over(self, divisor: f64) -> Self {
        Self { value: self.value / divisor, magnitude: self.magnitude / divisor, terms: self.terms }
    }
}

/// Beside one rounding for each term of a sum: those of a final division, bias or conversion.
const OTHER_ROUNDINGS: usize = 3;

/// Fails when an element is further from the exact sum than `f32` rounding of each term can bring it.
pub(crate) fn assert_sums(given: &Tensor, expected: &[Sum], context: &dyn std::fmt::Debug) {
    assert_eq!(given.len(), expected.len(), "{context:?}");
    for (index, (&given, sum)) in given.data().iter().zip(expected).enumerate() {
        let tolerance = f64::from(f32::EPSILON) * (sum.terms + OTHER_ROUNDINGS) as f64 * sum.magnitude;
        let error = (f64::from(given) - sum.value).abs();
        assert!(error <= tolerance, "element {index} is {given}, should be {}: {context:?}", sum.value);
    }
}

/// Every index into `shape`, in row-major order.
pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |indices, &size| {
        let extend = |index: &Vec<usize>| {
            let index = index.clone();
            (0..size).map(move |last| [&index[..], &[last]].concat())
        };
        indices.iter().flat_map(extend).collect()
    })
}

/// The row-major position of `index` in `shape`.
pub(crate) fn flat(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |flat, (&size, &index)| flat * size + index)
}

/// The input element of each axis that a window's element reads; `None` in the padding.
fn read(
    output: &[usize],
    tap: &[usize],
    strides: &[usize],
    dilations: &[usize],
    pads: &[usize],
    input: &[usize],
) -> Option<Vec<usize>> {
    (0..input.len())
        .map(|axis| {
            let position = (output[axis] * strides[axis] + tap[axis] * dilations[axis]).checked_sub(pads[axis])?;
            (position < input[axis]).then_some(position)
        })
        .collect()
}

/// The last three axes of a shape, or of an attribute, with `fill` for those that it lacks.
fn three(sizes: &[usize], fill: usize) -> [usize; 3] {
    let mut axes = [fill; 3];
    axes[3 - sizes.len()..].copy_from_slice(sizes);
    axes
}

/// Calls `visit(output, input, weight)` with the flat positions of every product of a convolution.
fn products(
    x_shape: &[usize],
    w_shape: &[usize],
    geometry: &ConvolutionGeometry,
    out_shape: &[usize],
    mut visit: impl FnMut(usize, usize, usize),
) {
    let (input, kernel, output) = (three(&x_shape[2..], 1), three(&w_shape[2..], 1), three(&out_shape[2..], 1));
    let (strides, dilations) = (three(&geometry.strides, 1), three(&geometry.dilations, 1));
    let pads = three(&geometry.pads_begin, 0);
    // (output, input, kernel element) of each axis
    let [deep, vertical, horizontal] = [0, 1, 2].map(|axis| {
        let pairs = (0..output[axis]).flat_map(|out| (0..kernel[axis]).map(move |tap| (out, tap)));
        let read = |(out, tap): (usize, usize)| {
            let position = (out * strides[axis] + tap * dilations[axis]).checked_sub(pads[axis])?;
            (position < input[axis]).then_some((out, position, tap))
        };
        pairs.filter_map(read).collect::<Vec<(usize, usize, usize)>>()
    });
    let flat = |plane: usize, sizes: [usize; 3], at: [usize; 3]| {
        at.iter().zip(sizes).fold(plane, |flat, (at, size)| flat * size + at)
    };
    let outputs = w_shape[0] / geometry.group;
    for sample in 0..out_shape[0] {
        for out in 0..out_shape[1] {
            for channel in 0..w_shape[1] {
                let from = out / outputs * w_shape[1] + channel;
                for z in &deep {
                    for y in &vertical {
                        for x in &horizontal {
                            visit(
                                flat(sample * out_shape[1] + out, output, [z.0, y.0, x.0]),
                                flat(sample * x_shape[1] + from, input, [z.1, y.1, x.1]),
                                flat(out * w_shape[1] + channel, kernel, [z.2, y.2, x.2]),
                            );
                        }
                    }
                }
            }
        }
    }
}

pub(crate) fn convolution(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    geometry: &ConvolutionGeometry,
    out_shape: &[usize],
) -> Vec<Sum> {
    let mut sums = vec![Sum::default(); out_shape.iter().product()];
    if let Some(bias) = bias {
        let plane = out_shape[2..].iter().product::<usize>();
        for (index, sum) in sums.iter_mut().enumerate() {
            sum.add(bias.data()[index / plane % out_shape[1]].into());
        }
    }
    products(x.shape(), w.shape(), geometry, out_shape, |out, input, weight| {
        sums[out].add(f64::from(x.data()[input]) * f64::from(w.data()[weight]));
    });
    sums
}

pub(crate) fn convolution_input_gradient(
    r: &Tensor,
    w: &Tensor,
    geometry: &ConvolutionGeometry,
    x_shape: &[usize],
) -> Vec<Sum> {
    let mut sums = vec![Sum::default(); x_shape.iter().product()];
    products(x_shape, w.shape(), geometry, r.shape(), |out, input, weight| {
        sums[input].add(f64::from(r.data()[out]) * f64::from(w.data()[weight]));
    });
    sums
}

/// For each window of each plane, the flat positions in the input's plane that it reads, and by how much an average is
/// divided.
pub(crate) fn windows(
    geometry: &PoolGeometry,
    input: &[usize],
    output: &[usize],
    include_pad: bool,
) -> Vec<(Vec<usize>, usize)> {
    let window = |out: &Vec<usize>| {
        let (mut positions, mut counted) = (Vec::new(), 0);
        for tap in indices(&geometry.kernel) {
            let padded = (0..input.len()).all(|axis| {
                let position = out[axis] * geometry.strides[axis] + tap[axis] * geometry.dilations[axis];
                position < geometry.pads_begin[axis] + input[axis] + geometry.pads_end[axis]
            });
            let at = read(out, &tap, &geometry.strides, &geometry.dilations, &geometry.pads_begin, input);
            counted += usize::from(if include_pad { padded } else { at.is_some() });
            positions.extend(at.map(|at| flat(input, &at)));
        }
        (positions, counted)
    };
    indices(output).iter().map(window).collect()
}

/// The scalar product, with the bound of its terms.
pub(crate) fn dot(a: &Tensor, b: &Tensor) -> (f64, f64) {
    assert_eq!(a.shape(), b.shape());
    let terms = a.data().iter().zip(b.data()).map(|(&a, &b)| f64::from(a) * f64::from(b));
    terms.fold((0.0, 0.0), |(value, magnitude), term| (value + term, magnitude + term.abs()))
}
