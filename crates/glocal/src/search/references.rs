//! What a search has found so far.

use std::collections::BTreeMap;

use crate::search::{Entry, Observation, Scan, TopK};

/// Which score ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Relevance: Relevance Maximization (RelMax).
    Relevance,
    /// Activation: Activation Maximization (ActMax).
    Activation,
}

/// The reference samples of all concepts of all layers.
#[derive(Debug, Clone, PartialEq)]
pub struct References {
    top_k: usize,
    layers: Vec<LayerReferences>,
    samples: u64,
}

/// The reference samples of one layer's concepts.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerReferences {
    /// The layer's name.
    pub layer: String,
    /// One for each concept.
    pub concepts: Vec<ConceptReferences>,
}

/// The reference samples of one concept.
#[derive(Debug, Clone, PartialEq)]
pub struct ConceptReferences {
    /// The best samples by relevance.
    pub relevance: TopK,
    /// The best samples by activation.
    pub activation: TopK,
    /// The best samples of each target by relevance.
    pub relevance_by_class: BTreeMap<u32, TopK>,
    /// The best samples of each target by activation.
    pub activation_by_class: BTreeMap<u32, TopK>,
    /// In how many samples the concept was active (any value other than zero): 0 marks a dead concept.
    pub active: u64,
    /// How many scores were NaN; they are not ranked.
    pub not_a_number: u64,
}

impl ConceptReferences {
    /// A concept of which nothing is known yet.
    pub fn new(top_k: usize) -> Self {
        Self {
            relevance: TopK::new(top_k),
            activation: TopK::new(top_k),
            relevance_by_class: BTreeMap::new(),
            activation_by_class: BTreeMap::new(),
            active: 0,
            not_a_number: 0,
        }
    }

    /// The ranking over all samples, or over those of one target; `None` when no sample had that target.
    pub fn ranking(&self, measure: Measure, class: Option<u32>) -> Option<&TopK> {
        match (measure, class) {
            (Measure::Relevance, None) => Some(&self.relevance),
            (Measure::Activation, None) => Some(&self.activation),
            (Measure::Relevance, Some(class)) => self.relevance_by_class.get(&class),
            (Measure::Activation, Some(class)) => self.activation_by_class.get(&class),
        }
    }

    /// Whether no sample ever activated the concept.
    pub fn is_dead(&self) -> bool {
        self.active == 0
    }

    fn merge(&mut self, other: &Self) {
        self.relevance.merge(&other.relevance);
        self.activation.merge(&other.activation);
        for (mine, theirs) in [
            (&mut self.relevance_by_class, &other.relevance_by_class),
            (&mut self.activation_by_class, &other.activation_by_class),
        ] {
            for (class, ranking) in theirs {
                mine.entry(*class).or_insert_with(|| TopK::new(ranking.k())).merge(ranking);
            }
        }
        self.active += other.active;
        self.not_a_number += other.not_a_number;
    }
}

impl References {
    /// Nothing found yet, for the layers of `scan`.
    pub fn for_scan(scan: &Scan) -> Self {
        let top_k = scan.options().top_k;
        let layers = scan.layers().map(|(layer, count)| LayerReferences {
            layer: layer.to_owned(),
            concepts: vec![ConceptReferences::new(top_k); count],
        });
        Self { top_k, layers: layers.collect(), samples: 0 }
    }

    /// What was read back from a store: `samples` were seen.
    pub fn from_parts(top_k: usize, layers: Vec<LayerReferences>, samples: u64) -> Self {
        Self { top_k, layers, samples }
    }

    /// How many entries each ranking keeps.
    pub fn top_k(&self) -> usize {
        self.top_k
    }

    /// How many samples were seen.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The layers, in the order of the search.
    pub fn layers(&self) -> &[LayerReferences] {
        &self.layers
    }

    /// The layer of that name.
    pub fn layer(&self, name: &str) -> Option<&LayerReferences> {
        self.layers.iter().find(|layer| layer.layer == name)
    }

    /// Takes in what was observed in a batch. Each (sample, target) must be given once.
    pub fn collect(&mut self, observations: &[Observation]) {
        for observation in observations {
            if observation.layer == 0 && observation.first {
                self.samples += 1;
            }
            let Some(layer) = self.layers.get_mut(observation.layer) else { continue };
            for (id, concept) in layer.concepts.iter_mut().enumerate() {
                concept.collect(observation, id, self.top_k);
            }
        }
    }

    /// Takes in what another collection over other samples of the same search has found.
    ///
    /// Associative and commutative, bit for bit.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.layers.iter_mut().zip(&other.layers) {
            for (mine, theirs) in mine.concepts.iter_mut().zip(&theirs.concepts) {
                mine.merge(theirs);
            }
        }
        self.samples += other.samples;
    }
}

impl ConceptReferences {
    fn collect(&mut self, observation: &Observation, id: usize, top_k: usize) {
        let (relevance, activation) = (observation.relevance.get(id).copied(), observation.activation.get(id).copied());
        let entry = |(score, peak): (f32, u32), other: Option<(f32, u32)>| Entry {
            sample: observation.sample,
            target: observation.target,
            score,
            other: other.map_or(0.0, |(score, _)| score),
            peak,
        };
        let class = observation.target;
        let ranking = || TopK::new(top_k);
        if let Some(score) = relevance {
            let entry = entry(score, activation);
            if self.relevance.insert(entry) {
                self.relevance_by_class.entry(class).or_insert_with(ranking).insert(entry);
            } else {
                self.not_a_number += 1;
            }
        }
        let Some(score) = activation else { return };
        let entry = entry(score, relevance);
        if score.0.is_nan() {
            self.not_a_number += u64::from(observation.first);
            return;
        }
        self.activation_by_class.entry(class).or_insert_with(ranking).insert(entry);
        if observation.first {
            self.activation.insert(entry);
            self.active += u64::from(observation.active.get(id) == Some(&true));
        }
    }
}
