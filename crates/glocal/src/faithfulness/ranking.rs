//! In which order parts are replaced.

use std::fmt;
use std::str::FromStr;

use crate::random::Sequence;

/// What random rankings draw from; the bootstrap has another.
const STREAM: u32 = 1;

/// What decides which part comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// The part's relevance for the target, the largest first: the sum of what arrives at its elements.
    Relevance,
    /// The same, the smallest first: what speaks against the target, then what does not matter to it.
    Ascending,
    /// The sum of the part's positive values, the largest first.
    Activation,
    /// The sum of the part's values times the gradient of the target's logit, the largest first: what zeros in its place take
    /// from the logit, to first order (Gradient×Input of the layer).
    Gradient,
    /// By chance.
    Random,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Relevance, Self::Ascending, Self::Activation, Self::Gradient, Self::Random];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Ascending => "ascending",
            Self::Activation => "activation",
            Self::Gradient => "gradient",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Order {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|order| order.name() == text);
        named.ok_or("expected relevance, ascending, activation, gradient or random")
    }
}

/// The rank of each of some parts, from 0; no two have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking(Vec<usize>);

impl Ranking {
    /// The largest score first, the first part on ties.
    pub fn descending(scores: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        Self::of_order(&order)
    }

    /// The smallest score first, the first part on ties.
    pub fn ascending(scores: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
        Self::of_order(&order)
    }

    /// By chance: the `number`-th ranking of a seed, every one of which is as likely as every other (Fisher and Yates).
    pub fn shuffled(parts: usize, seed: u64, number: u32) -> Self {
        let mut order: Vec<usize> = (0..parts).collect();
        let mut sequence = Sequence::new(seed, STREAM, number);
        for end in (2..=parts).rev() {
            order.swap(end - 1, sequence.below(end));
        }
        Self::of_order(&order)
    }

    /// The rank of each part.
    pub fn ranks(&self) -> &[usize] {
        &self.0
    }

    fn of_order(order: &[usize]) -> Self {
        let mut ranks = vec![0; order.len()];
        for (rank, &part) in order.iter().enumerate() {
            ranks[part] = rank;
        }
        Self(ranks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_comes_first_on_ties() {
        assert_eq!(Ranking::descending(&[1.0, 3.0, 1.0, -2.0]).ranks(), [1, 0, 2, 3]);
        assert_eq!(Ranking::ascending(&[1.0, 3.0, 1.0, -2.0]).ranks(), [1, 3, 2, 0]);
    }

    #[test]
    fn chance_gives_every_ranking_and_repeats_by_seed_and_number() {
        let mut seen = std::collections::BTreeMap::new();
        for number in 0..600 {
            *seen.entry(Ranking::shuffled(3, 7, number).ranks().to_vec()).or_insert(0) += 1;
        }
        // Five standard deviations around 100 each.
        assert!(seen.len() == 6 && seen.values().all(|&count| (54..146).contains(&count)), "{seen:?}");
        assert_eq!(Ranking::shuffled(50, 7, 3), Ranking::shuffled(50, 7, 3));
        assert_ne!(Ranking::shuffled(50, 7, 3), Ranking::shuffled(50, 8, 3));
        assert_eq!(Ranking::shuffled(0, 7, 0).ranks(), [0; 0]);
    }

    #[test]
    fn orders_are_read_by_their_names() {
        for order in Order::ALL {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert!("chance".parse::<Order>().is_err());
    }
}
