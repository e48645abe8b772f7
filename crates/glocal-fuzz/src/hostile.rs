//! Files that attack on purpose: one thing wrong with each, and said so by its name.

mod build;
mod folding;
mod format;
mod graphs;
mod large;
mod values;

/// A small file of the corpus.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What is wrong with it; the file is `corpus/NAME.onnx`.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the error must say, causes included.
    pub says: &'static str,
}

/// The files of `corpus/`. Every one must end in an error.
#[must_use]
pub fn corpus() -> Vec<Hostile> {
    [format::files(), values::files(), graphs::files(), folding::files()].concat()
}

/// Larger files that would take much memory or time, each with its name. Some are models like any other.
pub use large::files as large;
