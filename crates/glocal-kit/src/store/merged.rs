//! What several sorted sources hold, as one sorted source: how parts become a store, and shards one store.

use std::borrow::Cow;

use super::StoreError;
use super::references_table::{Key, Ranked};
use super::vectors_table::ConceptVector;

/// A source that ends with its first error.
pub(super) type Source<'a, T> = Box<dyn Iterator<Item = Result<T, StoreError>> + 'a>;

/// Takes items from whichever source has the least one next.
struct Merged<'a, T> {
    /// The sources that have not ended, each with its next item.
    sources: Vec<(Result<T, StoreError>, Source<'a, T>)>,
}

impl<'a, T> Merged<'a, T> {
    fn new(sources: Vec<Source<'a, T>>) -> Self {
        let begun = sources.into_iter().filter_map(|mut source| Some((source.next()?, source)));
        Self { sources: begun.collect() }
    }

    /// The source with the least next item; among equals the first. One that has failed comes before all others.
    fn least<K: Ord>(&self, key: impl Fn(&T) -> K) -> Option<usize> {
        let next = self.sources.iter().enumerate().map(|(index, (next, _))| (next.as_ref().ok().map(&key), index));
        next.min().map(|(_, index)| index)
    }

    /// Takes the next item of a source.
    fn take(&mut self, source: usize) -> Result<T, StoreError> {
        let (next, rest) = &mut self.sources[source];
        match rest.next() {
            Some(following) => std::mem::replace(next, following),
            None => self.sources.swap_remove(source).0,
        }
    }
}

/// The rankings of all `sources`; those of the same key become one.
pub(super) fn rankings<'a>(
    sources: Vec<Source<'a, Ranked<'a>>>,
) -> impl Iterator<Item = Result<Ranked<'a>, StoreError>> {
    let mut merged = Merged::new(sources);
    std::iter::from_fn(move || {
        let least = merged.least(|ranked| ranked.key)?;
        let mut ranked = match merged.take(least) {
            Ok(ranked) => ranked,
            failed => return Some(failed),
        };
        let same = |merged: &Merged<'a, Ranked<'a>>, key: Key| {
            let next = merged.least(|ranked| ranked.key)?;
            merged.sources[next].0.as_ref().is_ok_and(|ranked| ranked.key == key).then_some(next)
        };
        while let Some(next) = same(&merged, ranked.key) {
            match merged.take(next) {
                Ok(other) => {
                    let mut both = ranked.ranking.into_owned();
                    both.merge(&other.ranking);
                    ranked.ranking = Cow::Owned(both);
                }
                failed => return Some(failed),
            }
        }
        Some(Ok(ranked))
    })
}

/// The vectors of all `sources`, which have none of their samples in common.
pub(super) fn vectors<'a>(
    sources: Vec<Source<'a, (usize, ConceptVector)>>,
) -> impl Iterator<Item = Result<(usize, ConceptVector), StoreError>> {
    let mut merged = Merged::new(sources);
    std::iter::from_fn(move || {
        let least = merged.least(|(layer, vector)| (*layer, vector.sample))?;
        Some(merged.take(least))
    })
}
