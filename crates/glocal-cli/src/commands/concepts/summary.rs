//! What is printed: the concepts of each sample and layer.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Plan;
use super::region::{Given, NamedRegion, Rectangle};
use crate::predictions::Predictions;
use crate::table::{Align, printable, table};

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
    /// The regions in their order, or the whole picture.
    pub parts: Vec<Part>,
    /// The picture of all of them.
    pub sheet: Option<PathBuf>,
}

/// The most relevant concepts of a region or of the whole picture.
#[derive(Debug)]
pub struct Part {
    /// Which region; `None` for the whole picture.
    pub region: Option<usize>,
    /// The part of the layer's relevance in the region, sizes added; `None` for the whole picture.
    pub held: Option<f64>,
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
    /// The part of its relevance that is in the region, sizes added; `None` for the whole picture.
    pub inside: Option<f64>,
    /// Its pictures.
    pub files: Vec<PathBuf>,
}

/// A share, with its sign.
pub fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

impl Summary<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, sample) in self.samples.iter().enumerate() {
            text += &format!("{}\n", printable(self.plan.files.name(index)));
            text += &sample.predictions.iter().map(Predictions::text).collect::<String>();
            for layer in &sample.layers {
                text += &format!("\n{}, {} channels\n", printable(&layer.name), layer.count);
                text += &layer.parts.iter().map(|part| self.part(part)).collect::<String>();
            }
            text.push('\n');
        }
        if let Some(out) = self.out {
            text += &format!("wrote {} pictures into {}\n", self.pictures(), out.display());
        }
        text
    }

    fn part(&self, part: &Part) -> String {
        let number = |share: f64| format!("{:.2} %", share * 100.0);
        let cells =
            |concept: &Concept| [concept.id.to_string(), number(concept.share), format!("{:.4e}", concept.relevance)];
        let right = |title| (title, Align::Right);
        let header = ["channel", "share", "relevance"].map(right);
        let Some((region, held)) = self.region(part).zip(part.held) else {
            let rows: Vec<[String; 3]> = part.concepts.iter().map(cells).collect();
            return table(header, &rows);
        };
        let [channel, share, relevance] = header;
        let row = |concept: &Concept| {
            let [id, share, relevance] = cells(concept);
            [id, share, relevance, concept.inside.map(number).unwrap_or_default()]
        };
        let rows: Vec<[String; 4]> = part.concepts.iter().map(row).collect();
        let given = printable(&region.given.to_string());
        format!("\n{} ({given}) holds {} of the layer's relevance\n", region.name, number(held))
            + &table([channel, share, relevance, right("of the channel")], &rows)
    }

    fn region(&self, part: &Part) -> Option<&NamedRegion> {
        part.region.and_then(|index| self.plan.regions.get(index))
    }

    /// How many pictures were written; regions share those of a channel.
    fn pictures(&self) -> usize {
        let of_sample = |sample: &Sample| {
            let layers = sample.layers.iter().map(|layer| {
                let files = layer.parts.iter().flat_map(|part| &part.concepts).flat_map(|concept| &concept.files);
                let mut files: Vec<&PathBuf> = files.chain(&layer.sheet).collect();
                files.sort_unstable();
                files.dedup();
                files.len()
            });
            sample.files.len() + layers.sum::<usize>()
        };
        self.samples.iter().map(of_sample).sum()
    }

    /// For machines.
    pub fn document(&self) -> Value {
        let sample = |(index, sample): (usize, &Sample)| {
            json!({
                "name": self.plan.files.name(index),
                "predictions": sample.predictions.first().map(Predictions::document),
                "layers": sample.layers.iter().map(|layer| self.layer(layer)).collect::<Vec<_>>(),
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

    /// With the concepts of the whole picture, or those of each region.
    fn layer(&self, layer: &Layer) -> Value {
        let concepts = |part: &Part| part.concepts.iter().map(concept).collect::<Vec<_>>();
        let mut document = json!({ "layer": layer.name, "channels": layer.count, "sheet": layer.sheet });
        let mut regions = Vec::new();
        for part in &layer.parts {
            match self.region(part) {
                None => document["concepts"] = json!(concepts(part)),
                Some(NamedRegion { name, given, .. }) => {
                    let mut region = json!({ "name": name, "held": part.held, "concepts": concepts(part) });
                    match given {
                        Given::Rectangle(Rectangle(x, y, width, height)) => {
                            region["rectangle"] = json!([x, y, width, height]);
                        }
                        Given::Mask(path) => region["mask"] = json!(path),
                    }
                    regions.push(region);
                }
            }
        }
        if !regions.is_empty() {
            document["regions"] = json!(regions);
        }
        document
    }
}

fn concept(concept: &Concept) -> Value {
    let Concept { id, relevance, share, inside, files } = concept;
    let mut document = json!({ "id": id, "relevance": relevance, "share": share, "files": files });
    if let Some(inside) = inside {
        document["of_channel"] = json!(inside);
    }
    document
}
