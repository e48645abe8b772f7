//! One forward pass, and everything that rules prepare from it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::attribution::{Attribution, Attributions, Attributor, Cancel, Method, Progress, Request, Stream};
use crate::concept::Site;
use crate::error::{RequestError, RunError};
use crate::model::NodeId;
use crate::op::Propagate;
use crate::pool::in_pool;
use crate::rule::Reads;

/// The values of all nodes for a batch of inputs, and the prepared rules, each made when first needed. One for a request
/// alone ([`Attributor::trace_for`]) has the values that this request needs; others are empty, `[0, ...]`.
#[derive(Debug)]
pub struct Trace<'a> {
    attributor: &'a Attributor,
    values: Vec<Tensor>,
    /// `None` where relevance goes down once: each rule then goes when it has handed down.
    prepared: Option<Vec<OnceLock<Box<dyn Propagate>>>>,
}

/// The rule of a node, prepared.
pub(crate) enum Prepared<'a> {
    /// Kept for the next relevance.
    Kept(&'a dyn Propagate),
    /// For this one.
    Once(Box<dyn Propagate>),
}

impl Prepared<'_> {
    /// See [`Propagate::propagate`] and [`Propagate::propagate_once`].
    pub(crate) fn propagate(
        self,
        backend: &dyn Backend,
        relevance: Tensor,
        rows: &Rows,
    ) -> Result<Vec<Tensor>, ComputeError> {
        match self {
            Self::Kept(prepared) => prepared.propagate(backend, relevance, rows),
            Self::Once(prepared) => prepared.propagate_once(backend, relevance, rows),
        }
    }

    pub(crate) fn rule(&self) -> &dyn Propagate {
        match self {
            Self::Kept(prepared) => *prepared,
            Self::Once(prepared) => prepared.as_ref(),
        }
    }
}

