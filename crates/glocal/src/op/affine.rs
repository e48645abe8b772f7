//! Affine ops with parameters, and the changed weights that relevance rules are made of.
//!
//! A rule asks for the op with a *part* of its weights: the positive ones, the squared ones, ... Each part is made and
//! packed once for the life of the model, however many rules, samples and conditions use it.

use std::sync::{Arc, Mutex, PoisonError};

use glocal_compute::backend::{Map, PackedWeight, WeightChange, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{Op, Patch};

/// An op `f(x; W, b)` that is affine in its one input `x`.
pub trait Affine: Op {
    /// `f(x; part(W), part(b))`; no bias at all when `bias` is `None`. `x` is `[N, ...]`.
    ///
    /// # Errors
    /// When the shape of `x` does not fit.
    fn forward_part(
        &self,
        backend: &dyn Backend,
        x: &Tensor,
        weight: Part,
        bias: Option<Part>,
    ) -> Result<Tensor, ComputeError>;

    /// `fᵀ(r; part(W))`: `[R, out...] → [R, in...]`, where `in...` is `input_shape`.
    ///
    /// # Errors
    /// When the shape of `r` does not fit.
    fn transpose_part(
        &self,
        backend: &dyn Backend,
        r: &Tensor,
        weight: Part,
        input_shape: &[usize],
    ) -> Result<Tensor, ComputeError>;

    /// The part of an input of `input_shape` that a part of the output of `output_shape` takes, and a part of the output, not
    /// smaller, that the op with the same weights makes of it: [`transpose_part`](Self::transpose_part) between these two is
    /// that between the whole, for what is zero outside of `output`. `None` when there are none. Default: `None`.
    fn patches(&self, output: &Patch, input_shape: &[usize], output_shape: &[usize]) -> Option<Patches> {
        let _ = (output, input_shape, output_shape);
        None
    }

    /// The number of weights and biases; only memory is planned by it. Default: 0.
    fn parameter_count(&self) -> usize {
        0
    }

    /// The op itself, sharing its parameters, to be kept by what a rule prepares.
    fn shared(&self) -> Box<dyn Affine>;

    /// `part(b)` broadcast over the op's output, with a batch of 1; zeros without a bias.
    ///
    /// # Errors
    /// When the output's shape does not fit.
    fn bias_part(&self, backend: &dyn Backend, part: Part, output_shape: &[usize]) -> Result<Tensor, ComputeError>;
}

/// Parts of an affine op's input and output that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patches {
    /// The part of the input.
    pub input: Patch,
    /// The part of the output.
    pub output: Patch,
}

/// A change of weights or biases, element by element.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// `W`
    Whole,
    /// `W⁺ = max(W, 0)`
    Positive,
    /// `W⁻ = min(W, 0)`
    Negative,
    /// `W + γW⁺`
    FavourPositive(f32),
    /// `W + γW⁻`
    FavourNegative(f32),
    /// `W²`
    Square,
    /// 1 everywhere
    Ones,
}

impl Part {
    /// The changed tensor.
    ///
    /// # Errors
    /// Only when the result cannot be allocated.
    pub fn of(self, backend: &dyn Backend, parameter: &Tensor) -> Result<Tensor, ComputeError> {
        match self {
            Self::Whole => Ok(parameter.clone()),
            Self::Positive => backend.map(parameter, Map::Positive),
            Self::Negative => backend.map(parameter, Map::Negative),
            Self::FavourPositive(gamma) => favour(backend, parameter, Map::Positive, gamma),
            Self::FavourNegative(gamma) => favour(backend, parameter, Map::Negative, gamma),
            Self::Square => backend.map(parameter, Map::Square),
            Self::Ones => Tensor::full(parameter.shape(), 1.0),
        }
    }

    /// What backends know how to do themselves.
    fn change(self) -> Option<WeightChange> {
        match self {
            Self::Whole => Some(WeightChange::None),
            Self::Positive => Some(WeightChange::Positive),
            Self::Negative => Some(WeightChange::Negative),
            Self::Square => Some(WeightChange::Square),
            Self::FavourPositive(_) | Self::FavourNegative(_) | Self::Ones => None,
        }
    }
}

/// `W + γ·part(W)`
fn favour(backend: &dyn Backend, parameter: &Tensor, part: Map, gamma: f32) -> Result<Tensor, ComputeError> {
    let part = backend.map(&backend.map(parameter, part)?, Map::Affine { factor: gamma, offset: 0.0 })?;
    backend.zip(parameter, &part, Zip::Add)
}

/// The weights and bias of an affine op, with every part of them that was asked for so far in the backend's layout.
pub struct Parameters {
    weight: Tensor,
    bias: Option<Tensor>,
    packed: Mutex<Vec<(Part, PackedWeight)>>,
}

