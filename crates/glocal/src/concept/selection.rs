//! Some concepts of a layer: what relevance may pass through.

use std::sync::{Arc, LazyLock};

use crate::concept::{Channel, Concept, Neuron, Site, Token};
use crate::error::{RequestError, RequestErrorKind};

/// Some concepts of a layer.
#[derive(Debug, Clone)]
pub struct Selection {
    concept: Arc<dyn Concept>,
    ids: Vec<usize>,
}

impl Selection {
    /// The concepts `ids` of a kind of concept.
    pub fn new(concept: Arc<dyn Concept>, ids: impl IntoIterator<Item = usize>) -> Self {
        let mut ids: Vec<usize> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self { concept, ids }
    }

    /// Channels.
    pub fn channels(ids: impl IntoIterator<Item = usize>) -> Self {
        static CHANNEL: LazyLock<Arc<dyn Concept>> = LazyLock::new(|| Arc::new(Channel));
        Self::new(Arc::clone(&CHANNEL), ids)
    }

    /// Neurons, by their row-major position in one sample's output.
    pub fn neurons(ids: impl IntoIterator<Item = usize>) -> Self {
        static NEURON: LazyLock<Arc<dyn Concept>> = LazyLock::new(|| Arc::new(Neuron));
        Self::new(Arc::clone(&NEURON), ids)
    }

    /// Positions with all of their channels, numbered in row-major order.
    pub fn tokens(ids: impl IntoIterator<Item = usize>) -> Self {
        static TOKEN: LazyLock<Arc<dyn Concept>> = LazyLock::new(|| Arc::new(Token));
        Self::new(Arc::clone(&TOKEN), ids)
    }

    /// The kind of concept.
    pub fn concept(&self) -> &dyn Concept {
        self.concept.as_ref()
    }

    /// The concepts, ascending.
    pub fn ids(&self) -> &[usize] {
        &self.ids
    }

    /// Sets what is not selected of one sample's relevance to zero.
    pub(crate) fn mask(&self, relevance: &mut [f32], site: &Site<'_>) {
        self.concept.mask(relevance, site, &self.ids);
    }

    /// What two equal selections have in common, and no others: to be looked up by, never to order results.
    pub(crate) fn key(&self) -> (usize, &[usize]) {
        (Arc::as_ptr(&self.concept).cast::<()>().addr(), &self.ids)
    }

    /// Checks that the concepts exist in `layer`.
    pub(crate) fn check(&self, layer: &str, site: &Site<'_>) -> Result<(), RequestError> {
        check(self.concept(), layer, site)?;
        let count = self.concept.count(site);
        match self.ids.last() {
            Some(&id) if id >= count => {
                let unit = self.concept.unit();
                Err(RequestErrorKind::Concept { layer: layer.to_owned(), id, count, unit }.into())
            }
            _ => Ok(()),
        }
    }
}

/// Checks that `layer` can be cut into concepts of this kind.
pub(super) fn check(concept: &dyn Concept, layer: &str, site: &Site<'_>) -> Result<(), RequestError> {
    let unfit = |reason| RequestErrorKind::UnfitConcept { layer: layer.to_owned(), unit: concept.unit(), reason };
    concept.check(site).map_err(|reason| unfit(reason).into())
}

impl PartialEq for Selection {
    /// Whether both are the same concepts of the very same kind.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.concept, &other.concept) && self.ids == other.ids
    }
}
