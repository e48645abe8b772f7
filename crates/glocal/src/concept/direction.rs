//! Directions: unit vectors in the space of the channels, as found by CAVs, PCA or sparse autoencoders.

use std::borrow::Cow;

use glocal_compute::Tensor;

use crate::concept::{Concept, Site};
use crate::error::{DirectionErrorKind, RequestError, RequestErrorKind};

/// Below this part of the length of the activation at a position, an element counts as zero.
const NEGLIGIBLE: f64 = 1e-6;

/// Each of some unit vectors `v` in channel space, at all positions, is a concept.
///
/// At each position let `a` be the activation, `R` the relevance that arrived, and `c = R / a` its context vector, all of one
/// element a channel. A mask is a projection of the context, not a product with zeros and ones; it keeps
///
/// `R_v = a ⊙ v (v·c)`, of which the sum over channels is `(a·v) (v·c)`, the direction's relevance.
///
/// This is what LRP hands down through a virtual layer that writes the activation as `a = Σ_k (v_k·a) v_k` when all but the
/// coefficient `v·a` are masked. So channels that are not active get nothing, a mask changes nothing when it is applied
/// again, and:
///
/// - Over an orthonormal basis the parts add up to `R`, whatever `a` is.
/// - Along the axis of a channel the part is that of the [`Channel`](crate::concept::Channel), number for number.
/// - Several directions at once get the sum of their parts, which counts overlaps twice where they are not orthogonal.
/// - A part can be larger than the whole, of either sign, as `v·c` can; the conservation report counts what a mask adds
///   as dropped with a minus sign.
///
/// `c` has no value where a channel with relevance is not active, `|a[i]| ≤ 1e-6 · ‖a‖`. Rules that look at weights alone
/// (Flat, WSquare) or at a box bring relevance there. It stays in its channel, and `v` gets `v[i]² R[i]` of it, which adds
/// up like the rest.
///
/// The activation of a direction is `a·v`, one value a position. Peaks are put at the channel where `v` is largest.
///
/// Source: Chormai et al. 2024, doi 10.1109/TPAMI.2024.3388275 (arXiv 2212.14855): virtual layer and relevance of a subspace, here
/// of one dimension. That of channels that are not active is ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// `[K, C]`, each row of length one.
    vectors: Vec<f32>,
    channels: usize,
}

impl Direction {
    /// The directions of `vectors` `[K, C]`, of any length but zero.
    ///
    /// # Errors
    /// When they do not have two axes, one is zero, or a number is not finite.
    pub fn new(vectors: &Tensor) -> Result<Self, RequestError> {
        let refused = |cause| Err(RequestErrorKind::Directions(cause).into());
        let &[_, channels] = vectors.shape() else {
            return refused(DirectionErrorKind::Shape { shape: vectors.shape().to_vec() });
        };
        let mut unit = Vec::with_capacity(vectors.len());
        for (id, vector) in vectors.data().chunks(channels.max(1)).enumerate() {
            let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            if !length.is_finite() {
                return refused(DirectionErrorKind::NotFinite { id });
            }
            if length == 0.0 {
                return refused(DirectionErrorKind::Zero { id });
            }
            unit.extend(vector.iter().map(|&value| (f64::from(value) / length) as f32));
        }
        Ok(Self { vectors: unit, channels })
    }

    /// The number of directions.
    pub fn len(&self) -> usize {
        self.vectors.len().checked_div(self.channels).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// The number of channels of the layers that they are for.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The unit vector of direction `id`; empty when there is none.
    pub fn vector(&self, id: usize) -> &[f32] {
        self.vectors.chunks(self.channels.max(1)).nth(id).unwrap_or(&[])
    }

    /// The channel in which the direction is largest: where its peaks are put.
    fn main_channel(&self, id: usize) -> usize {
        let sizes = self.vector(id).iter().map(|value| value.abs());
        let largest = sizes.enumerate().fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best });
        largest.0
    }
}

