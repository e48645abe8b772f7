//! What a request costs, told before it runs.

use std::fmt;

use crate::model::NodeId;

/// The work that a request takes, as it is planned. Counts are exact, multiply-adds and bytes rough: relevance that goes down in
/// patches (see [`Patch`](crate::op::Patch)), or in few channels, counts as that of whole layers.
///
/// For methods with several ways down, this is one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The number of results.
    pub results: usize,
    /// The layers that hand relevance down, from where it starts to the input.
    pub layers: Vec<LayerWork>,
    /// The bytes that are needed at a time, roughly: weights, the values of all layers and what rules prepare from them,
    /// relevance on its way, the results that are made together, and what is kept for later ones.
    pub bytes: usize,
}

/// The work of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerWork {
    /// The node.
    pub node: NodeId,
    /// The layer's name.
    pub layer: String,
    /// The rows that it hands down.
    pub rows: u64,
    /// The rows that it would hand down if every result were computed alone.
    pub rows_alone: u64,
    /// About how many multiply-adds a row takes, for each term of the layer's rule.
    pub multiply_adds: u64,
}

impl Explanation {
    /// Adds the work of another part of the same samples and conditions that runs after this one.
    pub fn add(&mut self, other: &Self) {
        self.results += other.results;
        self.bytes = self.bytes.max(other.bytes);
        for work in &other.layers {
            match self.layers.binary_search_by(|known| work.node.cmp(&known.node)) {
                Ok(known) => {
                    self.layers[known].rows += work.rows;
                    self.layers[known].rows_alone += work.rows_alone;
                }
                Err(place) => self.layers.insert(place, work.clone()),
            }
        }
    }

    /// About how many multiply-adds all rows take.
    pub fn multiply_adds(&self) -> u64 {
        self.layers.iter().map(|layer| layer.rows.saturating_mul(layer.multiply_adds)).fold(0, u64::saturating_add)
    }

    /// The same if every result were computed alone.
    pub fn multiply_adds_alone(&self) -> u64 {
        self.layers
            .iter()
            .map(|layer| layer.rows_alone.saturating_mul(layer.multiply_adds))
            .fold(0, u64::saturating_add)
    }
}

/// A table of the layers under a line on the whole.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [shared, alone] = [self.multiply_adds(), self.multiply_adds_alone()].map(|count| count as f64 / 1e9);
        let mebibytes = self.bytes.div_ceil(1 << 20);
        writeln!(
            f,
            "{} results, {shared:.3} of {alone:.3} billion multiply-adds, about {mebibytes} MiB at a time",
            self.results
        )?;
        let width = self.layers.iter().map(|layer| layer.layer.chars().count()).max().unwrap_or(0).max("layer".len());
        writeln!(f, "{:width$}  {:>10}  {:>10}  {:>16}", "layer", "rows", "alone", "multiply-adds")?;
        for LayerWork { layer, rows, rows_alone, multiply_adds, .. } in &self.layers {
            writeln!(f, "{layer:width$}  {rows:>10}  {rows_alone:>10}  {multiply_adds:>16}")?;
        }
        Ok(())
    }
}
