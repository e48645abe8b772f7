//! Where the elements of a resized axis lie in the old one, and what is taken there, as ONNX's specification of `Resize`
//! defines both.

/// How one axis is resized.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) scale: f32,
}

/// Where an element of the output lies in the input: `coordinate_transformation_mode`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    TensorflowHalfPixel,
    AlignCorners,
    Asymmetric,
}

/// What is taken there: `mode`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    Nearest(Rounding),
    Linear,
    Cubic { a: f32, exclude_outside: bool },
}

/// `nearest_mode`
#[derive(Debug, Clone, Copy)]
pub(super) enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

impl Coordinates {
    /// Where element `index` of the output lies in the input.
    pub(super) fn of(self, index: usize, axis: Axis) -> f32 {
        let Axis { from, to, scale } = axis;
        let x = index as f32;
        match self {
            Self::HalfPixel => (x + 0.5) / scale - 0.5,
            Self::HalfPixelSymmetric => {
                // The output is centred although its size was rounded.
                let adjustment = to as f32 / (scale * from as f32);
                from as f32 / 2.0 * (1.0 - adjustment) + (x + 0.5) / scale - 0.5
            }
            Self::PytorchHalfPixel if to == 1 => 0.0,
            Self::PytorchHalfPixel => (x + 0.5) / scale - 0.5,
            Self::TensorflowHalfPixel => (x + 0.5) / scale,
            Self::AlignCorners if to == 1 => 0.0,
            Self::AlignCorners => x * (from - 1) as f32 / (to - 1) as f32,
            Self::Asymmetric => x / scale,
        }
    }
}

impl Mode {
    /// The elements of an axis of `size` that make up what lies at `x`, with their weights; the first and last element go
    /// on beyond the ends.
    pub(super) fn taps(self, x: f32, size: usize) -> Vec<(usize, f32)> {
        let last = size as i64 - 1;
        let inside = |element: i64| element.clamp(0, last) as usize;
        let below = x.floor();
        let (first, part) = (below as i64, x - below);
        let mut taps: Vec<(usize, f32)> = Vec::new();
        let mut add = |element: i64, weight: f32| {
            // Elements beyond an end join the one that stands for them.
            match taps.iter_mut().find(|(known, _)| *known == inside(element)) {
                Some((_, sum)) => *sum += weight,
                None if weight == 0.0 => {}
                None => taps.push((inside(element), weight)),
            }
        };
        match self {
            Self::Nearest(rounding) => {
                let nearest = match rounding {
                    Rounding::PreferFloor => (x - 0.5).ceil(),
                    Rounding::PreferCeil => (x + 0.5).floor(),
                    Rounding::Floor => below,
                    Rounding::Ceil => x.ceil(),
                };
                add(nearest as i64, 1.0);
            }
            Self::Linear => {
                add(first, 1.0 - part);
                add(first + 1, part);
            }
            Self::Cubic { a, exclude_outside } => {
                let near = |t: f32| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
                let far = |t: f32| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
                let weights = [far(1.0 + part), near(part), near(1.0 - part), far(2.0 - part)];
                let elements = weights.into_iter().zip(first - 1..);
                let counted = elements.filter(|(_, element)| !exclude_outside || (0..=last).contains(element));
                let counted: Vec<(f32, i64)> = counted.collect();
                let total = if exclude_outside { counted.iter().map(|(weight, _)| weight).sum() } else { 1.0 };
                counted.into_iter().for_each(|(weight, element)| add(element, weight / total));
            }
        }
        taps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mode: Mode, coordinates: Coordinates, from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
        let axis = Axis { from, to, scale: to as f32 / from as f32 };
        (0..to).map(|index| mode.taps(coordinates.of(index, axis), from)).collect()
    }

    #[test]
    fn doubling_takes_each_element_twice_or_quarters_between() {
        let nearest = all(Mode::Nearest(Rounding::Floor), Coordinates::Asymmetric, 2, 4);
        assert_eq!(nearest, [[(0, 1.0)], [(0, 1.0)], [(1, 1.0)], [(1, 1.0)]]);
        let linear = all(Mode::Linear, Coordinates::HalfPixel, 2, 4);
        assert_eq!(linear[0], [(0, 1.0)]);
        assert_eq!(linear[1], [(0, 0.75), (1, 0.25)]);
        assert_eq!(linear[3], [(1, 1.0)]);
    }

    #[test]
    fn weights_add_up_to_one() {
        let modes = [
            Mode::Nearest(Rounding::PreferCeil),
            Mode::Linear,
            Mode::Cubic { a: -0.75, exclude_outside: false },
            Mode::Cubic { a: -0.5, exclude_outside: true },
        ];
        let coordinates = [
            Coordinates::HalfPixel,
            Coordinates::HalfPixelSymmetric,
            Coordinates::PytorchHalfPixel,
            Coordinates::TensorflowHalfPixel,
            Coordinates::AlignCorners,
            Coordinates::Asymmetric,
        ];
        for (from, to) in [(1, 5), (5, 1), (3, 7), (8, 3), (4, 4)] {
            for mode in modes {
                for coordinates in coordinates {
                    for taps in all(mode, coordinates, from, to) {
                        let total: f32 = taps.iter().map(|(_, weight)| weight).sum();
                        let what = format!("{mode:?}, {coordinates:?}, {from} to {to}: {taps:?}");
                        assert!((total - 1.0).abs() < 1e-5 && !taps.is_empty(), "{what}");
                        assert!(taps.iter().all(|(element, _)| *element < from), "{what}");
                    }
                }
            }
        }
    }
}
