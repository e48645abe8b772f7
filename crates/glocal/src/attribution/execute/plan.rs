//! What of a request is the same for all samples: its conditions as a tree of passes.
//!
//! Under isolated scope a pass is relevance going from one conditioned layer down to the next, or to the input. Conditions with
//! the same target and the same upper masks have their upper passes in common: these are the inner edges of the tree. Under
//! whole scope there is one pass a target, down to the highest conditioned layer of the request.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribution::execute::between;
use crate::attribution::execute::need::Need;
use crate::attribution::execute::pass::{Origin, Pass, Span};
use crate::attribution::execute::resolve::{Resolved, Resolver};
use crate::attribution::execute::run::{Key, Pair, Run};
use crate::attribution::{Pairing, Request, Scope, Target};
use crate::error::{RequestError, RequestErrorKind};
use crate::model::{Graph, Model, NodeId};

/// Where no bound on memory is given, rows that go down together take about as many bytes: more are no faster.
const ROWS_TOGETHER: usize = 80 << 20;

/// A request with its names looked up, and its conditions as a tree.
pub(super) struct Plan<'a> {
    pub(super) graph: &'a Graph,
    need: Need,
    pub(super) start: NodeId,
    /// Under whole scope, the highest masked node of all conditions: down to it, those of a target are the same. `None` under
    /// isolated scope, which is the same as whole scope where nothing is masked.
    pub(super) top: Option<NodeId>,
    pub(super) record: Vec<(&'a str, NodeId)>,
    pub(super) conditions: Vec<Resolved<'a>>,
    pub(super) passes: Vec<Pass<'a>>,
    /// The passes of each condition, from where relevance starts down to the input.
    pub(super) ways: Vec<Vec<usize>>,
    /// What the passes from a node to another, or to the input, go through.
    regions: BTreeMap<Span, Region>,
    pairing: Pairing,
}

/// What a pass goes through.
pub(super) struct Region {
    /// For every node, whether relevance is followed there.
    pub(super) nodes: Vec<bool>,
    /// The elements of what a row of the pass leaves behind: what arrived at its end, and at recorded layers.
    pub(super) kept: usize,
}

impl<'a> Plan<'a> {
    /// Looks everything up.
    ///
    /// # Errors
    /// When the request does not fit the model.
    pub(super) fn new(model: &'a Model, request: &'a Request) -> Result<Self, RequestError> {
        let graph = model.graph();
        let explained = model.explained();
        let reached = graph.ancestors(explained);
        let reachable = |name: &str| -> Result<NodeId, RequestError> {
            let node = model.layer(name)?;
            if node <= explained && reached[node.index()] {
                return Ok(node);
            }
            let start = graph.node(explained).display_name().to_owned();
            Err(RequestErrorKind::NotExplained { layer: name.to_owned(), start }.into())
        };
        let start = request.start.as_deref().map_or(Ok(explained), reachable)?;
        let record = request.record.iter().map(|name| Ok((name.as_str(), reachable(name)?)));
        let record = record.collect::<Result<Vec<_>, RequestError>>()?;
        let mut resolver = Resolver::new(graph, start, request.scope);
        let conditions = request.conditions.iter().map(|condition| resolver.resolve(condition));
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        if conditions.iter().any(|condition| *condition.target == Target::Predicted) {
            let shape = model.output_shape();
            if start != explained {
                let start = graph.node(start).display_name().to_owned();
                return Err(RequestErrorKind::StartWithoutTarget { start }.into());
            }
            if shape.len() != 1 {
                return Err(RequestErrorKind::NoPrediction { shape: shape.to_vec() }.into());
            }
        }
        let mut plan = Self {
            graph,
            need: Need::new(model),
            start,
            top: None,
            record,
            conditions,
            passes: Vec::new(),
            ways: Vec::new(),
            regions: BTreeMap::new(),
            pairing: request.pairing,
        };
        if request.scope == Scope::Whole {
            plan.top =
                plan.conditions.iter().filter_map(|condition| condition.masks.first()).map(|(node, _)| *node).max();
        }
        plan.grow();
        Ok(plan)
    }

    /// Makes the tree.
    fn grow(&mut self) {
        let mut known = BTreeMap::new();
        for (index, condition) in self.conditions.iter().enumerate() {
            let mut way = Vec::with_capacity(condition.masks.len() + 1);
            let (mut from, mut origin) = (self.start, Origin::Target(condition.target));
            let masks = if self.top.is_some() { &[][..] } else { &condition.masks };
            let ends = masks.iter().map(|(node, mask)| (Some(*node), Some(*mask))).chain([(self.top, None)]);
            for (to, mask) in ends {
                let passes = &mut self.passes;
                let id = *known.entry((origin.key(), to)).or_insert_with(|| {
                    passes.push(Pass { origin, from, to, last: index });
                    passes.len() - 1
                });
                passes[id].last = index;
                way.push(id);
                if let (Some(to), Some(mask)) = (to, mask) {
                    (from, origin) = (to, Origin::Mask { above: id, mask });
                }
            }
            self.ways.push(way);
        }
        for Pass { from, to, .. } in &self.passes {
            if !self.regions.contains_key(&(*from, *to)) {
                self.regions.insert((*from, *to), self.surveyed(*from, *to));
            }
        }
    }

