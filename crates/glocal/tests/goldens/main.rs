//! Golden values of the reference libraries: see `tests/oracle/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attribution_graph;
mod attributors;
mod concepts;
mod model_graph;
mod reference_samples;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glocal::attribution::{Attributor, Condition, Initial, Pairing, Request, Scope, Target};
use glocal::concept::Selection;
use glocal::model::Model;
use serde_json::Value;
use support::{MODELS, Oracle, composite, tolerance};

#[test]
fn relevance_equals_the_reference_rules() {
    let mut failures = Vec::new();
    let (mut cases, mut skipped) = (0, BTreeMap::new());
    for name in MODELS {
        let oracle = Oracle::load(name);
        for case in oracle.cases("rule") {
            match oracle.rule_case(case) {
                Ok(found) => {
                    cases += 1;
                    failures.extend(found);
                }
                Err(missing) => *skipped.entry(missing).or_insert(0) += 1,
            }
        }
    }
    assert!(skipped.is_empty(), "not understood: {skipped:?}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 279, "the oracle has 279 cases for these models");
}

impl Oracle {
    pub fn attributor(&self, case: &Value) -> Result<Attributor, String> {
        let composite = composite(&case["composite"], &self.layers)?;
        let model = match case["canonizers"].as_array().map(Vec::as_slice) {
            Some([]) => self.model.clone(),
            _ => Arc::clone(&self.merged),
        };
        Attributor::new(model, composite).map_err(|error| format!("{}: {error}", case["id"]))
    }

    fn rule_case(&self, case: &Value) -> Result<Vec<String>, String> {
        let attributor = self.attributor(case)?;
        let (initial, conditions) = starts(case, attributor.model());
        let expected = &case["expected"];
        let file = expected["file"].as_str().unwrap();
        let empty = serde_json::Map::new();
        let layers = expected["layers"].as_object().unwrap_or(&empty);
        let record = layers.keys().map(|layer| self.node_of(layer)).collect();
        let request = Request { conditions, pairing: Pairing::Zip, initial, record, ..Request::default() };
        let attributions = attributor.attribute(&self.inputs, &request).map_err(|error| error.to_string())?;
        let tolerance = tolerance(case, 0);
        let mut failures = Vec::new();
        let mut check = |what: &str, ours: Vec<f32>, name: &Value| {
            let golden = self.tensor(file, name.as_str().unwrap());
            if let Some(failure) = support::differ(&ours, &golden.1, tolerance) {
                failures.push(format!("{} {} {what}: {failure}", self.name, case["id"]));
            }
        };
        let rows = |of: &dyn Fn(&glocal::attribution::Attribution) -> Vec<f32>| -> Vec<f32> {
            attributions.items.iter().flat_map(of).collect()
        };
        let mut input = rows(&|item| item.input.clone().unwrap().into_data());
        if case["postprocess"] != Value::Null {
            assert_eq!(case["id"], "gradient_times_input");
            input.iter_mut().zip(self.inputs.data()).for_each(|(gradient, x)| *gradient *= x);
        }
        check("input", input, &expected["input"]);
        for (layer, name) in layers {
            let node = self.node_of(layer);
            let ours = rows(&|item| item.layers.get(&node).map(|tensor| tensor.data().to_vec()).unwrap_or_default());
            check(layer, ours, name);
        }
        Ok(failures)
    }
}

/// The relevance that starts, and the target of each sample.
fn starts(case: &Value, model: &Model) -> (Initial, Vec<Condition>) {
    let init = &case["init"];
    if init["kind"] == "ones" {
        return (Initial::One, vec![Condition::everything(); 3]);
    }
    let initial = if init["kind"] == "onehot" { Initial::One } else { Initial::Value };
    let class = |target: &Value| match target.as_array() {
        None => Condition::class(target.as_u64().unwrap() as usize),
        // One pixel of a map.
        Some(index) => {
            let index = index.iter().map(|index| index.as_u64().unwrap() as usize);
            let flat = index.zip(model.output_shape()).fold(0, |flat, (index, size)| flat * size + index);
            let target = Target::Some(Selection::neurons([flat]));
            Condition { target, ..Condition::everything() }
        }
    };
    (initial, init["targets"].as_array().unwrap().iter().map(class).collect())
}

#[test]
fn conditional_relevance_equals_the_reference() {
    let mut failures = Vec::new();
    let (mut cases, mut skipped) = (0, Vec::new());
    for name in MODELS {
        let oracle = Oracle::load(name);
        for case in oracle.cases("crp") {
            match oracle.crp_case(case) {
                Ok(found) => {
                    cases += 1;
                    failures.extend(found);
                }
                Err(missing) => skipped.push(missing),
            }
        }
    }
    assert!(skipped.is_empty(), "not understood: {skipped:?}");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 146, "the oracle has 146 cases for these models");
}

