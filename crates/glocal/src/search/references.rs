//! What a search has found so far.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::search::{Entry, Observation, Scan, Statistics, TopK};

/// The memory, in bytes, of an entry of a ranking, with what its list has in reserve.
const ENTRY_BYTES: usize = size_of::<Entry>() * 3 / 2;

/// The memory, in bytes, of a ranking of a class without its entries: its place in the map, and what an allocation costs.
const RANKING_BYTES: usize = size_of::<(u32, TopK)>() * 3 / 2 + 16;

/// The fewest concepts that are worth another thread.
const CONCEPTS_AT_ONCE: usize = 16;

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
    /// About how many bytes the rankings take.
    held: usize,
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
    /// How activation and relevance are distributed.
    pub statistics: Statistics,
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
            statistics: Statistics::default(),
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

    /// Takes in what was found for the same concept in other samples.
    ///
    /// Associative and commutative, bit for bit.
    pub fn merge(&mut self, other: &Self) {
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
        self.statistics.merge(&other.statistics);
    }

    /// About how many bytes the rankings take.
    fn held(&self) -> usize {
        let by_class = self.relevance_by_class.values().chain(self.activation_by_class.values());
        let of_classes: usize = by_class.map(|ranking| RANKING_BYTES + ranking.entries().len() * ENTRY_BYTES).sum();
        of_classes + (self.relevance.entries().len() + self.activation.entries().len()) * ENTRY_BYTES
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
        Self { top_k, layers: layers.collect(), samples: 0, held: 0 }
    }

    /// What was read back from a store: `samples` were seen.
    pub fn from_parts(top_k: usize, layers: Vec<LayerReferences>, samples: u64) -> Self {
        let held = layers.iter().flat_map(|layer| &layer.concepts).map(ConceptReferences::held).sum();
        Self { top_k, layers, samples, held }
    }

    /// About how much memory the rankings take, in bytes.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Hands over all that was found, and begins anew.
    pub fn take(&mut self) -> Self {
        let layers = self.layers.iter().map(|layer| LayerReferences {
            layer: layer.layer.clone(),
            concepts: vec![ConceptReferences::new(self.top_k); layer.concepts.len()],
        });
        let empty = Self { top_k: self.top_k, layers: layers.collect(), samples: 0, held: 0 };
        std::mem::replace(self, empty)
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
        let top_k = self.top_k;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let of_layer: Vec<&Observation> =
                observations.iter().filter(|observation| observation.layer == index).collect();
            if index == 0 {
                self.samples += of_layer.iter().filter(|observation| observation.first).count() as u64;
            }
            let grown = layer.concepts.par_iter_mut().with_min_len(CONCEPTS_AT_ONCE).enumerate();
            let grown = grown.map(|(id, concept)| {
                of_layer.iter().map(|observation| concept.collect(observation, id, top_k)).sum::<usize>()
            });
            self.held += grown.sum::<usize>();
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
        self.held = self.layers.iter().flat_map(|layer| &layer.concepts).map(ConceptReferences::held).sum();
    }
}

impl ConceptReferences {
    /// Takes in what was observed of concept `id`; returns about how many bytes more the rankings take.
    fn collect(&mut self, observation: &Observation, id: usize, top_k: usize) -> usize {
        let (relevance, activation) = (observation.relevance.get(id).copied(), observation.activation.get(id).copied());
        let entry = |(score, peak): (f32, u32), other: Option<(f32, u32)>| Entry {
            sample: observation.sample,
            target: observation.target,
            score,
            other: other.map_or(0.0, |(score, _)| score),
            peak,
        };
        let (class, mut grown) = (observation.target, 0);
        if let Some(score) = relevance {
            let entry = entry(score, activation);
            if score.0.is_nan() {
                self.not_a_number += 1;
            } else {
                grown += rank(&mut self.relevance, entry);
                grown += rank_in_class(&mut self.relevance_by_class, class, entry, top_k);
            }
        }
        let Some(score) = activation else { return grown };
        if let Some(relevance) = relevance {
            self.statistics.add_pair(score.0, relevance.0);
        }
        if observation.first {
            self.statistics.add_sample(score.0);
        }
        let entry = entry(score, relevance);
        if score.0.is_nan() {
            self.not_a_number += u64::from(observation.first);
            return grown;
        }
        grown += rank_in_class(&mut self.activation_by_class, class, entry, top_k);
        if observation.first {
            grown += rank(&mut self.activation, entry);
            self.active += u64::from(observation.active.get(id) == Some(&true));
        }
        grown
    }
}

/// Takes an entry in; returns about how many bytes more the ranking takes.
fn rank(ranking: &mut TopK, entry: Entry) -> usize {
    let before = ranking.entries().len();
    ranking.insert(entry);
    (ranking.entries().len() - before) * ENTRY_BYTES
}

fn rank_in_class(by_class: &mut BTreeMap<u32, TopK>, class: u32, entry: Entry, top_k: usize) -> usize {
    let mut grown = 0;
    let ranking = by_class.entry(class).or_insert_with(|| {
        grown = RANKING_BYTES;
        TopK::new(top_k)
    });
    grown + rank(ranking, entry)
}
