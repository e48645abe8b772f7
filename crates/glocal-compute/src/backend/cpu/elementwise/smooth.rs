//! The smooth activations and their derivatives, each a pair of functions of one number.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E, PI};

/// Klambauer et al. 2017, arXiv 1706.02515.
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_SCALE: f32 = 1.050_701;
/// The cubic term of the tanh form of GELU: Hendrycks and Gimpel 2016, arXiv 1606.08415.
const GELU_CUBIC: f32 = 0.044_715;

#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    let e = exp_of_negative(if x > 0.0 { -x } else { x });
    (if x >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// `exp(x)` for `x ≤ 0`, of steps that compilers turn into vectors: `2ⁿ · exp(r)` with `|r| ≤ ln(2) / 2`. Within 2 units in
/// the last place of a result that is not subnormal.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    /// exp of less is 0.
    const LEAST: f32 = -104.0;
    /// Added and taken away, leaves the nearest integer, which meanwhile stands in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    /// The first 15 bits of ln(2), so that multiples by small integers are exact, and the rest.
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    let x = if x < LEAST { LEAST } else { x };
    let rounded = x * LOG2_E + ROUNDING;
    let whole = rounded - ROUNDING;
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUNDING.to_bits() as i32);
    let r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    // The Taylor polynomial: the first term left out is below 0.35⁸ / 40320 < 2⁻²⁷.
    let tail = (r * (1.0 / 5040.0) + 1.0 / 720.0) * r + 1.0 / 120.0;
    let tail = ((tail * r + 1.0 / 24.0) * r + 1.0 / 6.0) * r + 0.5;
    let exp = 1.0 + (r + r * r * tail);
    // 2ⁿ as two factors, since n reaches below the least exponent; of NaN, n is anything
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    exp * power(half) * power(n.wrapping_sub(half))
}

/// `x` where positive, else `alpha · (exp(x / width) − 1)`.
pub(super) fn elu(x: f32, alpha: f32, width: f32) -> f32 {
    if x > 0.0 { x } else { alpha * (x / width).exp_m1() }
}

pub(super) fn elu_derivative(x: f32, alpha: f32, width: f32) -> f32 {
    if x > 0.0 { 1.0 } else { alpha / width * (x / width).exp() }
}

pub(super) fn selu(x: f32) -> f32 {
    SELU_SCALE * elu(x, SELU_ALPHA, 1.0)
}

pub(super) fn selu_derivative(x: f32) -> f32 {
    SELU_SCALE * elu_derivative(x, SELU_ALPHA, 1.0)
}

pub(super) fn hard_sigmoid(x: f32, slope: f32, offset: f32) -> f32 {
    (slope * x + offset).clamp(0.0, 1.0)
}

pub(super) fn hard_sigmoid_derivative(x: f32, slope: f32, offset: f32) -> f32 {
    let y = slope * x + offset;
    if y > 0.0 && y < 1.0 { slope } else { 0.0 }
}

pub(super) fn hard_swish(x: f32) -> f32 {
    x * hard_sigmoid(x, 1.0 / 6.0, 0.5)
}

pub(super) fn hard_swish_derivative(x: f32) -> f32 {
    if x <= -3.0 {
        0.0
    } else if x >= 3.0 {
        1.0
    } else {
        x / 3.0 + 0.5
    }
}

#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

pub(super) fn silu_derivative(x: f32) -> f32 {
    let s = sigmoid(x);
    s * (1.0 + x * (1.0 - s))
}

pub(super) fn erf(x: f32) -> f32 {
    libm::erff(x)
}

pub(super) fn erf_derivative(x: f32) -> f32 {
    FRAC_2_SQRT_PI * (-x * x).exp()
}

pub(super) fn gelu(x: f32) -> f32 {
    // erfc keeps its digits where 1 + erf cancels.
    0.5 * x * libm::erfcf(-x * FRAC_1_SQRT_2)
}

pub(super) fn gelu_derivative(x: f32) -> f32 {
    let density = (-0.5 * x * x).exp() / (2.0 * PI).sqrt();
    0.5 * libm::erfcf(-x * FRAC_1_SQRT_2) + x * density
}

pub(super) fn gelu_tanh(x: f32) -> f32 {
    x * sigmoid(2.0 * gelu_tanh_argument(x))
}

pub(super) fn gelu_tanh_derivative(x: f32) -> f32 {
    let s = sigmoid(2.0 * gelu_tanh_argument(x));
    let slope = (2.0 / PI).sqrt() * (1.0 + 3.0 * GELU_CUBIC * x * x);
    s + x * 2.0 * slope * s * (1.0 - s)
}

fn gelu_tanh_argument(x: f32) -> f32 {
    (2.0 / PI).sqrt() * (x + GELU_CUBIC * x * x * x)
}

pub(super) fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(super) fn softsign(x: f32) -> f32 {
    x / (1.0 + x.abs())
}

