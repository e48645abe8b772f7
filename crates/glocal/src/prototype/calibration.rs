//! What a log-likelihood means: how many of a class's own samples are as unlikely.

use rayon::prelude::*;

use crate::attribution::Cancel;
use crate::error::RunError;
use crate::random::Sequence;

use super::fit;
use super::mixture::{Mixture, Prior};

/// Into how many parts a class's samples are split, each judged by a mixture of the others. A class of fewer samples has one
/// sample in each.
pub const FOLDS: usize = 5;

/// What the split is drawn from.
const STREAM: u32 = 4;

/// The folds of a class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calibration {
    folds: Vec<Fold>,
    samples: usize,
}

/// Some samples, and the mixture of all others.
#[derive(Debug, Clone, PartialEq)]
struct Fold {
    mixture: Mixture,
    /// The log-likelihoods of the samples under it, ascending.
    held_out: Vec<f64>,
}

impl Calibration {
    /// Splits the rows and fits mixtures of `count` components.
    pub fn of(rows: &[&[f32]], count: usize, seed: u64, cancel: &Cancel) -> Result<Self, RunError> {
        // A single sample leaves nothing to judge it by.
        let folds = if rows.len() < 2 { 0 } else { FOLDS.min(rows.len()) };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let mut sequence = Sequence::new(seed, STREAM, 0);
        (1..rows.len()).rev().for_each(|last| order.swap(last, sequence.below(last + 1)));
        let fold = |fold: usize| {
            let (mut held_out, mut others) = (Vec::new(), Vec::new());
            for (place, row) in order.iter().enumerate() {
                if place % folds == fold { &mut held_out } else { &mut others }.push(rows[*row]);
            }
            let mixture = fit::fit_count(&others, count, &Prior::of(&others), seed, cancel)?;
            let mut held_out: Vec<f64> = held_out.iter().map(|row| mixture.log_likelihood(row)).collect();
            held_out.sort_by(f64::total_cmp);
            Ok(Fold { mixture, held_out })
        };
        let folds = (0..folds).into_par_iter().map(fold).collect::<Result<Vec<_>, RunError>>()?;
        Ok(Self { folds, samples: rows.len() })
    }

    /// The part of the samples, with the new one among them, that are at least as unlikely as `row`; `None` where nothing can be
    /// said.
    pub fn p_value(&self, row: &[f32]) -> Option<f64> {
        if self.folds.is_empty() {
            return None;
        }
        let as_unlikely = |fold: &Fold| {
            let log_likelihood = fold.mixture.log_likelihood(row);
            fold.held_out.partition_point(|other| *other <= log_likelihood)
        };
        let count: usize = self.folds.iter().map(as_unlikely).sum();
        Some((count + 1) as f64 / (self.samples + 1) as f64)
    }
}
