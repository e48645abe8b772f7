//! What is cut into parts that are replaced: a layer or the input.

use std::fmt;
use std::num::NonZeroUsize;

use glocal::attribution::Trace;
use glocal::error::RequestErrorKind;
use glocal::faithfulness::Parts;
use glocal::model::{Model, NodeId};

use super::{EvaluateError, EvaluateErrorKind, Replacement};

/// What is cut into parts that are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A layer: its channels.
    Concepts {
        /// Any of its names.
        layer: String,
    },
    /// The input: patches of its positions with all channels. Inputs without positions, `[C]`, have each feature as a part.
    Pixels {
        /// The length of a patch along every axis of positions; 1 for pixels.
        side: NonZeroUsize,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Concepts { layer } => f.write_str(layer),
            Self::Pixels { side } if side.get() == 1 => f.write_str("pixels"),
            Self::Pixels { side } => write!(f, "pixels in patches of {side}"),
        }
    }
}

/// A subject in a model.
pub(super) struct Place {
    pub(super) subject: Subject,
    pub(super) node: NodeId,
    pub(super) parts: Parts,
    /// The elements of each channel, as parts.
    channels: Parts,
    /// Whether a mean is that of the sample's own channel, and not of all samples'.
    own_mean: bool,
}

impl Place {
    pub(super) fn of(subject: &Subject, model: &Model) -> Result<Self, EvaluateError> {
        let graph = model.graph();
        let (node, parts, own_mean) = match subject {
            Subject::Concepts { layer } => {
                let node = model.layer(layer).map_err(|error| EvaluateErrorKind::Request(error.into()))?;
                let explained = model.explained();
                if node == explained || !graph.ancestors(explained)[node.index()] {
                    let start = graph.node(explained).display_name().to_owned();
                    let kind = RequestErrorKind::NotExplained { layer: layer.clone(), start };
                    return Err(EvaluateErrorKind::Request(kind.into()).into());
                }
                (node, Parts::channels(graph.site(node)), false)
            }
            Subject::Pixels { side } => {
                let shape = model.input_shape();
                (graph.input(), Parts::patches(shape, side.get()), shape.len() > 1)
            }
        };
        Ok(Self { subject: subject.clone(), node, parts, channels: Parts::channels(graph.site(node)), own_mean })
    }

    /// The layer's name in requests; `None` for the input, whose relevance is always there.
    pub(super) fn recorded(&self) -> Option<&str> {
        match &self.subject {
            Subject::Concepts { layer } => Some(layer),
            Subject::Pixels { .. } => None,
        }
    }
}

/// The mean of every channel of each place, over the positions of all samples.
pub(super) struct ChannelMeans {
    /// The sums of each place's channels; none for places with means of their own.
    sums: Vec<Option<Vec<f64>>>,
    samples: usize,
}

impl ChannelMeans {
    pub(super) fn of(places: &[Place]) -> Self {
        let sums = |place: &Place| (!place.own_mean).then(|| vec![0.0; place.channels.count()]);
        Self { sums: places.iter().map(sums).collect(), samples: 0 }
    }

    /// Whether any place needs them.
    pub(super) fn are_needed(&self) -> bool {
        self.sums.iter().any(Option::is_some)
    }

    /// Adds the samples whose output is finite (others are not evaluated), one after the other, so that sums do not depend on
    /// batches.
    pub(super) fn add(&mut self, places: &[Place], trace: &Trace<'_>) {
        let usable = |row: &usize| trace.prediction().row(*row).iter().all(|output| output.is_finite());
        for row in (0..trace.batch()).filter(usable) {
            self.samples += 1;
            for (place, sums) in places.iter().zip(&mut self.sums) {
                let Some(sums) = sums else { continue };
                let values = trace.value(place.node).row(row).iter();
                let of_sample = place.channels.sums(values.map(|&value| f64::from(value)));
                sums.iter_mut().zip(of_sample).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    /// What takes the place of each element of `value`, one sample's at place `index`.
    pub(super) fn replacement(&self, (index, place): (usize, &Place), by: Replacement, value: &[f32]) -> Vec<f32> {
        let of_all = self.sums.get(index).and_then(Option::as_ref);
        let means = match (by, of_all) {
            (Replacement::Zero, _) => return vec![0.0; value.len()],
            (Replacement::Mean, None) => place.channels.means(value.iter().map(|&value| f64::from(value))),
            (Replacement::Mean, Some(sums)) => {
                let mean = |(sum, size): (&f64, usize)| sum / (size * self.samples.max(1)) as f64;
                place.channels.spread(&sums.iter().zip(place.channels.sizes()).map(mean).collect::<Vec<f64>>())
            }
        };
        means.into_iter().map(|mean| mean as f32).collect()
    }
}
