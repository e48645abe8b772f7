//! The way down, step by step.

use std::collections::BTreeMap;

use glocal_compute::Tensor;

use crate::attribution::{Attribution, Condition, Initial, Request, Scope, Trace};
use crate::concept::{Channel, Concept, Selection, Site};
use crate::error::RequestError;
use crate::flow::best::Scores;
use crate::flow::plan::Plan;
use crate::flow::sparse::Sparse;
use crate::flow::{AttributionGraph, Edge, FlowLayer, FlowRequest, Node, Path};
use crate::model::NodeId;

/// Room for the maps of relevance that one request starts from and records.
const MAP_BYTES: usize = 64 << 20;

/// The most concepts that one request follows: more bring no speed.
const MOST_ROWS: usize = 32;

/// An attribution graph that is being made.
struct Following<'a> {
    trace: &'a Trace<'a>,
    request: &'a FlowRequest,
    plan: Plan,
    /// The relevance of each layer for the root.
    for_root: BTreeMap<NodeId, (Scores, Option<Tensor>)>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// The index of the node of each concept.
    known: BTreeMap<(NodeId, usize), usize>,
}

/// A node that the next step starts from, with the relevance that it passes on.
struct Front {
    node: usize,
    relevance: Sparse,
}

pub(super) fn follow(trace: &Trace<'_>, request: &FlowRequest) -> Result<AttributionGraph, RequestError> {
    let plan = Plan::new(trace, request)?;
    let mut following = Following {
        trace,
        request,
        plan,
        for_root: BTreeMap::new(),
        nodes: Vec::new(),
        edges: Vec::new(),
        known: BTreeMap::new(),
    };
    let mut fronts: BTreeMap<NodeId, Vec<Front>> = following.root()?;
    for step in 1..=following.plan.widths.len() {
        fronts = following.step(step, fronts)?;
    }
    Ok(following.finish())
}

impl<'a> Following<'a> {
    /// Sends relevance through the root alone, and makes it the first node.
    fn root(&mut self) -> Result<BTreeMap<NodeId, Vec<Front>>, RequestError> {
        let (layer, concept) = self.plan.root;
        let layers = self.plan.layers();
        let request = Request {
            conditions: vec![self.plan.condition.clone()],
            scope: self.scope(),
            start: self.plan.start.map(|start| self.plan.name(start).to_owned()),
            record: layers.iter().map(|layer| self.plan.name(*layer).to_owned()).collect(),
            cancel: self.request.cancel.clone(),
            ..Request::default()
        };
        let mut fronts = BTreeMap::new();
        for Attribution { layers: mut maps, .. } in self.trace.attribute(&request)?.items {
            for &layer in &layers {
                let Some(map) = maps.remove(self.plan.name(layer)) else { continue };
                let scores = Scores::of(&map, self.site(layer))?;
                if layer == self.plan.root.0 {
                    let selection = Selection::channels([concept]);
                    let relevance = Sparse::masked(map.data(), &self.site(layer), &selection);
                    fronts.insert(layer, vec![Front { node: 0, relevance }]);
                }
                let kept = (self.request.path == Path::RootAndCurrent).then_some(map);
                self.for_root.insert(layer, (scores, kept));
            }
        }
        self.node(layer, concept, 0);
        Ok(fronts)
    }

    /// One step down from the nodes of each layer, the upper layers first. What it returns is where the next step starts.
    fn step(
        &mut self,
        step: usize,
        mut fronts: BTreeMap<NodeId, Vec<Front>>,
    ) -> Result<BTreeMap<NodeId, Vec<Front>>, RequestError> {
        let mut next = BTreeMap::new();
        while let Some((layer, fronts)) = fronts.pop_last() {
            let below = self.plan.below.get(&layer).cloned().unwrap_or_default();
            if below.is_empty() {
                continue;
            }
            for some in fronts.chunks(self.rows(layer, &below)) {
                let items = self.send(layer, some, &below)?;
                for (front, mut item) in some.iter().zip(items) {
                    for &lower in &below {
                        let Some(map) = item.layers.remove(self.plan.name(lower)) else { continue };
                        self.arrive(step, front.node, lower, &map, &mut next)?;
                    }
                }
            }
        }
        Ok(next)
    }

    /// How many concepts of `layer` may be followed together.
    fn rows(&self, layer: NodeId, below: &[NodeId]) -> usize {
        let graph = self.trace.attributor().model().graph();
        let elements = |id: &NodeId| graph.node(*id).shape.iter().product::<usize>();
        let bytes = size_of::<f32>() * below.iter().chain([&layer]).map(elements).sum::<usize>();
        (MAP_BYTES / bytes.max(1)).clamp(1, MOST_ROWS)
    }

