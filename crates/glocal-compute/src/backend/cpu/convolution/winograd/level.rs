//! Whether numbers are of a size that the transforms do no harm to.

use rayon::prelude::*;

use crate::{ComputeError, Tensor};

/// How many times the median a value may be, as a power of two, for [`is_level`].
const LEVEL: u32 = 10;

/// The exponent, as it is stored, of the largest values of which four can be added up.
const LARGEST: u32 = 251;

/// So many values are looked at by one thread.
const CHUNK: usize = 1 << 16;

/// From so many values, evenly taken, the median is told.
const MEDIAN_OF: usize = 512;

/// Whether no value stands far above the others, and all can be added up.
///
/// A tile's transform adds its elements up and subtracts them again, so that an element is off by roundings of the largest of
/// its tile. Relevance divided by a denominator that is next to nothing is such an element, by which others would be
/// lost; and where weights of one sign only are left, so would sums that it has no part in. Nor may sums of a tile pass
/// what is finite where plain products do not.
fn is_level(values: &[f32]) -> bool {
    let exponent = |value: f32| value.to_bits() << 1 >> 24;
    let mut counts = [0usize; 256];
    // Odd, so that not all come from one column of an image: borders may be zero, or like nothing else.
    let apart = (values.len() / MEDIAN_OF) | 1;
    for value in values.iter().step_by(apart).filter(|value| **value != 0.0) {
        counts[exponent(*value) as usize] += 1;
    }
    let half = counts.iter().sum::<usize>() / 2;
    let mut below = 0;
    let median = counts.iter().position(|count| {
        below += count;
        below > half
    });
    // As bits without their sign, floats are ordered like their sizes, and what is not finite is larger than all.
    let largest = |values: &[f32]| values.iter().fold(0, |largest, value| largest.max(value.to_bits() << 1));
    let largest = values.par_chunks(CHUNK).map(largest).max().unwrap_or(0) >> 24;
    largest <= LARGEST.min(median.unwrap_or(0) as u32 + LEVEL)
}

/// Computes the rows of `x` into those of `out`: level ones by `tiled`, all others by `untiled`. Each is told by itself, so
/// that none is computed otherwise for what others hold.
pub(in super::super) fn by_rows(
    x: &Tensor,
    out: &mut Tensor,
    tiled: impl Fn(&[f32], &mut [f32]),
    untiled: impl Fn(&[f32], &mut [f32]) -> Result<(), ComputeError>,
) -> Result<(), ComputeError> {
    let rows: Vec<&[f32]> = (0..x.batch()).map(|row| x.row(row)).collect();
    let level: Vec<bool> = rows.par_iter().map(|row| is_level(row)).collect();
    if level.iter().all(|level| *level) {
        tiled(x.data(), out.data_mut());
        return Ok(());
    }
    let row_len = out.row_len();
    for ((row, level), out) in rows.into_iter().zip(level).zip(out.data_mut().chunks_mut(row_len)) {
        if level { tiled(row, out) } else { untiled(row, out)? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MEDIAN_OF, is_level};

    #[test]
    fn what_stands_far_above_the_others_is_seen_wherever_it_is() {
        let mut values: Vec<f32> = (0..100_000).map(|index| (index % 97) as f32 - 48.0).collect();
        assert!(is_level(&values));
        for index in [0, 1, 54_321, 99_999] {
            let before = values[index];
            for outlier in [-1e6, f32::NAN, f32::INFINITY] {
                values[index] = outlier;
                assert!(!is_level(&values), "{outlier} at {index}");
            }
            values[index] = before;
        }
        // Scale does not matter, nor do zeros.
        let small: Vec<f32> = values.iter().map(|value| value * 1e-30).collect();
        assert!(is_level(&small) && is_level(&[]) && is_level(&[0.0; 9]));
    }

    #[test]
    fn what_is_zero_along_an_edge_is_level() {
        // 512 values that are 8 lines of 32 apart are all of the first column
        let (width, lines) = (32, 8 * MEDIAN_OF);
        let values: Vec<f32> = (0..width * lines).map(|index| if index % width == 0 { 0.0 } else { 1.0 }).collect();
        assert!(is_level(&values));
    }

    #[test]
    fn values_that_cannot_be_added_up_are_not_level_however_many_they_are() {
        for value in [5e37, -2e38, f32::INFINITY, f32::NAN] {
            assert!(!is_level(&[value; 9]), "{value}");
        }
        assert!(is_level(&[4e37; 9]));
    }
}
