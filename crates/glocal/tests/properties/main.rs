//! What holds for every model, rule and request: relevance is linear and accounted for, rows do not know each other,
//! sharing work changes nothing, and a mask is seen by nobody beside it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod canonizing;
#[path = "../dense/case.rs"]
#[allow(dead_code, reason = "shared with the dense tests, which use more of it")]
mod case;
mod concepts;
mod conservation;
#[path = "../../examples/custom_concept.rs"]
#[allow(dead_code, reason = "the example prints what it finds")]
mod custom_concept;
mod directions;
mod explaining;
mod flow;
mod gates;
mod independence;
mod known_faults;
mod layers;
mod linearity;
mod methods;
mod network;
mod patches;
mod planning;
#[path = "../dense/random.rs"]
#[allow(dead_code, reason = "shared with the dense tests, which use more of it")]
mod random;
mod reading;
mod refusal;
mod rerunning;
mod scope;
mod streaming;
#[path = "../goldens/support.rs"]
#[allow(dead_code, reason = "shared with the goldens, which use more of it")]
mod support;

use glocal::attribution::{Attribution, Attributor};
use glocal::canonizer::canonize;
use glocal::model::{Model, NodeId};
use glocal_compute::Tensor;
use proptest::prelude::{ProptestConfig, Strategy, any};
use safetensors::SafeTensors;
use support::MODELS as ALL_MODELS;

/// Those with a row of classes at the end.
const MODELS: [&str; 7] =
    ["mlp", "vgg_tiny", "resnet_tiny", "inception_tiny", "mobile_tiny", "conv1d_tiny", "parallel_linear"];

/// The presets that hand relevance on as a budget.
const BUDGETS: [&str; 4] =
    ["epsilon-plus", "epsilon-plus-flat", "epsilon-gamma-box:low=-3,high=3", "epsilon-alpha2-beta1"];

/// How many random cases a property is tried on. Failures are printed with what they were made of; no files are kept.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    // The variable PROPTEST_CASES asks for more.
    let cases = if default.cases == 256 { cases } else { default.cases };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

/// The choices that make an affine op at some samples, and more for what goes with it.
fn choices() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(any::<u64>(), 0..60)
}

/// Choices that are the same on every run.
fn numbers(seed: u64, count: usize) -> Vec<u64> {
    let mut random = random::Random::new(seed);
    (0..count).map(|_| random.within(0, 1 << 40) as u64).collect()
}

/// A model with its batch normalisations merged.
fn merged(name: &str) -> Model {
    canonize(&support::load_model(&support::folder(name).join("model.onnx"))).unwrap()
}

/// A model's three sample inputs.
fn inputs(name: &str) -> Tensor {
    let bytes = std::fs::read(support::folder(name).join("inputs.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("x").unwrap();
    let data = view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    Tensor::new(view.shape(), data).unwrap()
}

fn attributor(model: Model, composite: &str) -> Attributor {
    Attributor::new(model, composite.parse().unwrap()).unwrap()
}

/// A name of a node that finds it again.
fn name_of(model: &Model, id: NodeId) -> String {
    let name = model.graph().node(id).display_name().to_owned();
    assert_eq!(model.layer(&name).unwrap(), id, "{name}");
    name
}

/// The names of all nodes that the explained output depends on.
fn names(model: &Model) -> Vec<String> {
    let reached = model.graph().ancestors(model.explained());
    let ids = model.graph().nodes().map(|(id, _)| id).filter(|id| reached[id.index()]);
    ids.map(|id| name_of(model, id)).collect()
}

/// What differs between two attributions, if any bit does.
fn difference(a: &Attribution, b: &Attribution) -> Option<String> {
    let layers = |attribution: &Attribution| attribution.layers.keys().cloned().collect::<Vec<_>>();
    if layers(a) != layers(b) {
        return Some(format!("layers {:?} and {:?}", layers(a), layers(b)));
    }
    let other = |a: &Tensor, b: &Tensor| {
        if a.shape() != b.shape() {
            return Some(format!("shapes {:?} and {:?}", a.shape(), b.shape()));
        }
        let mut pairs = a.data().iter().zip(b.data()).enumerate();
        let (index, (a, b)) = pairs.find(|(_, (a, b))| a.to_bits() != b.to_bits())?;
        Some(format!("element {index} is {a:e} and {b:e}"))
    };
    for (name, relevance) in &a.layers {
        if let Some(what) = other(relevance, &b.layers[name]) {
            return Some(format!("layer {name}: {what}"));
        }
    }
    match (&a.input, &b.input) {
        (None, None) => None,
        (Some(a), Some(b)) => other(a, b).map(|what| format!("the input: {what}")),
        _ => Some("the input".to_owned()),
    }
}