pub(super) fn softsign_derivative(x: f32) -> f32 {
    let root = 1.0 + x.abs();
    1.0 / (root * root)
}

pub(super) fn power(x: f32, exponent: f32) -> f32 {
    // The common exponents without the detour over logarithms.
    match exponent {
        2.0 => x * x,
        3.0 => x * x * x,
        -1.0 => 1.0 / x,
        0.5 => x.sqrt(),
        _ => x.powf(exponent),
    }
}

pub(super) fn power_derivative(x: f32, exponent: f32) -> f32 {
    if exponent == 0.0 { 0.0 } else { exponent * power(x, exponent - 1.0) }
}

pub(super) fn mish(x: f32) -> f32 {
    x * softplus(x).tanh()
}

pub(super) fn mish_derivative(x: f32) -> f32 {
    let t = softplus(x).tanh();
    t + x * (1.0 - t * t) * sigmoid(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value, its derivative, and a name.
    type Pair = (&'static str, fn(f32) -> f32, fn(f32) -> f32);

    const PAIRS: [Pair; 13] = [
        ("sigmoid", sigmoid, |x| sigmoid(x) * (1.0 - sigmoid(x))),
        ("elu", |x| elu(x, 0.7, 1.0), |x| elu_derivative(x, 0.7, 1.0)),
        ("celu", |x| elu(x, 1.3, 1.3), |x| elu_derivative(x, 1.3, 1.3)),
        ("selu", selu, selu_derivative),
        ("silu", silu, silu_derivative),
        ("erf", erf, erf_derivative),
        ("gelu", gelu, gelu_derivative),
        ("gelu-tanh", gelu_tanh, gelu_tanh_derivative),
        ("softplus", softplus, sigmoid),
        ("softsign", softsign, softsign_derivative),
        ("mish", mish, mish_derivative),
        // Over the size, for the real powers of negative numbers are none, and damped, for they grow.
        ("square root", |x| power(1.0 + x.abs(), 0.5), |x| x.signum() * power_derivative(1.0 + x.abs(), 0.5)),
        ("reciprocal", |x| power(1.0 + x.abs(), -1.0), |x| x.signum() * power_derivative(1.0 + x.abs(), -1.0)),
    ];

    /// Central differences of width 2⁻⁶ in single precision: rounding gives 2⁻²³/2⁻⁵ ≈ 4e-6, the third derivative (at most
    /// about 3 here) 2⁻¹²·3/6 ≈ 1e-4.
    const DIFFERENCE: f32 = 3e-4;

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        for step in 0..200_000 {
            let x = step as f32 * -0.000_521;
            let (given, exact) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            let unit = f64::from(f32::EPSILON) * exact.max(f64::from(f32::MIN_POSITIVE));
            assert!((given - exact).abs() <= 2.0 * unit, "exp({x}) = {given}, should be {exact}");
        }
        assert_eq!((exp_of_negative(0.0), exp_of_negative(-0.0)), (1.0, 1.0));
        assert_eq!((exp_of_negative(-105.0), exp_of_negative(f32::NEG_INFINITY)), (0.0, 0.0));
        assert!(exp_of_negative(f32::NAN).is_nan());
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY), sigmoid(0.0)), (1.0, 0.0, 0.5));
    }

    #[test]
    fn derivatives_are_those_of_the_values() {
        for (name, value, derivative) in PAIRS {
            for step in -40..40 {
                let (x, h) = (step as f32 * 0.21 + 0.1, 1.0 / 64.0);
                // Kinks at zero have one-sided derivatives.
                if x.abs() < 2.0 * h {
                    continue;
                }
                let slope = (value(x + h) - value(x - h)) / (2.0 * h);
                let error = (slope - derivative(x)).abs();
                assert!(error <= DIFFERENCE, "{name} at {x}: {slope} and {}", derivative(x));
            }
        }
    }

    #[test]
    fn far_from_zero_nothing_overflows() {
        for (name, value, derivative) in PAIRS {
            for x in [-1e4, -100.0, -40.0, 40.0, 100.0, 1e4] {
                assert!(value(x).is_finite() && derivative(x).is_finite(), "{name} at {x}");
            }
        }
    }

    #[test]
    fn hard_forms_meet_their_definitions() {
        for (x, expected) in [(-4.0, 0.0), (-3.0, 0.0), (0.0, 0.0), (1.5, 1.125), (3.0, 3.0), (5.0, 5.0)] {
            assert_eq!(hard_swish(x), expected);
        }
        assert_eq!(hard_sigmoid(10.0, 0.2, 0.5), 1.0);
        assert_eq!(hard_sigmoid_derivative(0.0, 0.2, 0.5), 0.2);
        assert_eq!(
            [hard_swish_derivative(-3.0), hard_swish_derivative(0.0), hard_swish_derivative(3.0)],
            [0.0, 0.5, 1.0]
        );
    }
}
