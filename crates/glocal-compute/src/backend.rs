//! The seam between what is computed and where.
//!
//! Ops and rules are written once, against [`Backend`] alone; a backend implements these operations and nothing of
//! the layers above. All tensors have the batch as axis 0, and **every operation treats the rows of a batch
//! independently: row `i` of a result is bit-identical whatever the other rows, their number, and the number of
//! threads are.** Reference searches rely on that.

mod cpu;

pub use cpu::CpuBackend;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::{ComputeError, ConvolutionGeometry, PoolGeometry, Resampling, Rows, SliceRange, Tensor};

/// Weights in the backend's own layout, made once per layer and weight variant.
///
/// The backend that made it finds its own type inside; any other backend refuses it.
#[derive(Clone, Debug)]
pub struct PackedWeight(Arc<dyn Packed>);

/// What a backend keeps inside a [`PackedWeight`].
pub trait Packed: Any + Debug + Send + Sync {}

impl PackedWeight {
    /// Wraps a backend's own representation.
    pub fn new(packed: impl Packed) -> Self {
        Self(Arc::new(packed))
    }

    /// The representation, when it is of type `T`.
    pub fn downcast<T: Packed>(&self) -> Option<&T> {
        let any: &dyn Any = self.0.as_ref();
        any.downcast_ref()
    }
}

/// A change of weights, number by number. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightChange {
    /// None.
    None,
    /// `max(w, 0)`
    Positive,
    /// `min(w, 0)`
    Negative,
    /// `w²`
    Square,
}

/// For each output element of a max pool, the element of the input's plane that won (the first one on ties).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winners {
    /// The shape of the pool's input, batch included.
    pub input_shape: Vec<usize>,
    /// The shape of the pool's output, batch included.
    pub output_shape: Vec<usize>,
    /// Flat positions inside the input's spatial plane, in the output's row-major order.
    pub positions: Arc<Vec<u32>>,
}

