//! What can go wrong, by area: reading a model, naming a layer, choosing rules, asking for an attribution, running.
//!
//! Each error is opaque, with a `kind()` that may grow and a chain of causes. Their texts say what was given, what was
//! expected and, where there is one, the remedy.

mod attribution;
mod direction;
mod layer;
mod model;
mod run;

pub use attribution::{RequestError, RequestErrorKind};
pub use direction::DirectionErrorKind;
pub use layer::LayerError;
pub use model::{ModelError, ModelErrorKind};
pub use run::{RunError, RunErrorKind};

/// What [`unlikeness`] is of names that have nothing in common.
const UNLIKE: usize = 1000;

/// The `count` of `names` that are nearest to `name`, nearest first.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>, count: usize) -> Vec<String> {
    let mut ranked: Vec<(usize, &str)> = names.map(|other| (unlikeness(name, other), other)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count).map(|(_, other)| other.to_owned()).collect()
}

/// How much of a name must be edited to get the other, or the end of it that follows a separator: `conv1` is nearer to
/// `net.conv2` than to `c`.
fn unlikeness(name: &str, other: &str) -> usize {
    let after = other.match_indices(['.', '/']).map(|(index, separator)| &other[index + separator.len()..]);
    let part = |end: &str| distance(name, end) * UNLIKE / name.chars().count().max(end.chars().count()).max(1);
    // An end alone is a little less like it than all of a name.
    after.map(|end| part(end) + 1).chain([part(other)]).min().unwrap_or(UNLIKE)
}

/// The number of single-character edits between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