impl Oracle {
    fn crp_case(&self, case: &Value) -> Result<Vec<String>, String> {
        let attributor = self.attributor(case)?;
        let model: &Model = attributor.model();
        let rows: Vec<usize> =
            case["input"]["rows"].as_array().unwrap().iter().map(|row| row.as_u64().unwrap() as usize).collect();
        let inputs = support::rows(&self.inputs, &rows);
        let conditions: Vec<Condition> = case["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|condition| self.condition(model, condition.as_array().unwrap()))
            .collect();
        let initial = match case["init_rel"]["kind"].as_str() {
            None => Initial::Value,
            Some("int") => Initial::Constant(case["init_rel"]["value"].as_f64().unwrap() as f32),
            Some("abs") => Initial::Function(Arc::new(|value| {
                let data = value.data().iter().map(|value| value.abs()).collect();
                glocal_compute::Tensor::new(value.shape(), data).unwrap()
            })),
            Some("tensor") => {
                let (shape, data) = self.tensor("crp.safetensors", case["init_rel"]["tensor"].as_str().unwrap());
                Initial::Given(glocal_compute::Tensor::new(shape, data).unwrap())
            }
            Some(other) => return Err(format!("initial relevance {other}")),
        };
        // The peer also reports the conditioned layers themselves.
        let mut record: BTreeSet<&str> =
            case["record_layer"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        record.extend(
            case["expected"]["relevances"].as_object().into_iter().flat_map(|layers| layers.keys()).map(String::as_str),
        );
        let start = case["start_layer"].as_str().map(|layer| self.node_of(layer));
        let zip = rows.len() == conditions.len();
        let isolated = case["exclude_parallel"].as_bool().unwrap();
        let request = Request {
            conditions,
            pairing: if zip { Pairing::Zip } else { Pairing::Product },
            scope: if isolated { Scope::Isolated } else { Scope::Whole },
            start: start.clone(),
            initial,
            record: record.iter().map(|layer| self.node_of(layer)).collect(),
            ..Request::default()
        };
        let attributions =
            attributor.attribute(&inputs, &request).map_err(|error| format!("{}: {error}", case["id"]))?;
        let expected = &case["expected"];
        let file = expected["file"].as_str().unwrap();
        let merged = self.merged_batch_norms(case);
        let tolerance = tolerance(case, merged);
        let mut failures = Vec::new();
        let mut check = |what: &str, ours: Vec<f32>, name: &Value| {
            let Some(name) = name.as_str() else { return };
            let golden = self.tensor(file, name);
            if let Some(failure) = support::differ(&ours, &golden.1, tolerance) {
                failures.push(format!("{} {} {what}: {failure}", self.name, case["id"]));
            }
        };
        let stacked = |of: &dyn Fn(&glocal::attribution::Attribution) -> Vec<f32>| -> Vec<f32> {
            attributions.items.iter().flat_map(of).collect()
        };
        // The peer sums feature vectors away; ours keeps their features.
        let features = model.input_shape().len() == 1;
        let heatmap = |item: &glocal::attribution::Attribution| {
            let heatmap = item.heatmap().unwrap().into_data();
            if features { vec![heatmap.iter().sum()] } else { heatmap }
        };
        check("heatmap", stacked(&heatmap), &expected["heatmap"]);
        check("input", stacked(&|item| item.input.clone().unwrap().into_data()), &expected["input_relevance"]);
        if start.is_none() {
            let prediction = stacked(&|item| attributions.prediction.row(item.sample).to_vec());
            let golden = self.tensor(file, expected["prediction"].as_str().unwrap());
            let per_item = if golden.1.len() == attributions.prediction.len() {
                attributions.prediction.data().to_vec()
            } else {
                prediction
            };
            check("prediction", per_item, &expected["prediction"]);
        }
        let zeros: Vec<&str> = case["all_zero_records"]
            .as_array()
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        for (layer, name) in expected["relevances"].as_object().into_iter().flatten() {
            // The peer reports zeros above the conditioned layers; ours reports what arrives, or nothing.
            if zeros.contains(&layer.as_str()) {
                continue;
            }
            let node = self.node_of(layer);
            let len: usize = model.graph().node(model.layer(&node).unwrap()).shape.iter().product();
            let ours = stacked(&|item| item.layers.get(&node).map_or(vec![0.0; len], |tensor| tensor.data().to_vec()));
            check(layer, ours, name);
        }
        for (layer, name) in expected["activations"].as_object().into_iter().flatten() {
            let node = self.node_of(layer);
            let golden = self.tensor(file, name.as_str().unwrap());
            let ours = &attributions.activations[&node];
            let ours = if golden.1.len() == ours.len() {
                ours.data().to_vec()
            } else {
                stacked(&|item| ours.row(item.sample).to_vec())
            };
            check(&format!("activation {layer}"), ours, name);
        }
        Ok(failures)
    }

    fn condition(&self, model: &Model, entries: &[Value]) -> Condition {
        let mut condition = Condition { target: Target::Everything, layers: Vec::new() };
        let numbers = |ids: &Value| -> Vec<usize> {
            ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as usize).collect()
        };
        for entry in entries {
            let (layer, ids) = (entry[0].as_str().unwrap(), &entry[1]);
            if layer == "y" {
                condition.target = Target::Some(Selection::channels(numbers(ids)));
                continue;
            }
            let node = self.node_of(layer);
            let selection = match ids.as_object() {
                None => Selection::channels(numbers(ids)),
                Some(by_channel) => {
                    let shape = &model.graph().node(model.layer(&node).unwrap()).shape;
                    let plane: usize = shape[1..].iter().product();
                    let neurons = by_channel.iter().flat_map(|(channel, positions)| {
                        let channel: usize = channel.parse().unwrap();
                        numbers(positions).into_iter().map(move |position| channel * plane + position)
                    });
                    Selection::neurons(neurons)
                }
            };
            condition.layers.push((node, selection));
        }
        condition
    }
}
