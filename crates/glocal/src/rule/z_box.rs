//! ZBox: for inputs that lie in a known box, as pixels do.

use std::borrow::Cow;

use glocal_compute::{ComputeError, Tensor};

use crate::op::{Part, attribute};
use crate::rule::Stabilizer;
use crate::rule::affine_rule::AffineRule;
use crate::rule::terms::{Branch, Gate, InputPart, Term};

/// `z = f(x; W, b) − f(l; W⁺, b⁺) − f(h; W⁻, b⁻)`, `r = R/s(z)`, `R_in = x·fᵀ(r; W) − l·fᵀ(r; W⁺) − h·fᵀ(r; W⁻)`.
///
/// Domain: `low ≤ x ≤ high` with `low ≤ 0 ≤ high`, as of pixels. Conserves relevance but for the stabilizer: the biases
/// cancel, and what is left of large ones beside small weights is rounding.
/// Source: Montavon et al. 2017, doi 10.1016/j.patcog.2016.11.008, the z^B-rule.
#[derive(Debug, Clone, PartialEq)]
pub struct ZBox {
    /// The smallest input.
    pub low: Bound,
    /// The largest input.
    pub high: Bound,
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominator. Default: false.
    pub zero_bias: bool,
}

/// A bound of the input's values.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// The same for every element.
    All(f32),
    /// One for each channel.
    Channels(Vec<f32>),
}

impl ZBox {
    /// The rule for inputs between `low` and `high`.
    pub fn new(low: Bound, high: Bound) -> Self {
        Self { low, high, stabilizer: Stabilizer::default(), zero_bias: false }
    }
}

impl Bound {
    /// Whether this, as the lower bound, and `high` enclose zero in every channel, with more than it alone.
    pub(crate) fn encloses_zero_with(&self, high: &Self) -> bool {
        let values = |bound: &Self, channels: usize| match bound {
            Self::All(value) => vec![*value; channels],
            Self::Channels(values) => values.clone(),
        };
        let count = |bound: &Self| if let Self::Channels(values) = bound { values.len() } else { 1 };
        let channels = count(self).max(count(high));
        let (low, high) = (values(self, channels), values(high, channels));
        low.len() == high.len() && low.iter().zip(&high).all(|(&low, &high)| low <= 0.0 && 0.0 <= high && low < high)
    }

    /// Whether there is a bound for each of so many channels.
    fn fits(&self, channels: usize) -> Result<(), Cow<'static, str>> {
        match self {
            Self::Channels(values) if values.len() != channels => {
                let given = values.len();
                Err(format!("one bound for all, or one for each of the {channels} channels; {given} were given").into())
            }
            _ => Ok(()),
        }
    }

    /// The bound as a tensor that broadcasts to `[1, C, ...]` of an input with `channels` and `rank` axes, batch
    /// included.
    fn tensor(&self, channels: usize, rank: usize) -> Result<Tensor, ComputeError> {
        self.fits(channels).map_err(|needs| attribute("ZBox", "bounds", needs.into_owned()))?;
        let values = match self {
            Self::All(value) => vec![*value],
            Self::Channels(values) => values.clone(),
        };
        let mut shape = vec![1; rank.max(2)];
        shape[1] = values.len();
        Tensor::new(shape, values)
    }
}

impl AffineRule for ZBox {
    fn name(&self) -> &'static str {
        "ZBox"
    }

    fn parameters(&self) -> String {
        let bound = |bound: &Bound| match bound {
            Bound::All(value) => value.to_string(),
            Bound::Channels(values) => format!("{values:?}"),
        };
        format!("low={},high={},", bound(&self.low), bound(&self.high))
    }

    fn stabilizer(&self) -> &Stabilizer {
        &self.stabilizer
    }

    fn zero_bias(&self) -> bool {
        self.zero_bias
    }

    fn fits(&self, sample: &[usize]) -> Result<(), Cow<'static, str>> {
        let channels = channels(sample);
        self.low.fits(channels)?;
        self.high.fits(channels)
    }

    fn branches(&self, x: &Tensor) -> Result<Vec<Branch>, ComputeError> {
        let channels = channels(x.sample_shape());
        let constant = |bound: &Bound| bound.tensor(channels, x.rank()).map(InputPart::Constant);
        let term = |sign, input, part| Term { sign, input, weight: part, bias: self.bias(part) };
        let terms = vec![
            term(1.0, InputPart::Whole, Part::Whole),
            term(-1.0, constant(&self.low)?, Part::Positive),
            term(-1.0, constant(&self.high)?, Part::Negative),
        ];
        Ok(vec![Branch { coefficient: 1.0, gate: Gate::All, terms }])
    }
}

/// The number of channels of samples of a shape.
fn channels(sample: &[usize]) -> usize {
    sample.first().copied().unwrap_or(1)
}
