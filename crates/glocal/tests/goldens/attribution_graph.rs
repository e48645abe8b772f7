//! Graphs of concepts against zennit-crp's.
//!
//! How they are compared. The peer lists a lower concept once for each upper one that leads to it; our nodes are unique, so
//! what is compared is edges: for every node that the peer expands, the same lower concepts in the same order with the same
//! relevance (or share, with `abs_norm`), and as nodes the set of the peer's. The peer masks the root and the current concept
//! and lets parallel branches be: [`Path::Masked`]. The two other forms, where relevance flows through these concepts alone,
//! must give the same where nothing is parallel, but for concepts without relevance, which they leave out: for these they
//! may have further ones, no better than what the peer lists. (The oracle's graphs are two steps deep, where root and
//! current are the whole path.)

use std::collections::{BTreeMap, BTreeSet};

use glocal::attribution::Condition;
use glocal::concept::Selection;
use glocal::flow::{AttributionGraph, FlowRequest, Origin, Path, Root};
use serde_json::Value;

use crate::MODELS;
use crate::support::{Oracle, differ, rows, tolerance};

/// The models without parallel branches.
const CHAINS: [&str; 3] = ["vgg_tiny", "conv1d_tiny", "parallel_linear"];

type Id = (String, usize);

fn id(value: &Value) -> Id {
    (value[0].as_str().unwrap().to_owned(), value[1].as_u64().unwrap() as usize)
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

/// Where the peer's graph starts: at the layer itself without a target, else at the output, through the parent if any.
fn origin(oracle: &Oracle, case: &Value) -> Origin {
    let Some(target) = case["target"].as_u64() else { return Origin::Activation };
    let condition = Condition::class(target as usize);
    if case["parent"].is_null() {
        return Origin::Condition(condition);
    }
    let (layer, concept) = id(&case["parent"]);
    Origin::Condition(condition.through(oracle.node_of(&layer), Selection::channels([concept])))
}

/// The lower ends of our edges and their numbers, by upper end and lower layer.
fn edges(graph: &AttributionGraph, share: bool) -> BTreeMap<(Id, String), Vec<(usize, f64)>> {
    let mut found: BTreeMap<(Id, String), Vec<(usize, f64)>> = BTreeMap::new();
    for edge in &graph.edges {
        let (from, to) = (&graph.nodes[edge.from], &graph.nodes[edge.to]);
        let number = if share { edge.share } else { edge.relevance };
        found.entry(((from.layer.clone(), from.concept), to.layer.clone())).or_default().push((to.concept, number));
    }
    found
}

fn compare(oracle: &Oracle, case: &Value, path: Path) -> Vec<String> {
    let attributor = oracle.attributor(case).unwrap();
    let inputs = rows(&oracle.inputs, &numbers(&case["input"]["rows"]));
    let names = |layer: &str| oracle.node_of(layer);
    let request = FlowRequest {
        root: Root::Concept {
            layer: names(case["layer"].as_str().unwrap()),
            id: case["concept_id"].as_u64().unwrap() as usize,
            origin: origin(oracle, case),
        },
        layers: case["layer_names"].as_array().unwrap().iter().map(|layer| names(layer.as_str().unwrap())).collect(),
        widths: numbers(&case["width"]),
        path,
        ..FlowRequest::default()
    };
    let graph = AttributionGraph::of(&attributor.trace(&inputs).unwrap(), &request).unwrap();
    let mut ours = edges(&graph, case["abs_norm"] == true);

    let what = format!("{} {} {path:?}", oracle.name, case["id"]);
    let (mut failures, mut golden, mut same) = (Vec::new(), Vec::new(), Vec::new());
    // Nodes are unique, and none is there without relevance.
    let nodes: BTreeSet<Id> = graph.nodes.iter().map(|node| (node.layer.clone(), node.concept)).collect();
    assert_eq!(nodes.len(), graph.nodes.len(), "{what}: nodes come twice");
    let expected: BTreeSet<Id> = case["expected"]["nodes"].as_array().unwrap().iter().map(id).collect();
    let mut zeros = false;
    // What must be there: under masks everything.
    let kept = |(_, number): &(usize, f64)| path == Path::Masked || *number != 0.0;
    for connection in case["expected"]["connections"].as_array().unwrap() {
        let source = id(&connection["source"]);
        let mut by_layer: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
        for target in connection["targets"].as_array().unwrap() {
            let (layer, concept) = id(target);
            assert!(expected.contains(&id(target)), "{what}: {target} is no node");
            by_layer.entry(names(&layer)).or_default().push((concept, target[2].as_f64().unwrap()));
            zeros |= target[2].as_f64() == Some(0.0);
        }
        for (layer, targets) in by_layer {
            let found = ours.remove(&((names(&source.0), source.1), layer.clone())).unwrap_or_default();
            let with_relevance: Vec<(usize, f64)> = targets.iter().copied().filter(kept).collect();
            if found.len() < with_relevance.len() || found.len() > targets.len() {
                failures.push(format!("{what}: {source:?} to {layer}: {found:?} instead of {targets:?}"));
                continue;
            }
            let (first, rest) = found.split_at(with_relevance.len());
            let ids = |list: &[(usize, f64)]| list.iter().map(|(id, _)| *id).collect::<Vec<_>>();
            if ids(first) != ids(&with_relevance) {
                failures.push(format!("{what}: {source:?} to {layer}: {:?} instead of {targets:?}", ids(first)));
            }
            let worst = with_relevance.last().map_or(0.0, |(_, number)| *number);
            if rest.iter().any(|(_, number)| *number > worst) {
                failures.push(format!("{what}: {source:?} to {layer} has {rest:?} behind {worst}"));
            }
            same.extend(first.iter().map(|(_, number)| *number as f32));
            golden.extend(with_relevance.iter().map(|(_, number)| *number as f32));
        }
    }
    if path == Path::Masked {
        let expected: BTreeSet<Id> = expected.iter().map(|(layer, concept)| (names(layer), *concept)).collect();
        assert_eq!(nodes, expected, "{what}");
    }
    // What the peer does not expand came in the place of its zeros.
    if !ours.is_empty() && (path == Path::Masked || !zeros) {
        failures.push(format!("{what}: has edges from {:?} besides", ours.keys()));
    }
    let tolerance = tolerance(case, oracle.merged_batch_norms(case));
    failures.extend(differ(&same, &golden, tolerance).map(|difference| format!("{what}: {difference}")));
    failures
}

#[test]
fn graphs_of_concepts_equal_the_reference() {
    let (mut cases, mut failures) = (0, Vec::new());
    for name in MODELS {
        let oracle = Oracle::load(name);
        for case in oracle.cases("attribution_graph") {
            cases += 1;
            failures.extend(compare(&oracle, case, Path::Masked));
            if CHAINS.contains(&name) {
                failures.extend(compare(&oracle, case, Path::Whole));
                failures.extend(compare(&oracle, case, Path::RootAndCurrent));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 22, "the oracle has 22 cases");
}