impl Parameters {
    /// Weights, and a bias of one number per output channel.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Arc<Self> {
        Arc::new(Self { weight, bias, packed: Mutex::new(Vec::new()) })
    }

    /// The weights.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[K]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The number of weights and biases.
    pub(crate) fn count(&self) -> usize {
        self.weight.len() + self.bias.as_ref().map_or(0, Tensor::len)
    }

    /// The changed weights, packed by `pack` the first time they are asked for.
    pub(crate) fn packed(
        &self,
        backend: &dyn Backend,
        part: Part,
        pack: impl FnOnce(&Tensor) -> Result<PackedWeight, ComputeError>,
    ) -> Result<PackedWeight, ComputeError> {
        self.packed_by(part, || pack(&part.of(backend, &self.weight)?))
    }

    /// The same for a `pack` that changes weights itself, so that they need not be there twice.
    pub(crate) fn packed_changed(
        &self,
        backend: &dyn Backend,
        part: Part,
        pack: impl FnOnce(&Tensor, WeightChange) -> Result<PackedWeight, ComputeError>,
    ) -> Result<PackedWeight, ComputeError> {
        self.packed_by(part, || match part.change() {
            Some(change) => pack(&self.weight, change),
            None => pack(&part.of(backend, &self.weight)?, WeightChange::None),
        })
    }

    fn packed_by(
        &self,
        part: Part,
        pack: impl FnOnce() -> Result<PackedWeight, ComputeError>,
    ) -> Result<PackedWeight, ComputeError> {
        // A poisoned lock only means that a thread ended elsewhere; what is in the list is complete.
        let list = || self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        let find =
            |list: &[(Part, PackedWeight)]| list.iter().find(|(known, _)| *known == part).map(|(_, w)| w.clone());
        if let Some(found) = find(&list()) {
            return Ok(found);
        }
        // Not under the lock: a backend works in parallel, and a thread that waits for that work may take up another
        // task that needs this very weight. Two threads may make the same; the first one's stays.
        let made = pack()?;
        let mut list = list();
        if let Some(found) = find(&list) {
            return Ok(found);
        }
        list.push((part, made.clone()));
        Ok(made)
    }

    /// The changed weights of some outputs, `[outputs, ...]`.
    pub(crate) fn of_outputs(
        &self,
        backend: &dyn Backend,
        part: Part,
        outputs: &[usize],
    ) -> Result<Tensor, ComputeError> {
        part.of(backend, &backend.gather_rows(&self.weight, &Rows::new(outputs))?)
    }

    /// The changed bias; `None` without one.
    pub(crate) fn bias_part(&self, backend: &dyn Backend, part: Option<Part>) -> Result<Option<Tensor>, ComputeError> {
        match (part, &self.bias) {
            (Some(part), Some(bias)) => part.of(backend, bias).map(Some),
            _ => Ok(None),
        }
    }
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameters")
            .field("weight", &self.weight.shape())
            .field("bias", &self.bias.as_ref().map(Tensor::len))
            .finish_non_exhaustive()
    }
}

/// `bias` `[K]` as `[1, K, 1, ...]` broadcast to `[1, K, ...]`; zeros when there is none. `channel_axis` counts axes
/// of one sample.
pub(crate) fn broadcast_bias(
    backend: &dyn Backend,
    bias: Option<&Tensor>,
    output_shape: &[usize],
    channel_axis: usize,
) -> Result<Tensor, ComputeError> {
    let mut shape = vec![1];
    shape.extend_from_slice(output_shape);
    let zeros = Tensor::zeros(shape)?;
    let Some(bias) = bias else { return Ok(zeros) };
    let mut aligned = vec![1; output_shape.len() + 1];
    if let Some(axis) = aligned.get_mut(channel_axis + 1) {
        *axis = bias.len();
    }
    backend.zip(&zeros, &bias.reshape(aligned)?, Zip::Add)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use glocal_compute::CpuBackend;

    use super::*;

    /// Packing that comes to need the same weights, as it does when a waiting thread takes up another task, must not
    /// wait for itself.
    #[test]
    fn packing_may_ask_for_the_same_weights() {
        let (done, finished) = channel();
        std::thread::spawn(move || {
            let backend = CpuBackend::new();
            let parameters = Parameters::new(Tensor::full([2, 3], 1.0).unwrap(), None);
            let pack = |weight: &Tensor| backend.pack_dense(weight);
            let packed = parameters.packed(&backend, Part::Positive, |weight| {
                parameters.packed(&backend, Part::Positive, pack)?;
                pack(weight)
            });
            assert!(packed.is_ok());
            assert_eq!(parameters.packed.lock().unwrap().len(), 1);
            done.send(()).unwrap();
        });
        finished.recv_timeout(Duration::from_secs(20)).expect("packing waits for itself, or failed");
    }
}
