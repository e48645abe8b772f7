//! What a model says about a sample, before any of it is explained.

use glocal::model::Model;
use glocal::op::OpKind;
use glocal_compute::Tensor;
use glocal_kit::loading::ClassNames;
use serde_json::{Value, json};

use crate::table::printable;

/// How many classes are shown of a sample.
const SHOWN: usize = 3;

/// The most likely classes of one sample, the most likely first.
#[derive(Debug)]
pub struct Predictions(Vec<Prediction>);

#[derive(Debug)]
struct Prediction {
    class: usize,
    name: Option<String>,
    logit: f32,
    /// `None` where the output is no row of several classes.
    probability: Option<f64>,
}

impl Predictions {
    /// Of each sample of the explained output `[N, ...]`; empty for outputs that are no row of classes.
    ///
    /// Probabilities are the softmax of the logits, or their sigmoid where the model ends in one.
    pub fn of(model: &Model, output: &Tensor, names: Option<&ClassNames>) -> Vec<Self> {
        let sigmoid = model.graph().node(model.output()).op.kind() == OpKind::Sigmoid;
        (0..output.batch())
            .map(|sample| match output.sample_shape() {
                [_] => Self::of_logits(output.row(sample), sigmoid, names),
                _ => Self(Vec::new()),
            })
            .collect()
    }

    fn of_logits(logits: &[f32], sigmoid: bool, names: Option<&ClassNames>) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let power = |logit: f32| (f64::from(logit) - f64::from(largest)).exp();
        let total: f64 = logits.iter().map(|&logit| power(logit)).sum();
        let probability = |logit: f32| match (sigmoid, logits.len()) {
            (true, _) => Some(1.0 / (1.0 + (-f64::from(logit)).exp())),
            (false, 1) => None,
            _ => Some(power(logit) / total),
        };
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        let of_class = |class: usize| Prediction {
            class,
            name: names.and_then(|names| names.get(class)).map(str::to_owned),
            logit: logits[class],
            probability: probability(logits[class]),
        };
        Self(order.into_iter().take(SHOWN).map(of_class).collect())
    }

    /// A line a class.
    pub fn text(&self) -> String {
        let line = |prediction: &Prediction| {
            let Prediction { class, name, logit, probability } = prediction;
            let name = name.as_ref().map(|name| format!(" {}", printable(name))).unwrap_or_default();
            let probability = probability.map(|p| format!(", probability {:.1} %", p * 100.0)).unwrap_or_default();
            format!("  class {class}{name}: logit {logit:.4}{probability}\n")
        };
        self.0.iter().map(line).collect()
    }

    /// The most likely class.
    pub fn best(&self) -> Option<usize> {
        self.0.first().map(|prediction| prediction.class)
    }

    /// A list for machines.
    pub fn document(&self) -> Value {
        let entry = |prediction: &Prediction| {
            let Prediction { class, name, logit, probability } = prediction;
            json!({ "class": class, "name": name, "logit": logit, "probability": probability })
        };
        self.0.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(logits: &[f32], sigmoid: bool) -> Vec<(usize, Option<f64>)> {
        let Predictions(list) = Predictions::of_logits(logits, sigmoid, None);
        list.iter().map(|prediction| (prediction.class, prediction.probability)).collect()
    }

    #[test]
    fn the_most_likely_classes_come_first_and_ties_by_index() {
        let classes: Vec<usize> = shown(&[0.0, 2.0, 1.0, 2.0], false).iter().map(|(class, _)| *class).collect();
        assert_eq!(classes, [1, 3, 2]);
    }

    #[test]
    fn probabilities_are_those_of_the_models_end() {
        assert_eq!(shown(&[1000.0, 1000.0], false), [(0, Some(0.5)), (1, Some(0.5))]);
        assert_eq!(shown(&[0.0], true), [(0, Some(0.5))]);
        assert_eq!(shown(&[3.0], false), [(0, None)]);
    }
}
