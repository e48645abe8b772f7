//! What is evaluated, and how.

use std::fmt;
use std::num::NonZeroUsize;

use glocal::faithfulness::{Bootstrap, Direction, Order};

use super::{EvaluateError, EvaluateErrorKind, Subject};
use crate::store::Targets;

/// What is evaluated, and how. [`batch`](Self::batch) and [`memory`](Self::memory) do not influence what is found.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// What is cut into parts that are replaced. Default: none, which is refused.
    pub subjects: Vec<Subject>,
    /// What takes the place of parts. Default: both.
    pub replacements: Vec<Replacement>,
    /// What decides which part comes first. Default: relevance, activation, gradient, random.
    pub orders: Vec<Order>,
    /// Whether parts are replaced or put back. Default: both.
    pub directions: Vec<Direction>,
    /// How many steps a curve has: fewer where there are fewer parts. Default: 20.
    pub steps: NonZeroUsize,
    /// How many samples are taken, evenly spaced in the data set. Default: `None`, all.
    pub samples: Option<NonZeroUsize>,
    /// Which logit is followed, and explained. Default: that of the sample's label.
    pub explained: Explained,
    /// How many random orders are drawn for each sample; its curve is their mean. Default: 5.
    pub draws: NonZeroUsize,
    /// The intervals; its seed is that of random orders too. Default: [`Bootstrap::default`].
    pub bootstrap: Bootstrap,
    /// How many samples are traced together. Default: `None`, as many as are fast and fit.
    pub batch: Option<NonZeroUsize>,
    /// The bytes to stay below, by a rough reckoning; one sample at a time is always run. Default: 2 GiB.
    pub memory: usize,
    /// Whether samples that cannot be used are passed over, and listed; else the first ends the evaluation. Default: no.
    pub keep_going: bool,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            subjects: Vec::new(),
            replacements: Replacement::ALL.to_vec(),
            orders: vec![Order::Relevance, Order::Activation, Order::Gradient, Order::Random],
            directions: Direction::ALL.to_vec(),
            steps: NonZeroUsize::MIN.saturating_add(19),
            samples: None,
            explained: Explained::Label,
            draws: NonZeroUsize::MIN.saturating_add(4),
            bootstrap: Bootstrap::default(),
            batch: None,
            memory: 2 << 30,
            keep_going: false,
        }
    }
}

impl EvaluateOptions {
    /// Whether there is anything to evaluate.
    pub(super) fn check(&self) -> Result<(), EvaluateError> {
        let asked = [
            ("layers or pixels", self.subjects.len()),
            ("replacements", self.replacements.len()),
            ("orders", self.orders.len()),
            ("directions", self.directions.len()),
            ("resamples", self.bootstrap.resamples as usize),
        ];
        if let Some((what, _)) = asked.into_iter().find(|(_, count)| *count == 0) {
            return Err(EvaluateErrorKind::NothingAsked { what }.into());
        }
        let given = self.bootstrap.confidence;
        if given > 0.0 && given < 1.0 { Ok(()) } else { Err(EvaluateErrorKind::Confidence { given }.into()) }
    }
}

/// What takes the place of a part.
///
/// The two ask different questions. Relevance, activation and gradient × activation say what a part adds to its absence, which is
/// what zero puts in its place; parts that are absent are last in these orders. The mean gives such parts a presence that they
/// did not have, and takes from strong ones only what is above it: no order of these knows that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Replacement {
    /// Zero: of concepts, their absence behind a rectifier; of pixels, what the preprocessing makes of its mean.
    Zero,
    /// The mean. Of concepts, that of the channel over all positions of all chosen samples; of pixels, that of the channel over
    /// all positions of the sample itself. Inputs without positions take that of the feature over all chosen samples.
    Mean,
}

impl Replacement {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Zero, Self::Mean];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Mean => "mean",
        }
    }
}

/// Which logit of a sample is followed, and explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explained {
    /// That of its label, of which there must be exactly one.
    Label,
    /// The largest of the unmodified model.
    Predicted,
    /// That of this class, for all samples.
    Class(u32),
}

impl From<Explained> for Targets {
    fn from(explained: Explained) -> Self {
        match explained {
            Explained::Label => Self::Label,
            Explained::Predicted => Self::Predicted,
            Explained::Class(class) => Self::Class(class),
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Targets::from(*self).fmt(f)
    }
}
