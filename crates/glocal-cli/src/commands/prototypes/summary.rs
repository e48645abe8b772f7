//! Prototypes and judgements as text and as JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use glocal::prototype::{ClassPrototypes, Prototype, largest};
use glocal_kit::explain::caption_number;
use glocal_kit::store::StoredSample;
use serde_json::{Value, json};

use super::judged::Judged;
use super::{Fitted, OUTLIER, key};
use crate::stored::class_name;
use crate::table::{Align, printable, table};

/// What words need.
pub struct Words<'a> {
    /// The layer.
    pub layer: &'a str,
    /// The names of the classes.
    pub names: Option<&'a [String]>,
    /// The samples of the store.
    pub samples: &'a [StoredSample],
    /// Whether relevance is a share of its sample's.
    pub shares: bool,
    /// How many concepts are shown.
    pub concepts: usize,
}

/// Where the pictures of classes are.
pub type Pictures = BTreeMap<u32, PathBuf>;

impl Words<'_> {
    /// A relevance.
    pub fn number(&self, value: f64) -> String {
        if self.shares { format!("{:.1} %", value * 100.0) } else { caption_number(value as f32) }
    }

    /// A difference of relevances.
    pub fn signed(&self, value: f64) -> String {
        if value < 0.0 { self.number(value) } else { format!("+{}", self.number(value)) }
    }

    /// The name of a class.
    pub fn class(&self, class: u32) -> String {
        class_name(self.names, class as usize)
    }

    /// The prototypes of classes, and those `left_out` as they have no vector that can be used, for people.
    pub fn classes_text(&self, fitted: &Fitted, left_out: &[u32], pictures: &Pictures) -> String {
        let header = [
            ("prototype", Align::Right),
            ("share", Align::Right),
            ("samples", Align::Right),
            ("nearest", Align::Right),
            ("name", Align::Left),
            ("most relevant channels", Align::Left),
            ("more than other prototypes", Align::Left),
        ];
        let mut text = String::new();
        for (class, prototypes) in fitted {
            let rows: Vec<[String; 7]> = prototypes
                .prototypes()
                .iter()
                .enumerate()
                .map(|(index, prototype)| {
                    [
                        index.to_string(),
                        format!("{:.1} %", prototype.weight * 100.0),
                        prototype.members.to_string(),
                        prototype.sample.0.to_string(),
                        key(self.samples, prototype.sample.0).to_owned(),
                        self.concepts_text(&prototype.mean, |value| self.number(value)),
                        self.concepts_text(&prototype.contrast, |value| self.signed(value)),
                    ]
                })
                .collect();
            let (name, count) = (printable(&self.class(*class)), prototypes.samples());
            text += &format!("{}, {name}: {}\n{}", self.layer, counted(count), table(header, &rows));
            if let Some(warning) = too_few(prototypes) {
                text += &format!("{warning}\n");
            }
            if prototypes.unusable() > 0 {
                text += &format!("{} vectors were empty or no numbers, and are left out\n", prototypes.unusable());
            }
            if let Some(path) = pictures.get(class) {
                text += &format!("picture: {}\n", path.display());
            }
            text.push('\n');
        }
        if !left_out.is_empty() {
            let names: Vec<String> = left_out.iter().map(|class| printable(&self.class(*class))).collect();
            text += &format!("left out, as all their vectors are empty or no numbers: {}\n", names.join(", "));
        }
        text.trim_end().to_owned()
    }

    fn concepts_text(&self, values: &[f64], number: impl Fn(f64) -> String) -> String {
        let concepts = largest(values, self.concepts).into_iter();
        concepts.map(|id| format!("{id} ({})", number(values[id]))).collect::<Vec<_>>().join(", ")
    }

    /// The same for machines.
    pub fn classes_document(&self, fitted: &Fitted, left_out: &[u32], pictures: &Pictures) -> Value {
        let class = |(class, prototypes): (&u32, &ClassPrototypes)| {
            let prototype = |(index, prototype)| self.prototype_document(index, prototype);
            json!({
                "class": class,
                "name": self.names.and_then(|names| names.get(*class as usize)),
                "samples": prototypes.samples(),
                "unusable": prototypes.unusable(),
                "least_p_value": least(prototypes),
                "prototypes": prototypes.prototypes().iter().enumerate().map(prototype).collect::<Vec<_>>(),
                "picture": pictures.get(class).map(|path| path.to_string_lossy()),
            })
        };
        let classes: Vec<Value> = fitted.iter().map(class).collect();
        json!({ "layer": self.layer, "classes": classes, "left_out": left_out })
    }

    fn prototype_document(&self, index: usize, prototype: &Prototype) -> Value {
        let concepts = |ids: Vec<usize>| {
            let concept = |id: usize| {
                json!({
                    "concept": id,
                    "mean": prototype.mean[id],
                    "deviation": prototype.deviation[id],
                    "contrast": prototype.contrast[id],
                })
            };
            ids.into_iter().map(concept).collect::<Vec<_>>()
        };
        json!({
            "prototype": index,
            "share": prototype.weight,
            "samples": prototype.members,
            "sample": prototype.sample.0,
            "key": key(self.samples, prototype.sample.0),
            "most_relevant": concepts(largest(&prototype.mean, self.concepts)),
            "more_than_others": concepts(largest(&prototype.contrast, self.concepts)),
        })
    }

    /// Judgements, for people.
    pub fn judged_text(&self, judged: &[Judged], fitted: &Fitted) -> String {
        let header = [
            ("input", Align::Left),
            ("predicted", Align::Left),
            ("p", Align::Right),
            ("", Align::Left),
            ("prototype", Align::Right),
            ("nearest", Align::Right),
            ("differs most in channels", Align::Left),
        ];
        let row = |judged: &Judged| {
            let (p, verdict) = judged.verdict();
            let found = judged.judgement.as_ref().zip(fitted.get(&judged.predicted));
            let differences = found.as_ref().map_or_else(String::new, |(judgement, _)| {
                let ids = judged.differing(self.concepts).into_iter();
                let texts = ids.map(|id| format!("{id} ({})", self.signed(judgement.difference[id])));
                texts.collect::<Vec<_>>().join(", ")
            });
            let nearest = found.map(|(judgement, prototypes)| {
                (judgement.nearest.to_string(), prototypes.prototypes()[judgement.nearest].sample.0.to_string())
            });
            let (prototype, sample) = nearest.unwrap_or_default();
            [judged.name.clone(), self.class(judged.predicted), p, verdict.to_owned(), prototype, sample, differences]
        };
        let rows: Vec<[String; 7]> = judged.iter().map(row).collect();
        let mut text = format!("{}\n{}", self.layer, table(header, &rows));
        text += "p: the part of the class's own samples that are at least as unlikely\n";
        for path in judged.iter().filter_map(|judged| judged.picture.as_ref()) {
            text += &format!("picture: {}\n", path.display());
        }
        text
    }

    /// The same for machines.
    pub fn judged_document(&self, judged: &[Judged], fitted: &Fitted) -> Value {
        let document = |judged: &Judged| {
            let found = judged.judgement.as_ref().zip(fitted.get(&judged.predicted));
            let judgement = found.map(|(judgement, prototypes)| {
                let prototype = &prototypes.prototypes()[judgement.nearest];
                let difference = |id: usize| {
                    json!({
                        "concept": id,
                        "relevance": judged.relevance[id],
                        "mean": prototype.mean[id],
                        "difference": judgement.difference[id],
                        "deviations": judgement.deviations[id],
                    })
                };
                json!({
                    "p_value": judgement.p_value,
                    "least_p_value": least(prototypes),
                    "outlier": judged.is_outlier(),
                    "log_likelihood": judgement.log_likelihood,
                    "prototype": judgement.nearest,
                    "membership": judgement.membership,
                    "sample": prototype.sample.0,
                    "key": key(self.samples, prototype.sample.0),
                    "differences": judged.differing(self.concepts).into_iter().map(difference).collect::<Vec<_>>(),
                })
            });
            json!({
                "input": judged.name,
                "predicted": judged.predicted,
                "name": self.names.and_then(|names| names.get(judged.predicted as usize)),
                "judgement": judgement,
                "picture": judged.picture.as_ref().map(|path| path.to_string_lossy()),
            })
        };
        json!({ "layer": self.layer, "inputs": judged.iter().map(document).collect::<Vec<_>>() })
    }
}

/// The least p-value that a class can give.
pub fn least(prototypes: &ClassPrototypes) -> f64 {
    1.0 / (prototypes.samples() + 1) as f64
}

/// So many samples.
pub fn counted(samples: usize) -> String {
    if samples == 1 { "1 sample".to_owned() } else { format!("{samples} samples") }
}

/// What a class of few samples cannot do.
pub fn too_few(prototypes: &ClassPrototypes) -> Option<String> {
    let fewest = (1.0 / OUTLIER).round() as usize - 1;
    (prototypes.samples() < fewest)
        .then(|| format!("too few samples to tell outliers by: at least {fewest} are needed for one in twenty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_prototypes_are_named() {
        let words = Words { layer: "conv", names: None, samples: &[], shares: true, concepts: 1 };
        let text = words.classes_text(&Fitted::new(), &[5, 7], &Pictures::new());
        assert_eq!(text, "left out, as all their vectors are empty or no numbers: class 5, class 7");
        assert_eq!(words.classes_document(&Fitted::new(), &[5], &Pictures::new())["left_out"], json!([5]));
        assert_eq!(words.classes_text(&Fitted::new(), &[], &Pictures::new()), "");
    }
}
