//! Results one after the other, in bounded memory.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use glocal_compute::Tensor;

use crate::attribution::execute::Execution;
use crate::attribution::method::{Results, results};
use crate::attribution::{Attribution, Request, Trace};
use crate::error::RequestError;
use crate::pool::in_pool;

/// The attributions of a request, in its order, each made when it is asked for.
///
/// Some are made together ([`Request::rows_at_once`]); no more than these are in memory, however many conditions there are.
/// Recorded layers exist for these alone. After an error the stream is at its end.
pub struct Stream<'a> {
    prediction: &'a Tensor,
    activations: BTreeMap<String, Tensor>,
    total: usize,
    /// How many were handed out.
    done: usize,
    /// Those that are made, but not yet handed out.
    made: VecDeque<Attribution>,
    results: Option<Box<dyn Results + 'a>>,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of results that were handed out.
    pub done: usize,
    /// The number of results of the request.
    pub total: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(trace: &'a Trace<'a>, request: &'a Request) -> Result<Self, RequestError> {
        in_pool(|| Self::begun(trace, request))
    }

    fn begun(trace: &'a Trace<'a>, request: &'a Request) -> Result<Self, RequestError> {
        let execution = Execution::new(trace, request)?;
        let total = execution.results()?;
        let activations = execution.activations();
        let results = Some(results(execution)?);
        Ok(Self { prediction: trace.prediction(), activations, total, done: 0, made: VecDeque::new(), results })
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress { done: self.done, total: self.total }
    }

    /// The explained output of each sample, `[N, ...]`.
    pub fn prediction(&self) -> &'a Tensor {
        self.prediction
    }

    /// The recorded layers' activations, `[N, ...]` each, by the name that the request used.
    pub fn activations(&self) -> &BTreeMap<String, Tensor> {
        &self.activations
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<Attribution, RequestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.made.is_empty() && self.done < self.total {
            let results = self.results.as_mut()?;
            match in_pool(|| results.next()) {
                Ok(made) => self.made.extend(made),
                Err(error) => {
                    self.results = None;
                    return Some(Err(error));
                }
            }
        }
        let next = self.made.pop_front()?;
        self.done += 1;
        Some(Ok(next))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error takes the place of all that would follow.
        (self.made.len(), Some(if self.results.is_some() { self.total - self.done } else { self.made.len() }))
    }
}

impl fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("progress", &self.progress()).finish_non_exhaustive()
    }
}
