//! Reference search: the samples for which each concept was most useful (RelMax) and most active (ActMax).
//!
//! A [`Scan`] is the shareable factory: it scores a batch into [`Observation`]s. A [`References`] collects them, on any
//! thread and in any order; collections [merge](References::merge), and the result is the same, bit for bit, however
//! the samples were split. [`References::held`] says how much memory one takes, and [`References::take`] empties it where that
//! is too much, so that what it held can be merged elsewhere.
//!
//! Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8, "Relevance Maximization".

mod class_rankings;
mod exact_sum;
mod observe;
mod references;
mod statistics;
mod top_k;

pub use class_rankings::ClassRankings;
pub use exact_sum::ExactSum;
pub use observe::{Observation, Scan, ScanOptions};
pub use references::{ConceptReferences, LayerReferences, Measure, References};
pub use statistics::{Moments, Statistics};
pub use top_k::{Entry, SampleId, TopK};
