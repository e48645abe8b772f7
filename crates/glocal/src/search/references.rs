//! What a search has found so far.

use rayon::prelude::*;

use crate::search::{ClassRankings, Entry, Observation, Scan, Statistics, TopK};

/// The memory, in bytes, of an entry of a ranking, with what its list has in reserve.
const ENTRY_BYTES: usize = size_of::<Entry>() * 3 / 2;

/// The memory, in bytes, of a ranking of a class without its entries: its place in the list, and what an allocation costs.
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
    pub relevance_by_class: ClassRankings,
    /// The best samples of each target by activation.
    pub activation_by_class: ClassRankings,
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
            relevance_by_class: ClassRankings::default(),
            activation_by_class: ClassRankings::default(),
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
            (Measure::Relevance, Some(class)) => self.relevance_by_class.get(class),
            (Measure::Activation, Some(class)) => self.activation_by_class.get(class),
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
            for (class, ranking) in theirs.iter() {
                mine.get_or_insert_with(class, || TopK::new(ranking.k())).merge(ranking);
            }
        }
        self.active += other.active;
        self.not_a_number += other.not_a_number;
        self.statistics.merge(&other.statistics);
    }

    /// About how many bytes the rankings take.
    fn held(&self) -> usize {
        let by_class = self.relevance_by_class.iter().chain(self.activation_by_class.iter());
        let of_classes: usize =
            by_class.map(|(_, ranking)| RANKING_BYTES + ranking.entries().len() * ENTRY_BYTES).sum();
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

    /// Takes in what was observed of some samples. Each (sample, target) must be given once.
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
        let classes = of_classes.clone().count();
        if observations.iter().any(|observation| id < observation.relevance.len()) {
            self.relevance_by_class.begin(classes);
        }
        self.activation_by_class.begin(classes);
        of_classes.map(|of_class| self.collect_class(of_class, id, top_k)).sum()
    }

    /// The same where all have one target.
    fn collect_class(&mut self, observations: &[&Observation], id: usize, top_k: usize) -> usize {
        let Some(class) = observations.first().map(|observation| observation.target) else { return 0 };
        let ranked = |of: fn(&Observation) -> &[(f32, u32)]| {
            observations.iter().any(|observation| of(observation).get(id).is_some_and(|(score, _)| !score.is_nan()))
        };
        let mut grown = 0;
        let more = observations.len();
        let mut of_class = |all: &mut TopK, by_class, ranked: bool| {
            ranked.then(|| {
                all.reserve(more);
                let of_class = ranking_of_class(by_class, class, top_k, &mut grown);
                of_class.reserve(more);
                of_class
            })
        };
        let mut relevance_of_class =
            of_class(&mut self.relevance, &mut self.relevance_by_class, ranked(|of| &of.relevance));
        let mut activation_of_class =
            of_class(&mut self.activation, &mut self.activation_by_class, ranked(|of| &of.activation));
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
fn ranking_of_class<'a>(by_class: &'a mut ClassRankings, class: u32, top_k: usize, grown: &mut usize) -> &'a mut TopK {
    by_class.get_or_insert_with(class, || {
        *grown += RANKING_BYTES;
        TopK::new(top_k)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::SampleId;

    const TOP_K: usize = 3;
    /// More than one thread takes at once, in layers of different sizes.
    const CONCEPTS: [usize; 3] = [1, 700, 40];

    fn empty() -> References {
        let layers = CONCEPTS.iter().enumerate().map(|(layer, concepts)| LayerReferences {
            layer: layer.to_string(),
            concepts: vec![ConceptReferences::new(TOP_K); *concepts],
        });
        References::from_parts(TOP_K, layers.collect(), 0)
    }

    /// A few scores that tie, are zero of either sign, or not a number.
    fn score(number: u64) -> f32 {
        match number % 11 {
            0 => f32::NAN,
            1 => -0.0,
            2 => f32::NEG_INFINITY,
            number => (number / 3) as f32 - 2.0,
        }
    }

    /// The observations of one sample for its targets.
    fn observe(sample: u64, targets: &[u32]) -> Vec<Observation> {
        let of_target = |(index, target): (usize, &u32)| {
            let target = *target;
            CONCEPTS.into_iter().enumerate().map(move |(layer, concepts)| {
                let scores = |salt: u64| -> Vec<(f32, u32)> {
                    let number =
                        |id: u64| (sample * 31 + salt + id * 7 + layer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    (0..concepts as u64).map(|id| (score(number(id) >> 40), (number(id) >> 60) as u32)).collect()
                };
                // No relevance reaches the last layer.
                let relevance = if layer == 2 { Vec::new() } else { scores(u64::from(target) + 1) };
                let (activation, sample) = (scores(0), SampleId(sample));
                let active = activation.iter().map(|(score, _)| *score != 0.0).collect();
                Observation { sample, target, first: index == 0, layer, relevance, activation, active }
            })
        };
        targets.iter().enumerate().flat_map(of_target).collect()
    }

    /// What a concept's references say, to the bit.
    fn expected(
        observations: &[Observation],
        layer: usize,
        id: usize,
        measure: Measure,
        class: Option<u32>,
    ) -> Vec<Entry> {
        let score = |scores: &[(f32, u32)]| scores.get(id).copied();
        let of_layer = observations.iter().filter(|observation| observation.layer == layer);
        let of_class = of_layer.filter(|observation| match class {
            Some(class) => observation.target == class,
            None => measure == Measure::Relevance || observation.first,
        });
        let entries = of_class.filter_map(|observation| {
            let (mine, other) = match measure {
                Measure::Relevance => (score(&observation.relevance), score(&observation.activation)),
                Measure::Activation => (score(&observation.activation), score(&observation.relevance)),
            };
            let ((score, peak), other) = (mine?, other.map_or(0.0, |(score, _)| score));
            let Observation { sample, target, .. } = *observation;
            (!score.is_nan()).then_some(Entry { sample, target, score, other, peak })
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by(Entry::order);
        entries.truncate(TOP_K);
        entries
    }

    fn bits(entries: &[Entry]) -> Vec<(u32, u64, u32, u32, u32)> {
        let bits =
            |entry: &Entry| (entry.score.to_bits(), entry.sample.0, entry.target, entry.other.to_bits(), entry.peak);
        entries.iter().map(bits).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn batches_of_any_classes_are_ranked_as_by_sorting_all(
            targets in prop::collection::vec(prop::sample::subsequence(vec![0u32, 3, u32::MAX], 1..=3), 1..20),
            batch in 1usize..8,
        ) {
            let of_samples: Vec<Vec<Observation>> =
                targets.iter().zip(0..).map(|(targets, sample)| observe(sample, targets)).collect();
            let mut found = empty();
            for batch in of_samples.chunks(batch) {
                found.collect(&batch.concat());
            }
            let all = of_samples.concat();
            prop_assert_eq!(found.samples(), targets.len() as u64);
            let held: usize = found.layers().iter().flat_map(|layer| &layer.concepts).map(ConceptReferences::held).sum();
            prop_assert_eq!(found.held(), held);
            for (layer, id) in [(0, 0), (1, 0), (1, 350), (1, 699), (2, 39)] {
                let concept = &found.layers()[layer].concepts[id];
                for measure in [Measure::Relevance, Measure::Activation] {
                    for class in [None, Some(0), Some(3), Some(u32::MAX)] {
                        let expected = expected(&all, layer, id, measure, class);
                        let ranking = concept.ranking(measure, class).map_or(&[][..], TopK::entries);
                        prop_assert_eq!(bits(ranking), bits(&expected));
                        // A class of which no score ranks has no ranking.
                        prop_assert!(class.is_none() || concept.ranking(measure, class).is_some() != expected.is_empty());
                    }
                }
                let of_concept = all.iter().filter(|observation| observation.layer == layer);
                let not_a_number = |scores: &[(f32, u32)]| u64::from(scores.get(id).is_some_and(|(score, _)| score.is_nan()));
                let expected: u64 = of_concept
                    .map(|observation| {
                        let of_activation = if observation.first { not_a_number(&observation.activation) } else { 0 };
                        not_a_number(&observation.relevance) + of_activation
                    })
                    .sum();
                prop_assert_eq!(concept.not_a_number, expected);
            }
        }
    }
}