    /// What passes between two nodes go through.
    fn surveyed(&self, from: NodeId, to: Option<NodeId>) -> Region {
        let nodes = match to.filter(|_| self.top.is_none()) {
            Some(to) => between(self.graph, from, &[to]),
            None => {
                let wanted = self.record.iter().map(|(_, recorded)| *recorded).chain([self.graph.input()]);
                between(self.graph, from, &wanted.collect::<Vec<_>>())
            }
        };
        let is_above = |id: NodeId| to.is_none_or(|to| id > to);
        let mut left = vec![false; self.graph.len()];
        left[from.index()] = true;
        for (id, node) in self.graph.nodes().filter(|(id, _)| nodes[id.index()] && is_above(*id)) {
            left[id.index()] |= self.is_noted(id);
            node.inputs.iter().filter(|input| !is_above(**input)).for_each(|input| left[input.index()] = true);
        }
        let left = self.graph.nodes().filter(|(id, _)| nodes[id.index()] && left[id.index()]);
        let kept = left.map(|(_, node)| node.shape.iter().product::<usize>()).sum();
        Region { nodes, kept }
    }

    /// What the passes between two nodes go through.
    pub(super) fn region(&self, from: NodeId, to: Option<NodeId>) -> Option<&Region> {
        self.regions.get(&(from, to))
    }

    /// The nodes that a pass goes through and that hand relevance down, from the highest to the lowest.
    pub(super) fn handing_down(&self, from: NodeId, to: Option<NodeId>) -> Vec<NodeId> {
        let surveyed;
        let region = match self.region(from, to) {
            Some(region) => region,
            None => {
                surveyed = self.surveyed(from, to);
                &surveyed
            }
        };
        let inside = |id: NodeId| region.nodes[id.index()] && to.is_none_or(|to| id > to);
        let hands_down = |inputs: &[NodeId]| inputs.iter().any(|input| region.nodes[input.index()]);
        let nodes = self.graph.nodes().rev().filter(|(id, node)| inside(*id) && hands_down(&node.inputs));
        nodes.map(|(id, _)| id).collect()
    }

    /// How many rows go down together, at least one: as many as the request says, or as fit into the memory that it says.
    pub(super) fn rows_at_once(&self, request: &Request, samples: usize) -> usize {
        let most = request.rows_at_once.max(1);
        let room = match request.memory {
            Some(memory) => memory.saturating_sub(self.need.of_samples(samples)),
            None => ROWS_TOGETHER,
        };
        (room / self.row_bytes().max(1)).clamp(1, most)
    }

    /// The bytes that so many samples, and so many rows that go down together, need at a time, roughly.
    pub(super) fn working_bytes(&self, samples: usize, rows: usize) -> usize {
        self.need.of_samples(samples).saturating_add(rows.saturating_mul(self.row_bytes()))
    }

    /// The bytes that a row needs: what arrives, its ratio and what is handed down exist together, and the result.
    fn row_bytes(&self) -> usize {
        let elements = |id: NodeId| self.graph.node(id).shape.iter().product::<usize>();
        let recorded: usize = self.record.iter().map(|(_, node)| elements(*node)).sum();
        (3 * self.need.largest + recorded + elements(self.graph.input())).saturating_mul(size_of::<f32>())
    }

    /// The bytes of what a row of a pass leaves behind.
    pub(super) fn bytes(&self, pass: usize) -> usize {
        let Pass { from, to, .. } = &self.passes[pass];
        self.region(*from, *to).map_or(0, |region| region.kept.saturating_mul(size_of::<f32>()))
    }

    /// Whether what arrives at a node is part of results.
    pub(super) fn is_noted(&self, node: NodeId) -> bool {
        node == self.graph.input() || self.record.iter().any(|(_, recorded)| *recorded == node)
    }

    /// The number of results for so many samples.
    ///
    /// # Errors
    /// When samples and conditions that are to be paired differ in number.
    pub(super) fn results(&self, samples: usize) -> Result<usize, RequestError> {
        let conditions = self.conditions.len();
        match self.pairing {
            Pairing::Zip if samples != conditions => Err(RequestErrorKind::Unpaired { samples, conditions }.into()),
            Pairing::Zip => Ok(samples),
            Pairing::Product => Ok(samples * conditions),
        }
    }

    /// The row of the trace and the condition of a result: those of the first copy of all samples come first.
    pub(super) fn pair(&self, result: usize) -> (usize, usize) {
        let conditions = self.conditions.len().max(1);
        match self.pairing {
            Pairing::Zip => (result, result % conditions),
            Pairing::Product => (result / conditions, result % conditions),
        }
    }

    /// Whether what a row of a pass brought down is of use after the run of results that ends with `(row, condition)`.
    pub(super) fn is_needed_after(&self, (row, condition): (usize, usize), key: &Key) -> bool {
        self.pairing == Pairing::Product && key.row == row && self.passes[key.pass].last > condition
    }

    /// The rows that go down for a run of results, by depth: what `run` has already is not propagated again.
    pub(super) fn stages<T>(&self, pairs: &[Pair], run: &Run<T>) -> Vec<Stage> {
        let mut stages: Vec<BTreeMap<Span, Vec<Key>>> = Vec::new();
        let mut planned = BTreeSet::new();
        for pair in pairs {
            let way = &self.ways[pair.condition];
            let done = way.iter().rposition(|&pass| run.has(&pair.key(pass)));
            for (depth, &pass) in way.iter().enumerate().skip(done.map_or(0, |done| done + 1)) {
                let key = pair.key(pass);
                if !planned.insert(key) {
                    continue;
                }
                if stages.len() <= depth {
                    stages.resize_with(depth + 1, BTreeMap::new);
                }
                let Pass { from, to, .. } = self.passes[pass];
                stages[depth].entry((from, to)).or_default().push(key);
            }
        }
        let stage = |((from, to), rows)| Stage { from, to, rows };
        stages.into_iter().flatten().map(stage).collect()
    }
}

/// Rows that go down together.
pub(super) struct Stage {
    pub(super) from: NodeId,
    pub(super) to: Option<NodeId>,
    pub(super) rows: Vec<Key>,
}
