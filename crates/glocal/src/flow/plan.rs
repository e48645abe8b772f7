//! Everything about an attribution graph that needs no relevance: its root, its layers, its steps.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::attribution::{Condition, Target, Trace, argmax};
use crate::concept::Selection;
use crate::error::{RequestError, RequestErrorKind};
use crate::flow::{FlowRequest, Origin, Root};
use crate::model::{Graph, NodeId};
use crate::op::OpClass;

/// Everything that needs no relevance.
pub(super) struct Plan {
    /// The root's layer and concept.
    pub(super) root: (NodeId, usize),
    /// What relevance has to come through before it reaches the root's mask, and where it starts.
    pub(super) condition: Condition,
    /// The layer where relevance starts, unless at the output.
    pub(super) start: Option<NodeId>,
    /// The layers below each layer that a step may start from.
    pub(super) below: BTreeMap<NodeId, Vec<NodeId>>,
    /// A name for each layer of the graph.
    pub(super) names: BTreeMap<NodeId, String>,
    /// The width of each step.
    pub(super) widths: Vec<usize>,
}

impl Plan {
    pub(super) fn new(trace: &Trace<'_>, request: &FlowRequest) -> Result<Self, RequestError> {
        if trace.batch() != 1 {
            return Err(parameter("the batch of an attribution graph", "one sample"));
        }
        let widths = widths(request)?;
        let graph = trace.attributor().model().graph();
        let mut names = BTreeMap::new();
        let (root, condition, start) = root(trace, &request.root, &mut names)?;
        let among = among(graph, root.0, &request.layers, &mut names)?;
        let mut below: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        let mut frontier = vec![root.0];
        for _ in 0..widths.len() {
            let mut next = Vec::new();
            for layer in frontier {
                if let Entry::Vacant(vacant) = below.entry(layer) {
                    next.extend_from_slice(vacant.insert(graph.layers_below(layer, &among)));
                }
            }
            frontier = next;
        }
        for layer in below.values().flatten().chain([&root.0]) {
            names.entry(*layer).or_insert_with(|| name_of(graph, *layer));
        }
        Ok(Self { root, condition, start, below, names, widths })
    }

    /// The layers that can be reached, the root's included, from top to bottom.
    pub(super) fn layers(&self) -> Vec<NodeId> {
        let mut layers: Vec<NodeId> = self.below.values().flatten().copied().chain([self.root.0]).collect();
        layers.sort_unstable_by(|a, b| b.cmp(a));
        layers.dedup();
        layers
    }

    /// The name of a layer.
    pub(super) fn name(&self, layer: NodeId) -> &str {
        self.names.get(&layer).map_or("", String::as_str)
    }
}

fn parameter(name: &'static str, expected: &'static str) -> RequestError {
    RequestErrorKind::Parameter { name, expected }.into()
}

/// The width of every step.
fn widths(request: &FlowRequest) -> Result<Vec<usize>, RequestError> {
    let Some(&last) = request.widths.last() else {
        return Err(parameter("the widths of an attribution graph", "one number of concepts a step, as in 4,2"));
    };
    if request.widths.contains(&0) {
        return Err(parameter("the width of an attribution graph", "at least 1 concept a layer"));
    }
    let depth = request.depth.unwrap_or(request.widths.len());
    if depth == 0 {
        return Err(parameter("the depth of an attribution graph", "at least 1 step"));
    }
    Ok(request.widths.iter().copied().chain(std::iter::repeat(last)).take(depth).collect())
}

type Rooted = ((NodeId, usize), Condition, Option<NodeId>);

/// The root, and how relevance gets there.
fn root(trace: &Trace<'_>, root: &Root, names: &mut BTreeMap<NodeId, String>) -> Result<Rooted, RequestError> {
    let model = trace.attributor().model();
    let explained = model.explained();
    match root {
        Root::Predicted => {
            let prediction = trace.prediction();
            if prediction.sample_shape().len() != 1 {
                return Err(RequestErrorKind::NoPrediction { shape: prediction.sample_shape().to_vec() }.into());
            }
            let class = argmax(prediction.row(0));
            Ok(((explained, class), Condition::class(class), None))
        }
        Root::Class(class) => Ok(((explained, *class), Condition::class(*class), None)),
        Root::Concept { layer, id, origin } => {
            let node = model.layer(layer)?;
            let selection = Selection::channels([*id]);
            names.insert(node, layer.clone());
            match origin {
                Origin::Condition(condition) => Ok(((node, *id), condition.clone().through(layer, selection), None)),
                Origin::Activation => {
                    let condition = Condition { target: Target::Some(selection), layers: Vec::new() };
                    Ok(((node, *id), condition, Some(node)))
                }
            }
        }
    }
}

/// The layers whose concepts may be nodes: all below the root.
fn among(
    graph: &Graph,
    root: NodeId,
    layers: &[String],
    names: &mut BTreeMap<NodeId, String>,
) -> Result<Vec<NodeId>, RequestError> {
    let above = graph.ancestors(root);
    let is_below = |id: NodeId| id != root && above[id.index()];
    if layers.is_empty() {
        let weighted = graph.nodes().filter(|(id, node)| is_below(*id) && node.op.kind().is(OpClass::Linear));
        return Ok(weighted.map(|(id, _)| id).collect());
    }
    let mut among = Vec::with_capacity(layers.len());
    for layer in layers {
        let id = graph.find(layer)?;
        if is_below(id) {
            names.entry(id).or_insert_with(|| layer.clone());
            among.push(id);
        }
    }
    match layers.first() {
        Some(layer) if among.is_empty() => {
            let start = graph.node(root).display_name().to_owned();
            Err(RequestErrorKind::NotExplained { layer: layer.clone(), start }.into())
        }
        _ => Ok(among),
    }
}

/// A name that finds a node.
fn name_of(graph: &Graph, id: NodeId) -> String {
    let node = graph.node(id);
    let known = [node.display_name(), &node.name].into_iter().chain(node.values.iter().map(String::as_str));
    let finds = |name: &&str| graph.find(name).is_ok_and(|found| found == id);
    known.clone().find(finds).or_else(|| known.clone().next()).unwrap_or_default().to_owned()
}
