//! An explained sample as a page, as text and as JSON: what `glocal report` and `glocal demo` show.

use std::path::Path;

use glocal::model::Model;
use glocal::search::{Entry, Measure};
use glocal_kit::explain::{ConceptFindings, Findings, Illustration, ReferenceFindings};
use glocal_kit::picture::{ColorMap, PictureError};
use glocal_kit::report::Report;
use glocal_kit::store::{Agreement, Manifest, StoreError};
use serde_json::{Value, json};

use crate::commands::references::measure_name;
use crate::stored::Stored;

/// How many characters of a hash people are shown.
const SHORT_HASH: usize = 12;

/// How many classes the text names.
const CLASSES: usize = 3;

/// An explained sample, and what its words need.
pub struct Explained<'a> {
    /// What was found.
    pub findings: &'a Findings,
    /// The model.
    pub model: &'a Model,
    /// The names of the classes.
    pub classes: Option<&'a [String]>,
    /// What the sample really is, where that is known.
    pub truth: Option<u32>,
    /// RelMax beside ActMax, of each layer that was explained.
    pub agreements: Vec<Agreement>,
}

/// RelMax beside ActMax, of each layer that was explained.
pub fn agreements(findings: &Findings, stored: &Stored) -> Result<Vec<Agreement>, StoreError> {
    findings.layers.iter().map(|layer| stored.store.agreement(&layer.layer)).collect()
}

impl Explained<'_> {
    /// The report's tree.
    pub fn page(&self, stored: &Stored, store: &Path, color_map: &ColorMap) -> Result<Report, PictureError> {
        let illustration = self.illustration(color_map);
        let target = illustration.class(self.findings.target);
        let predicted = illustration.class(self.findings.predicted);
        let title = match self.findings.target == self.findings.predicted {
            true => format!("Why {target}?"),
            false => format!("What speaks for {target}?"),
        };
        let truth = match self.truth {
            Some(truth) if truth as usize == self.findings.predicted => ", as it is labelled".to_owned(),
            Some(truth) => format!(", and it is labelled {}", illustration.class(truth as usize)),
            None => String::new(),
        };
        Ok(Report {
            title,
            subtitle: format!("The model predicts {predicted} for {}{truth}.", self.findings.sample.name),
            facts: facts(stored, store),
            color_map: color_map.clone(),
            explanation: Some(self.findings.illustrate(&illustration)?),
            agreements: self.agreements.clone(),
            notes: notes(stored.store.manifest()),
        })
    }

    fn illustration<'i>(&'i self, color_map: &ColorMap) -> Illustration<'i> {
        Illustration {
            color_map: color_map.clone(),
            classes: self.classes,
            probability: self.model.graph().node(self.model.output()).op.kind(),
            ..Illustration::default()
        }
    }

    /// A few lines for people.
    pub fn text(&self) -> String {
        let findings = self.findings;
        let probabilities = self.illustration(&ColorMap::default()).probabilities(&findings.scores);
        let mut text = String::new();
        for class in findings.strongest(CLASSES) {
            let name =
                self.classes.and_then(|names| names.get(class)).map(|name| format!(" {name}")).unwrap_or_default();
            let (logit, percent) = (findings.scores[class], probabilities[class] * 100.0);
            text += &format!("  class {class}{name}: logit {logit:.4}, probability {percent:.1} %\n");
        }
        for layer in &findings.layers {
            let concepts =
                layer.concepts.iter().map(|concept| format!("{} ({:.1} %)", concept.id, concept.share * 100.0));
            let concepts = concepts.collect::<Vec<_>>().join(", ");
            let others = layer.rest.as_ref().map(|rest| {
                let size = (rest.supporting - rest.opposing) * 100.0;
                format!("; all {} others {size:.1} %", rest.count)
            });
            text += &format!("  most relevant channels of {}: {concepts}{}\n", layer.layer, others.unwrap_or_default());
        }
        text
    }

    /// The same for machines, in full.
    pub fn document(&self) -> Value {
        let findings = self.findings;
        let probabilities = self.illustration(&ColorMap::default()).probabilities(&findings.scores);
        let class = |class: usize| {
            json!({
                "class": class,
                "name": self.classes.and_then(|names| names.get(class)),
                "logit": findings.scores[class],
                "probability": probabilities[class],
            })
        };
        let layers = findings.layers.iter().zip(&self.agreements).map(|(layer, agreement)| {
            let concepts = layer.concepts.iter().map(concept_document).collect::<Vec<_>>();
            let rest = layer
                .rest
                .as_ref()
                .map(|rest| json!({ "count": rest.count, "supporting": rest.supporting, "opposing": rest.opposing }));
            json!({ "layer": layer.layer, "count": layer.count, "concepts": concepts, "rest": rest,
                "relevance_and_activation": agreement_document(agreement) })
        });
        json!({
            "sample": findings.sample.name,
            "label": self.truth,
            "predicted": class(findings.predicted),
            "target": class(findings.target),
            "predictions": findings.strongest(findings.scores.len()).map(class).collect::<Vec<_>>(),
            "layers": layers.collect::<Vec<_>>(),
        })
    }
}

fn agreement_document(agreement: &Agreement) -> Value {
    json!({
        "overlap": agreement.overlap(),
        "overlap_by_chance": agreement.overlap_by_chance(),
        "correlation_of_means": agreement.correlation(),
        "never_positive": agreement.dead,
    })
}

fn concept_document(concept: &ConceptFindings) -> Value {
    let entries = |found: &[ReferenceFindings], measure| {
        found.iter().map(|found| entry_document(&found.entry, measure)).collect::<Vec<_>>()
    };
    json!({
        "concept": concept.id,
        "share": concept.share,
        "by_relevance": entries(&concept.by_relevance, Measure::Relevance),
        "by_activation": entries(&concept.by_activation, Measure::Activation),
    })
}

fn entry_document(entry: &Entry, measure: Measure) -> Value {
    json!({ "sample": entry.sample.0, "target": entry.target, measure_name(measure): entry.score })
}

/// What the reader has to know to repeat this.
fn facts(stored: &Stored, store: &Path) -> Vec<(String, String)> {
    let manifest = stored.store.manifest();
    let file = |path: &str| {
        let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| path.to_owned())
    };
    let hash = manifest.model.blake3.get(..SHORT_HASH).unwrap_or(&manifest.model.blake3);
    let layers = manifest.layers.len();
    let composite = stored.sources.composite.trim();
    let rules = if composite.contains('\n') { &manifest.composite.name } else { composite }.to_owned();
    let concepts: usize = manifest.layers.iter().map(|layer| layer.concepts).sum();
    [
        ("Model", format!("{}, BLAKE3 {hash}…", file(&stored.sources.model))),
        ("Rules", rules),
        ("Reference samples", format!("{}: {}", file(&stored.sources.data), manifest.data.description)),
        ("Store", format!("{}: {concepts} concepts of {layers} layers", store.display())),
        ("Glocal", env!("CARGO_PKG_VERSION").to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn notes(manifest: &Manifest) -> Vec<String> {
    let options = &manifest.options;
    vec![
        format!(
            "Reference samples by relevance are ranked by the concept's relevance for the sample's target (target: {}; score: {}), \
             those by activation by its activation (score: {}). The numbers below them are these scores.",
            options.targets, options.relevance, options.activation
        ),
        "Below each reference sample the same sample is darkened where the concept is not: for those by relevance, by what \
         was useful for their target; for those by activation, by what made the concept active."
            .to_owned(),
    ]
}