impl<'a> Trace<'a> {
    pub(crate) fn new(attributor: &'a Attributor, inputs: &Tensor, cancel: &Cancel) -> Result<Self, RunError> {
        let values = attributor.model().run_to(inputs, attributor.model().explained(), cancel)?;
        let prepared = values.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { attributor, values, prepared: Some(prepared) })
    }

    /// A pass for `request` alone: only the values are kept that rules read, and those of the layers that it names; and what
    /// rules prepare, unless there is one result.
    ///
    /// Of methods that send down what they make of the samples themselves nothing is known here: they get all.
    pub(crate) fn for_request(
        attributor: &'a Attributor,
        inputs: &Tensor,
        request: &Request,
    ) -> Result<Self, RunError> {
        if !matches!(request.method, Method::Plain | Method::TimesInput) {
            return Self::new(attributor, inputs, &request.cancel);
        }
        let (model, graph) = (attributor.model(), attributor.model().graph());
        let mut kept = read_by_rules(attributor, &graph.ancestors(model.explained()));
        let conditioned = request.conditions.iter().flat_map(|condition| condition.layers.iter().map(|(name, _)| name));
        let named = request.start.iter().chain(&request.record).chain(conditioned);
        // Names that no layer has are refused when the request is looked through.
        kept.extend(named.filter_map(|name| model.layer(name).ok()));
        kept.insert(graph.input());
        let keeps = |id| kept.contains(&id);
        let values = model.run_keeping(inputs, model.explained(), keeps, |_, _| Ok(()), &request.cancel)?;
        // Of several results each may go down alone, over the same layers.
        let several = request.conditions.len() > 1 || inputs.batch() > 1;
        let prepared = several.then(|| values.iter().map(|_| OnceLock::new()).collect());
        Ok(Self { attributor, values, prepared })
    }

    /// A pass for relevance that goes down once, through `region`: only the values are kept that rules read there, and
    /// nothing of what they prepare. `see` is shown the value of every node.
    pub(crate) fn for_one_descent(
        attributor: &'a Attributor,
        inputs: &Tensor,
        region: &[bool],
        see: impl FnMut(NodeId, &Tensor) -> Result<(), RunError> + Send,
        cancel: &Cancel,
    ) -> Result<Self, RunError> {
        let (model, read) = (attributor.model(), read_by_rules(attributor, region));
        let values = model.run_keeping(inputs, model.explained(), |id| read.contains(&id), see, cancel)?;
        Ok(Self { attributor, values, prepared: None })
    }

    /// The model and its rules.
    pub fn attributor(&self) -> &'a Attributor {
        self.attributor
    }

    /// The number of samples.
    pub fn batch(&self) -> usize {
        self.values.first().map_or(0, Tensor::batch)
    }

    /// The samples, `[N, ...]`.
    pub fn inputs(&self) -> &Tensor {
        self.value(self.attributor.model().graph().input())
    }

    /// The explained output, `[N, ...]`.
    pub fn prediction(&self) -> &Tensor {
        self.value(self.attributor.model().explained())
    }

    /// The value of a node that the explained output depends on, `[N, ...]`.
    ///
    /// # Panics
    /// When the node lies behind the explained output.
    pub fn value(&self, node: NodeId) -> &Tensor {
        &self.values[node.index()]
    }

    /// The sample `row` at a node that the explained output depends on, with its activation.
    ///
    /// # Panics
    /// When the node lies behind the explained output, or there are not so many samples.
    pub fn site(&self, node: NodeId, row: usize) -> Site<'_> {
        self.attributor.model().graph().site(node).with_activation(self.value(node).row(row))
    }

    /// The explained output `[V, ...]` with `layer`'s value replaced by `values` `[V, ...]`, row `i` in place of that of sample
    /// `rows[i]`: everywhere that the layer's value is used, so that all branches see the change.
    ///
    /// Only what depends on the layer, and the output on it, is computed again; all else is taken from this trace. A row is,
    /// bit for bit, what the whole model would give with that value in the layer's place, whatever rows it is computed with.
    ///
    /// # Errors
    /// When `values` has not the layer's shape and one row for each of `rows`, a row is no sample, a node fails, or the work was
    /// cancelled.
    pub fn rerun(&self, layer: NodeId, values: &Tensor, rows: &Rows, cancel: &Cancel) -> Result<Tensor, RunError> {
        in_pool(|| self.attributor.model().rerun(&self.values, (layer, values), rows, cancel))
    }

    /// Drops the value of a node that no rule will be prepared from any more.
    pub(crate) fn forget(&mut self, node: NodeId) -> Result<(), RunError> {
        let shape = &self.attributor.model().graph().node(node).shape;
        self.values[node.index()] = Tensor::zeros([&[0], shape.as_slice()].concat())?;
        Ok(())
    }

    /// The attributions that `request` asks for, in its order, all at once.
    ///
    /// # Errors
    /// When the request does not fit the model, or was cancelled.
    pub fn attribute(&self, request: &Request) -> Result<Attributions, RequestError> {
        let mut stream = self.stream(request)?;
        let items = stream.by_ref().collect::<Result<Vec<_>, _>>()?;
        Ok(Attributions { prediction: self.prediction().clone(), activations: stream.activations().clone(), items })
    }

    /// The attributions that `request` asks for, in its order, one after the other: memory does not grow with the number of
    /// conditions.
    ///
    /// # Errors
    /// When the request does not fit the model. The items of the stream are errors when the work fails or was cancelled.
    pub fn stream<'t>(&'t self, request: &'t Request) -> Result<Stream<'t>, RequestError> {
        Stream::new(self, request)
    }

    /// The same with a function that is handed each result, with how many there were so far, and says whether to go on.
    /// Returns whether it was made to stop.
    ///
    /// # Errors
    /// When the request does not fit the model, or was cancelled.
    pub fn for_each(
        &self,
        request: &Request,
        mut take: impl FnMut(Attribution, Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RequestError> {
        let mut stream = self.stream(request)?;
        while let Some(item) = stream.next() {
            if take(item?, stream.progress()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The prepared rule of a node; `None` for the input.
    pub(crate) fn prepared(&self, id: NodeId) -> Result<Option<Prepared<'_>>, RunError> {
        let model = self.attributor.model();
        let Some(assignment) = self.attributor.resolved().get(id) else { return Ok(None) };
        let slot = self.prepared.as_ref().map(|prepared| &prepared[id.index()]);
        if let Some(prepared) = slot.and_then(OnceLock::get) {
            return Ok(Some(Prepared::Kept(prepared.as_ref())));
        }
        let node = model.graph().node(id);
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| self.value(*input)).collect();
        let prepared = assignment
            .rule
            .prepare(model.backend(), node.op.as_ref(), &inputs, self.value(id))
            .map_err(|cause| RunError::node(node, cause))?;
        Ok(Some(match slot {
            // Another thread may have been first; both made the same.
            Some(slot) => Prepared::Kept(slot.get_or_init(|| prepared).as_ref()),
            None => Prepared::Once(prepared),
        }))
    }
}

/// The nodes whose values are read by the rules of those of `region` that hand relevance down there.
fn read_by_rules(attributor: &Attributor, region: &[bool]) -> BTreeSet<NodeId> {
    let (graph, rules) = (attributor.model().graph(), attributor.resolved());
    let mut read = BTreeSet::new();
    for (id, node) in graph.nodes().take(region.len()) {
        let hands_down = region[id.index()] && node.inputs.iter().any(|input| region[input.index()]);
        let reads = rules.get(id).filter(|_| hands_down).map_or(Reads::Nothing, |given| given.rule.reads());
        if reads != Reads::Nothing {
            read.extend(&node.inputs);
        }
        if reads == Reads::All {
            read.insert(id);
        }
    }
    read
}