/// One position of one sample.
#[derive(Default)]
struct Column {
    activation: Vec<f64>,
    relevance: Vec<f64>,
    /// `R / a`; zero where that has no value.
    context: Vec<f64>,
}

impl Column {
    fn read(&mut self, relevance: &[f32], site: &Site<'_>, position: usize) {
        gather(site.activation().unwrap_or(&[]), site, position, &mut self.activation);
        gather(relevance, site, position, &mut self.relevance);
        let floor = NEGLIGIBLE * self.activation.iter().map(|a| a * a).sum::<f64>().sqrt();
        self.context.clear();
        // Written so that a NaN is seen.
        let context = |(a, r): (&f64, &f64)| if a.abs() <= floor || *r == 0.0 { 0.0 } else { r / a };
        self.context.extend(self.activation.iter().zip(&self.relevance).map(context));
    }

    /// The direction's part of each channel.
    fn parts<'s>(&'s self, v: &'s [f32]) -> impl Iterator<Item = f64> + 's {
        let along = dot(&self.context, v);
        let channels = self.activation.iter().zip(&self.relevance).zip(&self.context).zip(v);
        channels.map(move |(((a, r), c), &v)| {
            let v = f64::from(v);
            let stays = if *c == 0.0 && *r != 0.0 { v * v * r } else { 0.0 };
            a * v * along + stays
        })
    }
}

/// The values of one position's channels.
fn gather(values: &[f32], site: &Site<'_>, position: usize, column: &mut Vec<f64>) {
    column.clear();
    let value = |channel| values.get(site.element(channel, position)).map_or(0.0, |&value| f64::from(value));
    column.extend((0..site.channels()).map(value));
}

fn dot(a: &[f64], v: &[f32]) -> f64 {
    a.iter().zip(v).map(|(a, &v)| a * f64::from(v)).sum()
}

impl Concept for Direction {
    fn unit(&self) -> &'static str {
        "directions"
    }

    fn count(&self, _: &Site<'_>) -> usize {
        self.len()
    }

    fn check(&self, site: &Site<'_>) -> Result<(), String> {
        let (given, channels) = (self.channels, site.channels());
        if given == channels {
            return Ok(());
        }
        Err(format!("directions of length {given} do not lie in the space of its {channels} channels"))
    }

    fn needs_activation(&self) -> bool {
        true
    }

    fn mask(&self, relevance: &mut [f32], site: &Site<'_>, ids: &[usize]) {
        let mut column = Column::default();
        let mut kept = vec![0.0; site.channels()];
        for position in 0..site.positions() {
            column.read(relevance, site, position);
            kept.fill(0.0);
            for &id in ids {
                kept.iter_mut().zip(column.parts(self.vector(id))).for_each(|(sum, part)| *sum += part);
            }
            for (channel, kept) in kept.iter().enumerate() {
                if let Some(value) = relevance.get_mut(site.element(channel, position)) {
                    *value = *kept as f32;
                }
            }
        }
    }

    fn values<'a>(&self, sample: &'a [f32], site: &Site<'_>, id: usize) -> Cow<'a, [f32]> {
        let mut column = Column::default();
        let value = |position| {
            column.read(sample, site, position);
            column.parts(self.vector(id)).sum::<f64>() as f32
        };
        Cow::Owned((0..site.positions()).map(value).collect())
    }

    fn activation<'a>(&self, site: &Site<'a>, id: usize) -> Cow<'a, [f32]> {
        let activation = site.activation().unwrap_or(&[]);
        let mut a = Vec::new();
        let value = |position| {
            gather(activation, site, position, &mut a);
            dot(&a, self.vector(id)) as f32
        };
        Cow::Owned((0..site.positions()).map(value).collect())
    }

    fn element(&self, site: &Site<'_>, id: usize, index: usize) -> usize {
        site.element(self.main_channel(id), index)
    }
}
