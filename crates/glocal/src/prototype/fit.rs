//! Fits mixtures to vectors: the prior, expectation maximisation, and how many clusters there are.

use std::num::NonZeroUsize;

use rayon::prelude::*;

use crate::attribution::Cancel;
use crate::error::RunError;

use super::mixture::{Mixture, Prior};
use super::start;

/// With the weight of how many samples variances are drawn towards those of the whole class.
pub const PRIOR_SAMPLES: f64 = 1.0;

/// The least variance of any concept, as a part of the mean variance of all concepts of the class.
pub const FLOOR: f64 = 1e-2;

/// The least variance, as a part of the mean square of all values: what half precision, in which vectors may be kept, rounds away.
const ROUNDING: f64 = 1e-6;

/// A variance that no arithmetic on finite single precision numbers makes infinite.
const LEAST: f64 = 1e-150;

/// A fit ends where a step raises the log-likelihood of a vector by less than this, in nats.
const TOLERANCE: f64 = 1e-5;

/// Or after so many steps.
const STEPS: usize = 500;

/// The most parts, of every cluster in every vector, that a fit holds: 1 GiB of them.
const PARTS: usize = (1 << 30) / size_of::<f64>();

/// The criterion asks for at least so many samples for each cluster.
const SAMPLES_OF_CLUSTER: usize = 10;

/// How prototypes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrototypeOptions {
    /// How many there are. Default: what the criterion says, 8 at most.
    pub clusters: Clusters,
    /// The seed of the starts. Default: 0.
    pub seed: u64,
}

/// How many clusters a class has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clusters {
    /// So many; fewer where there are fewer distinct vectors, or some clusters have no sample.
    Count(NonZeroUsize),
    /// Of 1 to this many, those with the least Bayesian information criterion; at most one for every ten samples.
    Criterion {
        /// The most there may be.
        most: NonZeroUsize,
    },
}

impl Default for PrototypeOptions {
    fn default() -> Self {
        Self { clusters: Clusters::Criterion { most: NonZeroUsize::MIN.saturating_add(7) }, seed: 0 }
    }
}

impl Prior {
    /// That of a class with these vectors.
    pub(super) fn of(rows: &[&[f32]]) -> Self {
        let concepts = rows.first().map_or(0, |row| row.len());
        let count = rows.len().max(1) as f64;
        let mut means = vec![0.0; concepts];
        let mut square = 0.0;
        for row in rows {
            means.iter_mut().zip(*row).for_each(|(mean, value)| *mean += f64::from(*value) / count);
            square += row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / count;
        }
        let mut variance = vec![0.0; concepts];
        for row in rows {
            for ((variance, value), mean) in variance.iter_mut().zip(*row).zip(&means) {
                *variance += (f64::from(*value) - mean).powi(2) / count;
            }
        }
        let of_concept = concepts.max(1) as f64;
        let mean_variance = variance.iter().sum::<f64>() / of_concept;
        let floor = (FLOOR * mean_variance).max(ROUNDING * square / of_concept).max(LEAST);
        variance.iter_mut().for_each(|variance| *variance = variance.max(floor));
        Self { samples: PRIOR_SAMPLES, variance, floor }
    }
}

/// The mixture for `options`; `None` without vectors.
pub(super) fn fit(rows: &[&[f32]], options: &PrototypeOptions, cancel: &Cancel) -> Result<Option<Mixture>, RunError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let most = match options.clusters {
        Clusters::Count(count) => count.get().min(rows.len()),
        Clusters::Criterion { most } => most.get().min(rows.len() / SAMPLES_OF_CLUSTER).max(1),
    };
    if most > 1 && most > PARTS / rows.len() {
        return Err(RunError::clusters(most, rows.len(), (PARTS / rows.len()).max(1)));
    }
    let prior = Prior::of(rows);
    if let Clusters::Count(count) = options.clusters {
        return fit_count(rows, count.get(), &prior, options.seed, cancel).map(Some);
    }
    let counts = (1..=most).into_par_iter();
    let fits = counts.map(|count| {
        let mixture = fit_count(rows, count, &prior, options.seed, cancel)?;
        Ok((criterion(&mixture, rows), mixture))
    });
    let fits = fits.collect::<Result<Vec<_>, RunError>>()?;
    // The first on ties, which has the fewest clusters.
    let best = fits.into_iter().reduce(|best, next| if next.0 < best.0 { next } else { best });
    Ok(best.map(|(_, mixture)| mixture))
}

/// The Bayesian information criterion: the less the better.
pub(super) fn criterion(mixture: &Mixture, rows: &[&[f32]]) -> f64 {
    let (_, log_likelihood) = mixture.expectation(rows);
    mixture.parameters() as f64 * (rows.len() as f64).ln() - 2.0 * log_likelihood
}

/// The mixture of `count` components, or fewer: each has a sample that is nearest to it of all.
pub(super) fn fit_count(
    rows: &[&[f32]],
    count: usize,
    prior: &Prior,
    seed: u64,
    cancel: &Cancel,
) -> Result<Mixture, RunError> {
    let (of, found) = start::clusters(rows, count.min(rows.len()), seed, cancel)?;
    let parts: Vec<f64> =
        of.iter().flat_map(|&cluster| (0..found).map(move |other| f64::from(u8::from(cluster == other)))).collect();
    let mut mixture = Mixture::maximization(rows, &parts, found, prior);
    loop {
        mixture = converge(mixture, rows, prior, cancel)?;
        let mut members = vec![0_usize; mixture.components.len()];
        rows.iter().for_each(|row| members[mixture.nearest(row).0] += 1);
        if members.iter().all(|members| *members > 0) {
            return Ok(mixture);
        }
        let mut members = members.into_iter();
        mixture.components.retain(|_| members.next() != Some(0));
        // The weights of the others make a whole again after the next step.
    }
}

/// Steps of expectation maximisation until they change nothing more.
fn converge(mut mixture: Mixture, rows: &[&[f32]], prior: &Prior, cancel: &Cancel) -> Result<Mixture, RunError> {
    let mut before = f64::NEG_INFINITY;
    for _ in 0..STEPS {
        cancel.check()?;
        let (parts, log_likelihood) = mixture.expectation(rows);
        let now = log_likelihood + mixture.log_prior(prior);
        mixture = Mixture::maximization(rows, &parts, mixture.components.len(), prior);
        if now - before < TOLERANCE * rows.len() as f64 {
            break;
        }
        before = now;
    }
    Ok(mixture)
}