    fn site(&self, layer: NodeId) -> Site<'a> {
        self.trace.attributor().model().graph().site(layer)
    }

    fn scope(&self) -> Scope {
        if self.request.path == Path::Masked { Scope::Whole } else { Scope::Isolated }
    }

    /// Sends the relevance of each front from `layer` to the layers below it.
    fn send(&self, layer: NodeId, fronts: &[Front], below: &[NodeId]) -> Result<Vec<Attribution>, RequestError> {
        let record = below.iter().map(|lower| self.plan.name(*lower).to_owned()).collect();
        let cancel = self.request.cancel.clone();
        if self.request.path == Path::Masked {
            let masked = |front: &Front| match front.node {
                0 => self.plan.condition.clone(),
                node => {
                    let selection = Selection::channels([self.nodes[node].concept]);
                    self.plan.condition.clone().through(self.plan.name(layer), selection)
                }
            };
            let request = Request {
                conditions: fronts.iter().map(masked).collect(),
                scope: self.scope(),
                start: self.plan.start.map(|start| self.plan.name(start).to_owned()),
                record,
                cancel,
                ..Request::default()
            };
            return Ok(self.trace.attribute(&request)?.items);
        }
        let shape = &self.trace.attributor().model().graph().node(layer).shape;
        let size: usize = shape.iter().product();
        let mut data = vec![0.0; fronts.len() * size];
        for (front, row) in fronts.iter().zip(data.chunks_mut(size.max(1))) {
            front.relevance.add_to(row);
        }
        let request = Request {
            conditions: vec![Condition::everything(); fronts.len()],
            start: Some(self.plan.name(layer).to_owned()),
            initial: Initial::Given(Tensor::new([&[fronts.len()], shape.as_slice()].concat(), data)?),
            record,
            cancel,
            ..Request::default()
        };
        Ok(self.trace.attribute(&request)?.items)
    }

    /// Draws edges from `from` to the best concepts of `layer`, where `map` arrived.
    fn arrive(
        &mut self,
        step: usize,
        from: usize,
        layer: NodeId,
        map: &Tensor,
        next: &mut BTreeMap<NodeId, Vec<Front>>,
    ) -> Result<(), RequestError> {
        let width = self.plan.widths[step - 1];
        let site = self.site(layer);
        let scores = Scores::of(map, site)?;
        for concept in scores.best(width, self.request.order, self.request.path == Path::Masked) {
            let to = self.node(layer, concept, step);
            self.edges.push(Edge { from, to, relevance: scores.sums[concept], share: scores.shares[concept] });
            // Those of earlier steps have been followed already.
            if self.nodes[to].step < step || step == self.plan.widths.len() {
                continue;
            }
            let fronts = next.entry(layer).or_default();
            let known = fronts.iter().position(|front| front.node == to);
            let masked = |map: &Tensor| Sparse::masked(map.data(), &site, &Selection::channels([concept]));
            match (self.request.path, known) {
                (Path::Whole, Some(known)) => fronts[known].relevance.merge(masked(map)),
                (Path::Whole, None) => fronts.push(Front { node: to, relevance: masked(map) }),
                (Path::Masked, None) => fronts.push(Front { node: to, relevance: Sparse::default() }),
                (Path::RootAndCurrent | Path::Masked, Some(_)) => {}
                (Path::RootAndCurrent, None) => {
                    let whole = self.for_root.get(&layer).and_then(|(_, map)| map.as_ref());
                    fronts.push(Front { node: to, relevance: whole.map(masked).unwrap_or_default() });
                }
            }
        }
        Ok(())
    }

    /// The index of the node of a concept; a new one if there is none.
    fn node(&mut self, layer: NodeId, concept: usize, step: usize) -> usize {
        if let Some(&known) = self.known.get(&(layer, concept)) {
            return known;
        }
        let of = |scores: &[f64]| scores.get(concept).copied().unwrap_or(0.0);
        let (relevance, share) =
            self.for_root.get(&layer).map_or((0.0, 0.0), |(scores, _)| (of(&scores.sums), of(&scores.shares)));
        self.known.insert((layer, concept), self.nodes.len());
        self.nodes.push(Node { layer: self.plan.name(layer).to_owned(), concept, step, relevance, share });
        self.nodes.len() - 1
    }

    fn finish(self) -> AttributionGraph {
        let graph = self.trace.attributor().model().graph();
        let used = |layer: &NodeId| self.known.range((*layer, 0)..=(*layer, usize::MAX)).next().is_some();
        let layers = self.plan.layers().into_iter().filter(used).map(|layer| FlowLayer {
            name: self.plan.name(layer).to_owned(),
            concepts: Channel.count(&graph.site(layer)),
        });
        AttributionGraph { layers: layers.collect(), nodes: self.nodes, edges: self.edges }
    }
}
