//! Functions of one number, applied to every element, and their derivatives.

mod smooth;

use rten_simd::{Isa, SimdOp};

use crate::backend::Map;
use crate::{ComputeError, Rows, Tensor};

use super::{parallel, rows};
use smooth::sigmoid;

/// See [`Backend::map`](crate::Backend::map).
pub(super) fn map(x: &Tensor, map: Map) -> Result<Tensor, ComputeError> {
    map_owned(x.clone(), map)
}

/// See [`Backend::map_owned`](crate::Backend::map_owned).
pub(super) fn map_owned(x: Tensor, map: Map) -> Result<Tensor, ComputeError> {
    match map {
        Map::Positive => apply(x, positive),
        Map::Negative => apply(x, negative),
        Map::Clip { low, high } => apply(x, |x| clip(x, low, high)),
        Map::LeakyRelu { slope } => apply(x, |x| if x > 0.0 { x } else { slope * x }),
        Map::Sigmoid => apply(x, sigmoid),
        Map::Tanh => apply(x, f32::tanh),
        Map::Elu { alpha, width } => apply(x, |x| smooth::elu(x, alpha, width)),
        Map::Selu => apply(x, smooth::selu),
        Map::HardSigmoid { slope, offset } => apply(x, |x| smooth::hard_sigmoid(x, slope, offset)),
        Map::HardSwish => apply(x, smooth::hard_swish),
        Map::Silu => apply(x, smooth::silu),
        Map::Erf => apply(x, smooth::erf),
        Map::Gelu => apply(x, smooth::gelu),
        Map::GeluTanh => apply(x, smooth::gelu_tanh),
        Map::Softplus => apply(x, smooth::softplus),
        Map::Softsign => apply(x, smooth::softsign),
        Map::Mish => apply(x, smooth::mish),
        Map::Exp => apply(x, f32::exp),
        Map::Logarithm => apply(x, f32::ln),
        Map::Absolute => apply(x, f32::abs),
        Map::Square => apply(x, |x| x * x),
        Map::SquareRoot => apply(x, f32::sqrt),
        Map::Power { exponent } => apply(x, |x| smooth::power(x, exponent)),
        Map::Affine { factor, offset } => apply(x, |x| x * factor + offset),
        Map::Stabilize { epsilon } => apply(x, |x| x + if x < 0.0 { -epsilon } else { epsilon }),
        Map::StabilizeClip { epsilon } => apply(x, |x| stabilize_clip(x, epsilon)),
        Map::IsPositive => apply(x, |x| f32::from(x > 0.0)),
        Map::IsNegative => apply(x, |x| f32::from(x < 0.0)),
    }
}

