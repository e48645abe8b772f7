//! What is printed: the concepts of each sample and layer.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Plan;
use crate::predictions::Predictions;
use crate::table::{Align, table};

/// All that was found.
pub struct Summary<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// In the order of the input.
    pub samples: Vec<Sample>,
    /// Where pictures are.
    pub out: Option<&'a Path>,
}

/// What was found about one sample.
#[derive(Debug)]
pub struct Sample {
    /// What the model says: one element.
    pub predictions: Vec<Predictions>,
    /// In the order in which they were asked for.
    pub layers: Vec<Layer>,
    /// The pictures of the target.
    pub files: Vec<PathBuf>,
}

/// The most relevant concepts of a layer.
#[derive(Debug)]
pub struct Layer {
    /// The layer.
    pub name: String,
    /// How many concepts it has.
    pub count: usize,
    /// The most relevant ones.
    pub concepts: Vec<Concept>,
}

/// A channel.
#[derive(Debug)]
pub struct Concept {
    /// Its number.
    pub id: usize,
    /// The sum of its relevance.
    pub relevance: f64,
    /// The same as a share of the sizes of all channels' relevances.
    pub share: f64,
    /// Its pictures.
    pub files: Vec<PathBuf>,
}

impl Summary<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut pictures = 0;
        for (index, sample) in self.samples.iter().enumerate() {
            text += &format!("{}\n", self.plan.files.name(index));
            text += &sample.predictions.iter().map(Predictions::text).collect::<String>();
            for layer in &sample.layers {
                let row = |concept: &Concept| {
                    let share = format!("{:.2} %", concept.share * 100.0);
                    [concept.id.to_string(), share, format!("{:.4e}", concept.relevance)]
                };
                let rows: Vec<[String; 3]> = layer.concepts.iter().map(row).collect();
                let header = [("channel", Align::Right), ("share", Align::Right), ("relevance", Align::Right)];
                text += &format!("\n{}, {} channels\n{}", layer.name, layer.count, table(header, &rows));
            }
            text.push('\n');
            let of_concepts = sample.layers.iter().flat_map(|layer| &layer.concepts);
            pictures += sample.files.len() + of_concepts.map(|concept| concept.files.len()).sum::<usize>();
        }
        if let Some(out) = self.out {
            text += &format!("wrote {pictures} pictures into {}\n", out.display());
        }
        text
    }

    /// For machines.
    pub fn document(&self) -> Value {
        let concept = |concept: &Concept| {
            let Concept { id, relevance, share, files } = concept;
            json!({ "id": id, "relevance": relevance, "share": share, "files": files })
        };
        let layer = |layer: &Layer| {
            let concepts: Vec<Value> = layer.concepts.iter().map(concept).collect();
            json!({ "layer": layer.name, "channels": layer.count, "concepts": concepts })
        };
        let sample = |(index, sample): (usize, &Sample)| {
            json!({
                "name": self.plan.files.name(index),
                "predictions": sample.predictions.first().map(Predictions::document),
                "layers": sample.layers.iter().map(layer).collect::<Vec<_>>(),
                "files": sample.files,
            })
        };
        json!({
            "model": self.plan.loaded.hash.to_string(),
            "composite": self.plan.attributor.composite().name(),
            "samples": self.samples.iter().enumerate().map(sample).collect::<Vec<_>>(),
            "output": self.out,
        })
    }
}
