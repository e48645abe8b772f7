//! Replaces parts of a layer, and follows the output.

use glocal_compute::{Rows, Tensor};

use crate::attribution::{Cancel, Trace};
use crate::error::RunError;
use crate::faithfulness::{Parts, Ranking};
use crate::model::NodeId;

/// What happens to the parts that come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// They are replaced first: the steeper the fall, the more faithful the order.
    Flipping,
    /// All parts are replaced, and they are put back first: the steeper the rise, the more faithful the order.
    Insertion,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Flipping, Self::Insertion];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flipping => "flipping",
            Self::Insertion => "insertion",
        }
    }
}

/// One sample of a trace, with a layer whose parts are replaced.
#[derive(Debug)]
pub struct Flipping<'a> {
    trace: &'a Trace<'a>,
    sample: usize,
    layer: NodeId,
    parts: &'a Parts,
    /// What takes each element's place.
    replacement: &'a [f32],
    rows_at_once: usize,
    cancel: &'a Cancel,
    /// The output with all parts replaced, which is the end of every curve.
    all_replaced: Vec<f32>,
}

impl<'a> Flipping<'a> {
    /// The parts of the value of `layer` (which may be the input) in row `sample` of the trace, and the `replacement` of each of
    /// its elements. So many variants as `rows_at_once` run together; results do not depend on it.
    ///
    /// # Errors
    /// When parts or replacement are not as many as the layer's elements, there is no such sample, a node fails, or the work was
    /// cancelled.
    pub fn new(
        trace: &'a Trace<'a>,
        sample: usize,
        layer: NodeId,
        parts: &'a Parts,
        replacement: &'a [f32],
        rows_at_once: usize,
        cancel: &'a Cancel,
    ) -> Result<Self, RunError> {
        let node = trace.attributor().model().graph().node(layer);
        for given in [parts.elements(), replacement.len()] {
            if given != node.shape.iter().product::<usize>() {
                return Err(RunError::layer_shape(node, 1, &[1, given]));
            }
        }
        let all_replaced = Vec::new();
        let mut flipping = Self { trace, sample, layer, parts, replacement, rows_at_once, cancel, all_replaced };
        flipping.all_replaced = flipping.run(1, |_, _| true)?.concat();
        Ok(flipping)
    }

    /// The output as it is, with nothing replaced.
    pub fn original(&self) -> &[f32] {
        self.trace.prediction().row(self.sample)
    }

    /// The output with all parts replaced.
    pub fn all_replaced(&self) -> &[f32] {
        &self.all_replaced
    }

    /// The outputs with the first `counts[i]` parts of `ranking` replaced, or with those alone kept under
    /// [`Direction::Insertion`].
    ///
    /// # Errors
    /// When a node fails, or the work was cancelled.
    pub fn outputs(
        &self,
        ranking: &Ranking,
        counts: &[usize],
        direction: Direction,
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let all = self.parts.count();
        // The ends are the same for every ranking, and known.
        let inner: Vec<usize> = counts.iter().copied().filter(|&count| count > 0 && count < all).collect();
        let replaced = |variant: usize, part: usize| {
            let first = ranking.ranks().get(part).is_some_and(|&rank| rank < inner[variant]);
            first == (direction == Direction::Flipping)
        };
        let mut outputs = self.run(inner.len(), replaced)?.into_iter();
        let output = |&count: &usize| match (count, direction) {
            (0, Direction::Flipping) => self.original().to_vec(),
            (0, Direction::Insertion) => self.all_replaced.clone(),
            (count, Direction::Flipping) if count >= all => self.all_replaced.clone(),
            (count, Direction::Insertion) if count >= all => self.original().to_vec(),
            _ => outputs.next().unwrap_or_default(),
        };
        Ok(counts.iter().map(output).collect())
    }

    /// The outputs of so many variants, each with the parts replaced of which `replaced(variant, part)` says so.
    fn run(&self, variants: usize, replaced: impl Fn(usize, usize) -> bool) -> Result<Vec<Vec<f32>>, RunError> {
        let value = self.trace.value(self.layer);
        let mut outputs = Vec::with_capacity(variants);
        for first in (0..variants).step_by(self.rows_at_once.max(1)) {
            let some = first..(first + self.rows_at_once.max(1)).min(variants);
            let mut data = Vec::with_capacity(some.len() * value.row_len());
            for variant in some.clone() {
                let elements = value.row(self.sample).iter().zip(self.replacement).zip(self.parts.of());
                data.extend(elements.map(|((&own, &other), &part)| if replaced(variant, part) { other } else { own }));
            }
            let shape = [&[some.len()], value.sample_shape()].concat();
            let rows = Rows::new(vec![self.sample; some.len()]);
            let output = self.trace.rerun(self.layer, &Tensor::new(shape, data)?, &rows, self.cancel)?;
            outputs.extend((0..some.len()).map(|row| output.row(row).to_vec()));
        }
        Ok(outputs)
    }
}
