//! Which attributions are wanted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use glocal_compute::Tensor;

use crate::attribution::{Condition, Method};
use crate::error::RunError;

/// Samples × conditions, and what to report of each.
#[derive(Debug, Clone)]
pub struct Request {
    /// The conditions. Default: the predicted class, unconditioned.
    pub conditions: Vec<Condition>,
    /// How attributions are made. Default: [`Method::Plain`].
    pub method: Method,
    /// How samples and conditions are combined. Default: [`Pairing::Product`].
    pub pairing: Pairing,
    /// What happens beside the conditioned layers. Default: [`Scope::Isolated`].
    pub scope: Scope,
    /// The layer where relevance starts. Default: the explained output.
    pub start: Option<String>,
    /// The relevance that starts. Default: [`Initial::Value`].
    pub initial: Initial,
    /// The layers whose relevance and activation are wanted. Default: none.
    pub record: Vec<String>,
    /// How many rows (sample × condition) go down together, and the most perturbed copies of samples that run together.
    /// Results do not depend on it. Default: 32.
    pub rows_at_once: usize,
    /// The bytes to stay below: fewer rows go down together where that many would not fit, by a rough reckoning, but one always
    /// does. Results do not depend on it. Default: `None`, about 80 MiB for the rows alone.
    pub memory: Option<usize>,
    /// Set to stop early. Default: never.
    pub cancel: Cancel,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            conditions: vec![Condition::predicted()],
            method: Method::Plain,
            pairing: Pairing::Product,
            scope: Scope::Isolated,
            start: None,
            initial: Initial::Value,
            record: Vec::new(),
            rows_at_once: 32,
            memory: None,
            cancel: Cancel::default(),
        }
    }
}

/// How samples and conditions are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Every condition for every sample; results are sample-major.
    Product,
    /// The i-th condition for the i-th sample.
    Zip,
}

/// What happens beside the conditioned layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Relevance flows only through the conditioned layers, one after the other from top to bottom.
    Isolated,
    /// Masks are applied; parallel branches keep what they have.
    Whole,
}

/// The relevance that starts, before the target's mask.
#[derive(Clone)]
#[non_exhaustive]
pub enum Initial {
    /// The value itself: the logit.
    Value,
    /// 1.
    One,
    /// A constant.
    Constant(f32),
    /// Given: `[N, ...]`, `[1, ...]` for all samples, or one row for each result of the request.
    Given(Tensor),
    /// A function of the layer's value `[N, ...]`, of the same shape. Methods that perturb the input call it once for
    /// each copy.
    Function(Arc<dyn Fn(&Tensor) -> Tensor + Send + Sync>),
}

impl fmt::Debug for Initial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value => f.write_str("Value"),
            Self::One => f.write_str("One"),
            Self::Constant(value) => write!(f, "Constant({value})"),
            Self::Given(tensor) => write!(f, "Given({tensor:?})"),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}

/// A flag that stops work early, from any thread. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops the work that holds this flag: it ends in an error of kind `Cancelled` before its next node.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), RunError> {
        if self.is_cancelled() { Err(RunError::cancelled()) } else { Ok(()) }
    }
}
