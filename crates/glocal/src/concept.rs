//! Concepts: named parts of a layer's output, such as a channel.
//!
//! A [`Concept`] is a way to cut a layer's output into parts: it masks relevance to some of them, and gives each a score
//! and a peak. Anyone can write another.

mod channel;
mod neuron;
mod score;
mod selection;

use std::fmt;

use crate::error::{RequestError, RequestErrorKind};

pub use channel::Channel;
pub use neuron::Neuron;
pub use score::{Normalization, Score, Scored, Scoring};
pub use selection::Selection;

/// A way to cut the output of a layer, for one sample of `shape` (channels first), into concepts `0..count(shape)`.
pub trait Concept: fmt::Debug + Send + Sync {
    /// What one concept is called, in the plural: "channels".
    fn unit(&self) -> &'static str;

    /// How many concepts an output of `shape` has.
    fn count(&self, shape: &[usize]) -> usize;

    /// Keeps what belongs to the concepts `ids` (ascending, each less than `count`) of one sample's `relevance`, and
    /// sets the rest to zero.
    fn mask(&self, relevance: &mut [f32], shape: &[usize], ids: &[usize]);

    /// The values of one sample that make up concept `id`, in order, and the position of the first of them.
    ///
    /// Scores and peaks are taken over these.
    fn values<'a>(&self, sample: &'a [f32], shape: &[usize], id: usize) -> (usize, &'a [f32]);
}

/// The relevance of each concept in one sample's `values` of `shape`: the sum of its values, inside `region` where given
/// (one weight per position, the same for every channel); under [`Normalization::Share`] divided by the sum of the sizes
/// of all concepts' relevances.
///
/// Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8, eq. 6 and "local analysis".
///
/// # Errors
/// When the region does not have one weight for each position of the layer.
pub fn relevance(
    concept: &dyn Concept,
    values: &[f32],
    shape: &[usize],
    region: Option<&[f32]>,
    normalization: Normalization,
) -> Result<Vec<f64>, RequestError> {
    let weighted: Vec<f32>;
    let values = match region {
        Some(region) => {
            let positions = shape.get(1..).unwrap_or(&[]).iter().product::<usize>();
            if region.len() != positions || region.is_empty() {
                return Err(RequestErrorKind::Region { positions, given: region.len() }.into());
            }
            weighted =
                values.chunks(region.len()).flat_map(|plane| plane.iter().zip(region).map(|(v, w)| v * w)).collect();
            weighted.as_slice()
        }
        None => values,
    };
    let sum = |id| concept.values(values, shape, id).1.iter().map(|&value| f64::from(value)).sum();
    let sums: Vec<f64> = (0..concept.count(shape)).map(sum).collect();
    let divisor = score::divisor(sums.iter().copied(), normalization);
    Ok(sums.into_iter().map(|sum| sum / divisor).collect())
}