/// A function of one number, applied to every element. NaN stays NaN, but for the two steps, where it gives 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Map {
    /// `max(x, 0)`
    Positive,
    /// `min(x, 0)`
    Negative,
    /// `min(max(x, low), high)`
    Clip {
        /// The lower bound.
        low: f32,
        /// The upper bound.
        high: f32,
    },
    /// `x` where positive, else `slope · x`
    LeakyRelu {
        /// The factor of negative inputs.
        slope: f32,
    },
    /// `1 / (1 + exp(−x))`
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x` where positive, else `alpha · (exp(x / width) − 1)`: ELU at a width of 1, CELU at a width of `alpha`.
    Elu {
        /// The limit of negative inputs, negated.
        alpha: f32,
        /// How far negative inputs reach; not 0.
        width: f32,
    },
    /// SELU, the self-normalizing ELU.
    Selu,
    /// `min(max(slope · x + offset, 0), 1)`
    HardSigmoid {
        /// The slope.
        slope: f32,
        /// The value at 0.
        offset: f32,
    },
    /// `x · min(max(x / 6 + 1/2, 0), 1)`
    HardSwish,
    /// `x · sigmoid(x)`
    Silu,
    /// The error function.
    Erf,
    /// `x · Φ(x)`, Φ being the standard normal distribution.
    Gelu,
    /// The tanh form of GELU.
    GeluTanh,
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `x · tanh(softplus(x))`
    Mish,
    /// `exp(x)`
    Exp,
    /// The natural logarithm.
    Logarithm,
    /// `|x|`
    Absolute,
    /// `x²`
    Square,
    /// The square root.
    SquareRoot,
    /// `x` to the power of a constant; NaN for a negative `x` unless the exponent is a whole number.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// `x · factor + offset`
    Affine {
        /// The factor.
        factor: f32,
        /// The offset.
        offset: f32,
    },
    /// `z + ε·sign(z)` with `sign(0) = +1`: the stabilizer.
    Stabilize {
        /// The stabilizer's ε; positive.
        epsilon: f32,
    },
    /// `sign(z)·max(|z|, ε)` with `sign(0) = +1`: the clipping stabilizer.
    StabilizeClip {
        /// The stabilizer's ε; positive.
        epsilon: f32,
    },
    /// 1 where `x > 0`, else 0.
    IsPositive,
    /// 1 where `x < 0`, else 0.
    IsNegative,
}

/// A function of two numbers, applied element by element with NumPy broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Zip {
    /// `a + b`
    Add,
    /// `a − b`
    Subtract,
    /// `a · b`
    Multiply,
    /// `a / b`
    Divide,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
}

/// How an axis is folded to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The arithmetic mean.
    Mean,
    /// The largest element.
    Maximum,
}

/// What stands in the padding.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PadMode {
    /// A constant.
    Constant(f32),
    /// The nearest element of the input.
    Edge,
    /// The input mirrored at its first and last element, which are not repeated.
    Reflect,
}

/// The operations that ops and rules are made of. See the [module](self) for what holds for all of them.
///
/// Shapes: `N` batch, `C` channels in, `K` channels out. Errors are always shapes or attributes that do not fit.
pub trait Backend: Debug + Send + Sync {
    /// The backend's name, for people.
    fn name(&self) -> &'static str;

    /// Packs weights `[K, C / group, kernel...]`, each changed by `change`, for [`convolution`](Self::convolution) and
    /// its input gradient. Packed weights hold on to `weight`, which many changes of it share.
    fn pack_convolution(
        &self,
        weight: &Tensor,
        change: WeightChange,
        geometry: &ConvolutionGeometry,
    ) -> Result<PackedWeight, ComputeError>;

    /// `[N, C, in...] → [N, K, out...]`, plus `bias` `[K]` where given.
    fn convolution(&self, x: &Tensor, weight: &PackedWeight, bias: Option<&Tensor>) -> Result<Tensor, ComputeError>;

    /// The vector-Jacobian product of [`convolution`](Self::convolution): `[N, K, out...] → [N, C, in...]`, where
    /// `input_spatial` says the size `in...` (more than one gives the same `out...` at strides over 1).
    fn convolution_input_gradient(
        &self,
        r: &Tensor,
        weight: &PackedWeight,
        input_spatial: &[usize],
    ) -> Result<Tensor, ComputeError>;

    /// Packs a matrix `[K, C]` for [`dense`](Self::dense) and its input gradient.
    fn pack_dense(&self, weight: &Tensor) -> Result<PackedWeight, ComputeError>;

    /// `[N, ..., C] → [N, ..., K]`: `x · weightᵀ`, plus `bias` `[K]` where given.
    fn dense(&self, x: &Tensor, weight: &PackedWeight, bias: Option<&Tensor>) -> Result<Tensor, ComputeError>;

    /// The vector-Jacobian product of [`dense`](Self::dense): `[N, ..., K] → [N, ..., C]`. Whether a zero of `r` times a
    /// weight that is not finite is NaN or left out depends on the size of the weights and the rank of `r`.
    fn dense_input_gradient(&self, r: &Tensor, weight: &PackedWeight) -> Result<Tensor, ComputeError>;

    /// The products of matrices `[N, ..., M, K]` and `[N, ..., K, P]`: `[N, ..., M, P]`. Axes before the last two,
    /// the batch among them, are of the same number in both; where one has size 1, its matrix serves all of the other's.
    fn matrix_product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, ComputeError>;

    /// The largest element of each window, and where it was. Padding never wins. NaN wins over numbers. A window
    /// without an element of the input is an error, here and in average pools.
    fn max_pool(&self, x: &Tensor, geometry: &PoolGeometry) -> Result<(Tensor, Winners), ComputeError>;

    /// Hands each row of `r` (`[R, C, out...]`) to the winners of its sample: `[R, C, in...]`.
    fn max_pool_input_gradient(&self, r: &Tensor, rows: &Rows, winners: &Winners) -> Result<Tensor, ComputeError>;

    /// The mean of each window; padding counts as zeros in the divisor only with `count_include_pad` (never what
    /// sticks out of the padded input under `ceil_mode`).
    fn average_pool(
        &self,
        x: &Tensor,
        geometry: &PoolGeometry,
        count_include_pad: bool,
    ) -> Result<Tensor, ComputeError>;

    /// The vector-Jacobian product of [`average_pool`](Self::average_pool): `[N, C, out...] → [N, C, in...]`.
    fn average_pool_input_gradient(
        &self,
        r: &Tensor,
        geometry: &PoolGeometry,
        count_include_pad: bool,
        input_spatial: &[usize],
    ) -> Result<Tensor, ComputeError>;

    /// `map(x)`, element by element.
    fn map(&self, x: &Tensor, map: Map) -> Result<Tensor, ComputeError>;

    /// The same, in place where `x` is not shared.
    fn map_owned(&self, x: Tensor, map: Map) -> Result<Tensor, ComputeError>;

    /// `r · map'(x[rows])`, element by element; the derivative at a kink is the one PyTorch uses (0 for
    /// [`Map::Positive`] at 0, 1 for [`Map::Negative`] at 0 and [`Map::Clip`] on its bounds, 0 for steps). Where it is 0
    /// the result is 0, whatever `r` is.
    fn map_gradient(&self, r: &Tensor, rows: &Rows, x: &Tensor, map: Map) -> Result<Tensor, ComputeError>;

    /// `zip(a, b)` with NumPy broadcasting over aligned trailing axes.
    fn zip(&self, a: &Tensor, b: &Tensor, zip: Zip) -> Result<Tensor, ComputeError>;

    /// Sums `x` over the axes that broadcasting from `sample_shape` (batch left out) would have stretched: the adjoint
    /// of broadcasting. The batch stays.
    fn sum_to(&self, x: &Tensor, sample_shape: &[usize]) -> Result<Tensor, ComputeError>;

    /// `r ⊙ x[rows]`: `r` is `[R, ...]`, `x` `[N, ...]` with the same sample shape. In place where `r` is not shared. No element
    /// of the result is a negative zero.
    fn multiply_rows(&self, r: Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError>;

    /// `r / x[rows]`: `r` is `[R, ...]`, `x` `[N, ...]` with the same sample shape. In place where `r` is not shared.
    fn divide_rows(&self, r: Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError>;

    /// `total + r ⊙ x[rows]`, in place where `total` is not shared.
    fn add_multiplied_rows(&self, total: Tensor, r: &Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError>;

    /// `x[rows]`: one row per relevance row. Where these are all rows in their order, the elements are shared.
    fn gather_rows(&self, x: &Tensor, rows: &Rows) -> Result<Tensor, ComputeError>;

    /// Folds the given axes (never 0), kept with size 1, in a fixed order.
    fn reduce(&self, x: &Tensor, axes: &[usize], reduction: Reduction) -> Result<Tensor, ComputeError>;

    /// `softmax` along `axis` (never 0).
    fn softmax(&self, x: &Tensor, axis: usize) -> Result<Tensor, ComputeError>;

    /// Reorders the axes: axis `i` of the result is axis `permutation[i]` of `x`. Axis 0 stays.
    fn transpose(&self, x: &Tensor, permutation: &[usize]) -> Result<Tensor, ComputeError>;

    /// Makes `axis` (never 0) anew: `[..., from, ...] → [..., to, ...]`. Its vector-Jacobian product is the same with
    /// the [transposed](Resampling::transposed) resampling.
    fn resample(&self, x: &Tensor, axis: usize, resampling: &Resampling) -> Result<Tensor, ComputeError>;

    /// Joins `parts` along `axis` (never 0).
    fn concat(&self, parts: &[&Tensor], axis: usize) -> Result<Tensor, ComputeError>;

    /// The elements that `ranges` names, one range for each axis but the batch.
    fn slice(&self, x: &Tensor, ranges: &[SliceRange]) -> Result<Tensor, ComputeError>;

    /// The vector-Jacobian product of [`slice`](Self::slice): zeros of `[N, sample_shape...]` with `r` at `ranges`.
    fn slice_input_gradient(
        &self,
        r: &Tensor,
        ranges: &[SliceRange],
        sample_shape: &[usize],
    ) -> Result<Tensor, ComputeError>;

    /// Pads each axis but the batch by `pads[axis - 1] = (before, after)`; negative numbers crop, before anything is
    /// padded. [`PadMode::Reflect`] needs more elements than it pads by.
    fn pad(&self, x: &Tensor, pads: &[(isize, isize)], mode: PadMode) -> Result<Tensor, ComputeError>;

    /// The vector-Jacobian product of [`pad`](Self::pad).
    fn pad_input_gradient(
        &self,
        r: &Tensor,
        pads: &[(isize, isize)],
        mode: PadMode,
        sample_shape: &[usize],
    ) -> Result<Tensor, ComputeError>;
}
