//! Reference search: the samples for which each concept was most useful (RelMax) and most active (ActMax).
//!
//! A [`Scan`] is the shareable factory: it scores a batch into [`Observation`]s. A [`References`] collects them, on any
//! thread and in any order; collections [merge](References::merge), and the result is the same, bit for bit, however
//! the samples were split.
//!
//! Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8, "Relevance Maximization".

mod observe;
mod references;
mod top_k;

pub use observe::{Observation, Scan, ScanOptions};
pub use references::{ConceptReferences, LayerReferences, Measure, References};
pub use top_k::{Entry, SampleId, TopK};