/// See [`Backend::map_gradient`](crate::Backend::map_gradient).
pub(super) fn map_gradient(r: &Tensor, rows: &Rows, x: &Tensor, map: Map) -> Result<Tensor, ComputeError> {
    let zip = Gradient { r, rows, x };
    // Where the derivative is 0 the result is 0, whatever r is: an infinite r must not become NaN.
    match map {
        Map::Positive => zip.apply(|r, x| if x > 0.0 { r } else { 0.0 }),
        Map::Negative => zip.apply(|r, x| if x <= 0.0 { r } else { 0.0 }),
        Map::Clip { low, high } => zip.apply(|r, x| if x >= low && x <= high { r } else { 0.0 }),
        Map::LeakyRelu { slope } => zip.apply(|r, x| if x > 0.0 { r } else { slope * r }),
        Map::Sigmoid => zip.apply(|r, x| {
            let y = sigmoid(x);
            r * (y * (1.0 - y))
        }),
        Map::Tanh => zip.apply(|r, x| {
            let y = x.tanh();
            r * (1.0 - y * y)
        }),
        Map::Elu { alpha, width } => zip.apply(|r, x| times(r, smooth::elu_derivative(x, alpha, width))),
        Map::Selu => zip.apply(|r, x| times(r, smooth::selu_derivative(x))),
        Map::HardSigmoid { slope, offset } => {
            zip.apply(|r, x| times(r, smooth::hard_sigmoid_derivative(x, slope, offset)))
        }
        Map::HardSwish => zip.apply(|r, x| times(r, smooth::hard_swish_derivative(x))),
        Map::Silu => zip.apply(|r, x| times(r, smooth::silu_derivative(x))),
        Map::Erf => zip.apply(|r, x| times(r, smooth::erf_derivative(x))),
        Map::Gelu => zip.apply(|r, x| times(r, smooth::gelu_derivative(x))),
        Map::GeluTanh => zip.apply(|r, x| times(r, smooth::gelu_tanh_derivative(x))),
        Map::Softplus => zip.apply(|r, x| r * sigmoid(x)),
        Map::Softsign => zip.apply(|r, x| times(r, smooth::softsign_derivative(x))),
        Map::Mish => zip.apply(|r, x| times(r, smooth::mish_derivative(x))),
        Map::Exp => zip.apply(|r, x| r * x.exp()),
        Map::Logarithm => zip.apply(|r, x| r / x),
        Map::Absolute => zip.apply(|r, x| {
            if x > 0.0 {
                r
            } else if x < 0.0 {
                -r
            } else {
                0.0
            }
        }),
        Map::Square => zip.apply(|r, x| r * (2.0 * x)),
        Map::SquareRoot => zip.apply(|r, x| r / (2.0 * x.sqrt())),
        Map::Power { exponent } => zip.apply(|r, x| times(r, smooth::power_derivative(x, exponent))),
        Map::Affine { factor, .. } => zip.apply(|r, _| r * factor),
        Map::Stabilize { .. } => zip.apply(|r, _| r),
        Map::StabilizeClip { epsilon } => zip.apply(|r, x| if x.abs() >= epsilon { r } else { 0.0 }),
        Map::IsPositive | Map::IsNegative => zip.apply(|_, _| 0.0),
    }
}

struct Gradient<'a> {
    r: &'a Tensor,
    rows: &'a Rows,
    x: &'a Tensor,
}

impl Gradient<'_> {
    fn apply(self, function: impl Fn(f32, f32) -> f32 + Sync) -> Result<Tensor, ComputeError> {
        rows::zip("map_gradient", self.r, self.rows, self.x, function)
    }
}

fn apply(mut x: Tensor, function: impl Fn(f32) -> f32 + Sync) -> Result<Tensor, ComputeError> {
    if x.sharers() == 1 {
        parallel::for_chunks(x.data_mut(), |_, x| InPlace { x, function: &function }.dispatch());
        return Ok(x);
    }
    let mut out = Tensor::unspecified(x.shape())?;
    let x = x.data();
    parallel::for_chunks(out.data_mut(), |offset, out| {
        Elements { x: &x[offset..], out, function: &function }.dispatch();
    });
    Ok(out)
}

/// A function of each element, for the machine's vectors where the compiler finds them.
struct Elements<'a, F> {
    x: &'a [f32],
    out: &'a mut [f32],
    function: &'a F,
}

impl<F: Fn(f32) -> f32> SimdOp for Elements<'_, F> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        for (to, &from) in self.out.iter_mut().zip(self.x) {
            *to = (self.function)(from);
        }
    }
}

/// The same where the elements are.
struct InPlace<'a, F> {
    x: &'a mut [f32],
    function: &'a F,
}

impl<F: Fn(f32) -> f32> SimdOp for InPlace<'_, F> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        for x in self.x {
            *x = (self.function)(*x);
        }
    }
}

// Written so that NaN stays NaN, which f32::max and f32::min would replace.

pub(super) fn positive(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

pub(super) fn negative(x: f32) -> f32 {
    if x >= 0.0 { 0.0 } else { x }
}

fn clip(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

fn stabilize_clip(x: f32, epsilon: f32) -> f32 {
    let size = if x.abs() < epsilon { epsilon } else { x.abs() };
    if x < 0.0 { -size } else { size }
}

/// `r · derivative`; 0 where the derivative is, whatever `r` is.
fn times(r: f32, derivative: f32) -> f32 {
    if derivative == 0.0 { 0.0 } else { r * derivative }
}
