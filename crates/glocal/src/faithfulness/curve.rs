//! At how many replaced parts a curve is taken, and the area under it.

/// The numbers of replaced parts at which a curve of `parts` parts is taken: 0, all, and so many even steps between that there
/// are `steps` of them, or one a part where there are fewer parts; ascending.
pub fn steps(parts: usize, steps: usize) -> Vec<usize> {
    let steps = steps.clamp(1, parts.max(1));
    // Rounded to the nearest; at least one part lies between two of them.
    (0..=steps).map(|step| (step * parts * 2 + steps) / (steps * 2)).collect()
}

/// The same as fractions of the last of them.
pub fn fractions(counts: &[usize]) -> Vec<f64> {
    let all = counts.last().copied().unwrap_or(0).max(1) as f64;
    counts.iter().map(|&count| count as f64 / all).collect()
}

/// The area under the lines between the points (`at[i]`, `values[i]`), by the trapezoidal rule. With `at` from 0 to 1 it is the
/// curve's mean height.
pub fn area(at: &[f64], values: &[f64]) -> f64 {
    let between = |(at, values): (&[f64], &[f64])| (at[1] - at[0]) * (values[0] + values[1]) / 2.0;
    at.windows(2).zip(values.windows(2)).map(between).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_even_and_reach_from_none_to_all() {
        assert_eq!(steps(8, 4), [0, 2, 4, 6, 8]);
        assert_eq!(steps(3, 20), [0, 1, 2, 3]);
        assert_eq!(steps(10, 4), [0, 3, 5, 8, 10]);
        assert_eq!(steps(5, 0), [0, 5]);
        for parts in 1..60 {
            for count in 1..40 {
                let steps = steps(parts, count);
                assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{parts} parts, {count} steps");
                assert_eq!((steps[0], steps[steps.len() - 1], steps.len()), (0, parts, count.min(parts) + 1));
            }
        }
    }

    #[test]
    fn areas_of_known_curves() {
        let close = |area: f64, expected: f64| assert!((area - expected).abs() < 1e-12, "{area} is not {expected}");
        let at = fractions(&steps(20, 20));
        close(area(&at, &[3.0; 21]), 3.0);
        close(area(&at, &at), 0.5);
        close(area(&at, &at.iter().map(|x| 1.0 - x).collect::<Vec<_>>()), 0.5);
        close(area(&[0.0, 0.25, 1.0], &[4.0, 0.0, 0.0]), 0.5);
        // The trapezoids of x² lie above it by 1/(6 n²).
        close(area(&at, &at.iter().map(|x| x * x).collect::<Vec<_>>()), 1.0 / 3.0 + 1.0 / 2400.0);
        close(area(&[0.0], &[1.0]), 0.0);
    }
}
