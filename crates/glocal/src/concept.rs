//! Concepts: named parts of a layer's output, such as a channel or a direction in the space of its channels.
//!
//! A [`Concept`] is a way to cut a layer's output into parts: it masks relevance to some of them, and gives each a score
//! and a peak. Anyone can write another, as `examples/custom_concept.rs` does.

mod channel;
mod direction;
mod head;
mod neuron;
mod score;
mod selection;
mod site;
mod summary;
mod token;

use std::borrow::Cow;
use std::fmt;

use crate::error::{RequestError, RequestErrorKind};

pub use channel::{Along, Channel};
pub use direction::Direction;
pub use head::Head;
pub use neuron::Neuron;
pub use score::{Normalization, Score, Scored, Scoring};
pub use selection::Selection;
pub use site::Site;
pub use token::Token;

/// A way to cut the output of a layer, for one sample, into concepts `0..count(site)`.
pub trait Concept: fmt::Debug + Send + Sync {
    /// What the concepts are called, in the plural: "channels".
    fn unit(&self) -> &'static str;

    /// How many concepts a layer has.
    fn count(&self, site: &Site<'_>) -> usize;

    /// Whether the layer can be cut in this way; if not, what stands against it: "6 channels cannot be cut into 4 heads". The
    /// other methods are called for layers that can. Default: always.
    ///
    /// # Errors
    /// When it cannot.
    fn check(&self, site: &Site<'_>) -> Result<(), String> {
        let _ = site;
        Ok(())
    }

    /// Whether [`mask`](Self::mask) and [`values`](Self::values) look at the activation; then the site has it. Default: no.
    fn needs_activation(&self) -> bool {
        false
    }

    /// Keeps what belongs to the concepts `ids` (ascending, each less than `count`) of one sample's `relevance`, and
    /// sets the rest to zero. It must be linear in the relevance.
    fn mask(&self, relevance: &mut [f32], site: &Site<'_>, ids: &[usize]);

    /// The relevances that make up concept `id`, of one sample's relevance `sample`: scores and peaks are taken over
    /// these. Their sum is that of the relevance masked to the concept.
    fn values<'a>(&self, sample: &'a [f32], site: &Site<'_>, id: usize) -> Cow<'a, [f32]>;

    /// The activations that make up concept `id`, likewise, of the activation of the site. Default: those elements that
    /// [`values`](Self::values) takes.
    fn activation<'a>(&self, site: &Site<'a>, id: usize) -> Cow<'a, [f32]> {
        self.values(site.activation().unwrap_or(&[]), site, id)
    }

    /// The row-major index, in the layer's output, of the `index`-th value of concept `id`: where its peak is put.
    fn element(&self, site: &Site<'_>, id: usize, index: usize) -> usize;
}

/// The relevance of each concept in one sample's `values` at a layer: the sum of its values, inside `region` where given
/// (one weight per position, the same for every channel); under [`Normalization::Share`] divided by the sum of the sizes
/// of all concepts' relevances.
///
/// `site` is the layer's [`Site`]; a shape stands for one with the channels along axis 0.
///
/// Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8, eq. 6 and "local analysis".
///
/// # Errors
/// When the region does not have one weight for each position of the layer, the layer has no such concepts, or they need
/// an activation that the site does not have.
pub fn relevance<'a>(
    concept: &dyn Concept,
    values: &[f32],
    site: impl Into<Site<'a>>,
    region: Option<&[f32]>,
    normalization: Normalization,
) -> Result<Vec<f64>, RequestError> {
    let site = site.into();
    selection::check(concept, "the layer", &site)?;
    if concept.needs_activation() && site.activation().is_none() {
        return Err(RequestErrorKind::NoActivation { unit: concept.unit() }.into());
    }
    let weighted: Vec<f32>;
    let values = match region {
        Some(region) => {
            let positions = site.positions();
            if region.len() != positions || region.is_empty() {
                return Err(RequestErrorKind::Region { positions, given: region.len() }.into());
            }
            let weighed = |(element, value): (usize, &f32)| value * region[site.place(element).1];
            weighted = values.iter().take(site.len()).enumerate().map(weighed).collect();
            weighted.as_slice()
        }
        None => values,
    };
    let sum = |id| concept.values(values, &site, id).iter().map(|&value| f64::from(value)).sum();
    let sums: Vec<f64> = (0..concept.count(&site)).map(sum).collect();
    let divisor = score::divisor(sums.iter().copied(), normalization);
    Ok(sums.into_iter().map(|sum| sum / divisor).collect())
}
