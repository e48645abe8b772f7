//! What a search has found so far.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::search::{Entry, Observation, Scan, Statistics, TopK};

/// The memory, in bytes, of an entry of a ranking, with what its list has in reserve.
const ENTRY_BYTES: usize = size_of::<Entry>() * 3 / 2;

/// The memory, in bytes, of a ranking of a class without its entries: its place in the map, and what an allocation costs.
const RANKING_BYTES: usize = size_of::<(u32, TopK)>() * 3 / 2 + 16;

/// About how many scores are worth another thread: some tens of microseconds of work.
const SCORES_AT_ONCE: usize = 1 << 10;

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
        let mut of_layers: Vec<Vec<&Observation>> = vec![Vec::new(); self.layers.len()];
        for observation in observations {
            if let Some(of_layer) = of_layers.get_mut(observation.layer) {
                of_layer.push(observation);
            }
        }
        let first = of_layers.first().into_iter().flatten().filter(|observation| observation.first);
        self.samples += first.count() as u64;
        // All layers at once, as small ones alone would leave threads without work.
        let mut work = Vec::new();
        for (layer, of_layer) in self.layers.iter_mut().zip(&mut of_layers) {
            // A class's ranking is looked up once for all of its samples.
            of_layer.sort_by_key(|observation| observation.target);
            let at_once = SCORES_AT_ONCE.div_ceil(of_layer.len().max(1));
            let parts = layer.concepts.chunks_mut(at_once).enumerate();
            work.extend(parts.map(|(part, concepts)| (part * at_once, concepts, of_layer.as_slice())));
        }
        let grown = work.into_par_iter().map(|(first, concepts, observations)| {
            let concepts = concepts.iter_mut().zip(first..);
            concepts.map(|(concept, id)| concept.collect(observations, id, top_k)).sum::<usize>()
        });
        self.held += grown.sum::<usize>();
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
    /// Takes in what was observed of concept `id`, in the order of the targets; returns about how many bytes more the rankings
    /// take.
    fn collect(&mut self, observations: &[&Observation], id: usize, top_k: usize) -> usize {
        let of_classes = observations.chunk_by(|one, other| one.target == other.target);
        of_classes.map(|of_class| self.collect_class(of_class, id, top_k)).sum()
    }

    /// The same where all have one target.
    fn collect_class(&mut self, observations: &[&Observation], id: usize, top_k: usize) -> usize {
        let Some(class) = observations.first().map(|observation| observation.target) else { return 0 };
        let ranked = |of: fn(&Observation) -> &[(f32, u32)]| {
            observations.iter().any(|observation| of(observation).get(id).is_some_and(|(score, _)| !score.is_nan()))
        };
        let mut grown = 0;
        let mut of_class =
            |by_class, ranked: bool| ranked.then(|| ranking_of_class(by_class, class, top_k, &mut grown));
        let mut relevance_of_class = of_class(&mut self.relevance_by_class, ranked(|of| &of.relevance));
        let mut activation_of_class = of_class(&mut self.activation_by_class, ranked(|of| &of.activation));
        for observation in observations {
            let relevance = observation.relevance.get(id).copied();
            let activation = observation.activation.get(id).copied();
            let entry = |(score, peak): (f32, u32), other: Option<(f32, u32)>| Entry {
                sample: observation.sample,
                target: class,
                score,
                other: other.map_or(0.0, |(score, _)| score),
                peak,
            };
            if let Some(score) = relevance {
                let entry = entry(score, activation);
                if score.0.is_nan() {
                    self.not_a_number += 1;
                } else {
                    grown += rank(&mut self.relevance, entry);
                    grown += relevance_of_class.as_deref_mut().map_or(0, |ranking| rank(ranking, entry));
                }
            }
            let Some(score) = activation else { continue };
            if let Some(relevance) = relevance {
                self.statistics.add_pair(score.0, relevance.0);
            }
            if observation.first {
                self.statistics.add_sample(score.0);
            }
            let entry = entry(score, relevance);
            if score.0.is_nan() {
                self.not_a_number += u64::from(observation.first);
                continue;
            }
            grown += activation_of_class.as_deref_mut().map_or(0, |ranking| rank(ranking, entry));
            if observation.first {
                grown += rank(&mut self.activation, entry);
                self.active += u64::from(observation.active.get(id) == Some(&true));
            }
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

/// The ranking of a class, which is made where there is none; counts about how many bytes more it takes then.
fn ranking_of_class<'a>(
    by_class: &'a mut BTreeMap<u32, TopK>,
    class: u32,
    top_k: usize,
    grown: &mut usize,
) -> &'a mut TopK {
    by_class.entry(class).or_insert_with(|| {
        *grown += RANKING_BYTES;
        TopK::new(top_k)
    })
}
