//! A region of a picture, carried over to the coarser grid of a layer.

/// A weight for each pixel of what a model sees: 1 inside the region, 0 outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    weights: Vec<f32>,
    width: usize,
    height: usize,
}

impl Region {
    /// The pixels of a rectangle; what lies outside of the picture is cut off. `None` when nothing is left.
    pub fn rectangle(
        (left, top, columns, rows): (usize, usize, usize, usize),
        width: usize,
        height: usize,
    ) -> Option<Self> {
        let horizontal = left..left.saturating_add(columns).min(width);
        let vertical = top..top.saturating_add(rows).min(height);
        if horizontal.is_empty() || vertical.is_empty() {
            return None;
        }
        let inside = |pixel: usize| vertical.contains(&(pixel / width)) && horizontal.contains(&(pixel % width));
        let weights = (0..width * height).map(|pixel| f32::from(u8::from(inside(pixel)))).collect();
        Some(Self { weights, width, height })
    }

    /// A weight from 0 to 1 for each pixel, in rows from the top. `None` unless there are `width · height` weights, and one
    /// that is not 0.
    pub fn mask(weights: Vec<f32>, width: usize, height: usize) -> Option<Self> {
        let fits = width.checked_mul(height) == Some(weights.len()) && weights.iter().any(|&weight| weight > 0.0);
        fits.then_some(Self { weights, width, height })
    }

    /// The width and height of the picture.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The pixels that the region is drawn around, in rows from the top: those with at least half of its largest weight.
    pub fn pixels(&self) -> Vec<bool> {
        let largest = self.weights.iter().copied().fold(0.0, f32::max);
        self.weights.iter().map(|&weight| weight > 0.0 && weight >= largest / 2.0).collect()
    }

    /// The weight of each position of a layer's grid of `rows` × `columns`: the mean weight of the pixels under it,
    /// where each position is taken to cover an equal part of the picture (pixels on a border count by their area).
    pub fn on_grid(&self, rows: usize, columns: usize) -> Vec<f32> {
        let vertical: Vec<Vec<(usize, f64)>> = (0..rows).map(|row| overlap(row, rows, self.height)).collect();
        let horizontal: Vec<Vec<(usize, f64)>> =
            (0..columns).map(|column| overlap(column, columns, self.width)).collect();
        let mut grid = Vec::with_capacity(rows * columns);
        for down in &vertical {
            for across in &horizontal {
                let mut sum = 0.0;
                for (y, tall) in down {
                    for (x, wide) in across {
                        sum += f64::from(self.weights[y * self.width + x]) * tall * wide;
                    }
                }
                grid.push(sum as f32);
            }
        }
        grid
    }
}

/// The pixels under the `index`-th of `parts` equal parts of `size` pixels, with their share of it.
fn overlap(index: usize, parts: usize, size: usize) -> Vec<(usize, f64)> {
    // In units of 1 / parts pixel, so that borders are whole numbers.
    let (start, end) = (index * size, (index + 1) * size);
    let pixels = start / parts..end.div_ceil(parts);
    let share = |pixel: usize| end.min((pixel + 1) * parts) - start.max(pixel * parts);
    pixels.map(|pixel| (pixel, share(pixel) as f64 / size as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_cells_are_kept_and_cut_ones_count_by_their_area() {
        let region = Region::rectangle((0, 0, 3, 2), 4, 4).unwrap();
        assert_eq!(region.on_grid(2, 2), [1.0, 0.5, 0.0, 0.0]);
        assert_eq!(region.on_grid(1, 1), [6.0 / 16.0]);
    }

    #[test]
    fn grids_that_do_not_divide_the_picture_share_pixels() {
        let region = Region::rectangle((0, 0, 1, 1), 2, 1).unwrap();
        assert_eq!(region.on_grid(1, 3), [1.0, 0.5, 0.0]);
        // A finer grid than the picture: each pixel is split.
        assert_eq!(region.on_grid(1, 4), [1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn faint_masks_have_pixels_too_and_black_is_never_inside() {
        let drawn = |weights: &[f32]| Region::mask(weights.to_vec(), weights.len(), 1).unwrap().pixels();
        assert_eq!(drawn(&[0.0, 0.1, 0.2, 0.0]), [false, true, true, false]);
        assert_eq!(drawn(&[1.0, 0.4, 0.5, f32::MIN_POSITIVE]), [true, false, true, false]);
    }

    #[test]
    fn a_rectangle_is_cut_to_the_picture() {
        assert_eq!(Region::rectangle((1, 0, 9, 9), 2, 2).unwrap().on_grid(2, 2), [0.0, 1.0, 0.0, 1.0]);
        for outside in [(2, 0, 1, 1), (0, 0, 0, 1), (usize::MAX, 0, usize::MAX, 1)] {
            assert_eq!(Region::rectangle(outside, 2, 2), None);
        }
        assert_eq!(Region::mask(vec![0.0; 4], 2, 2), None);
        assert_eq!(Region::mask(vec![1.0; 3], 2, 2), None);
    }
}
