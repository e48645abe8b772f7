//! Where a fit starts: clusters by k-means, from centres that lie far from each other.

use crate::attribution::Cancel;
use crate::error::RunError;
use crate::random::Sequence;

/// What centres are drawn from.
const STREAM: u32 = 3;

/// How many times centres are drawn; the best clusters of all are taken.
const DRAWS: u32 = 4;

/// Enough for a start.
const STEPS: usize = 30;

/// The cluster of each row, below the number that is given with them: `count`, or fewer where there are fewer distinct rows.
///
/// Source: Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding".
pub(super) fn clusters(
    rows: &[&[f32]],
    count: usize,
    seed: u64,
    cancel: &Cancel,
) -> Result<(Vec<usize>, usize), RunError> {
    let mut best: Option<(f64, Vec<usize>, usize)> = None;
    for draw in 0..if count > 1 { DRAWS } else { 1 } {
        let mut sequence = Sequence::new(seed, STREAM, draw);
        let (spread, of, found) = from_centres(rows, centres(rows, count, &mut sequence, cancel)?, cancel)?;
        if best.as_ref().is_none_or(|(least, ..)| spread < *least) {
            best = Some((spread, of, found));
        }
    }
    Ok(best.map_or_else(|| (vec![0; rows.len()], 1), |(_, of, found)| (of, found)))
}

/// Rows, each drawn with a probability in proportion to its squared distance from those before.
fn centres(rows: &[&[f32]], count: usize, sequence: &mut Sequence, cancel: &Cancel) -> Result<Vec<Vec<f64>>, RunError> {
    let centre = |row: usize| rows[row].iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    let mut centres = vec![centre(sequence.below(rows.len()))];
    let mut nearest = vec![f64::INFINITY; rows.len()];
    while centres.len() < count {
        cancel.check()?;
        let last = &centres[centres.len() - 1];
        nearest.iter_mut().zip(rows).for_each(|(nearest, row)| *nearest = nearest.min(distance(row, last)));
        let total: f64 = nearest.iter().sum();
        // Every row is a centre.
        if total <= 0.0 {
            break;
        }
        let mut left = sequence.fraction() * total;
        let mut chosen = None;
        for (row, nearest) in nearest.iter().enumerate().filter(|(_, nearest)| **nearest > 0.0) {
            chosen = Some(row);
            left -= nearest;
            if left <= 0.0 {
                break;
            }
        }
        let Some(chosen) = chosen else { break };
        centres.push(centre(chosen));
    }
    Ok(centres)
}

/// Lloyd's steps: the sum of squared distances, the cluster of each row, and how many clusters there are.
fn from_centres(
    rows: &[&[f32]],
    mut centres: Vec<Vec<f64>>,
    cancel: &Cancel,
) -> Result<(f64, Vec<usize>, usize), RunError> {
    let mut of = vec![usize::MAX; rows.len()];
    let mut spread = 0.0;
    for _ in 0..STEPS {
        let before = std::mem::take(&mut of);
        spread = 0.0;
        for row in rows {
            cancel.check()?;
            let (mut best, mut least) = (0, f64::INFINITY);
            for (index, centre) in centres.iter().enumerate() {
                let distance = distance(row, centre);
                if distance < least {
                    (best, least) = (index, distance);
                }
            }
            spread += least;
            of.push(best);
        }
        if of == before {
            break;
        }
        let mut sizes = vec![0.0; centres.len()];
        of.iter().for_each(|&cluster| sizes[cluster] += 1.0);
        // A cluster that has lost its rows stays where it is.
        for (centre, _) in centres.iter_mut().zip(&sizes).filter(|(_, size)| **size > 0.0) {
            centre.fill(0.0);
        }
        for (row, &cluster) in rows.iter().zip(&of) {
            centres[cluster].iter_mut().zip(*row).for_each(|(sum, value)| *sum += f64::from(*value) / sizes[cluster]);
        }
    }
    Ok((spread, of, centres.len()))
}

fn distance(row: &[f32], centre: &[f64]) -> f64 {
    row.iter().zip(centre).map(|(value, centre)| (f64::from(*value) - centre).powi(2)).sum()
}
