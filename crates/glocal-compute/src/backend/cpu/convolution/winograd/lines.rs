//! A copy of the lines of one channel that some tiles read: with its padding, and elements at even places apart from
//! those at odd ones, so that neighbouring tiles read neighbouring elements.

use rten_simd::Isa;
use rten_simd::ops::BitOps;

use crate::backend::cpu::gemm::right::copy_run;
use crate::backend::cpu::gemm::tile::MOST_LANES;

use super::blocks::{Grid, Tiles};

/// The elements of a line of a cache.
pub(super) const CACHE_LINE: usize = 16;

/// The layout of the copy: for each image, for each line, elements at even places, then those at odd ones. As many lines
/// more are where lines are padded first.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    /// The lines of the copy that are not padding, and where what is copied of an image starts.
    lines: Vec<(usize, usize)>,
    /// The padding before what is copied, and the number of elements of that.
    padding: usize,
    count: usize,
    /// The room for elements of one kind of a line: a multiple of any vector.
    half: usize,
    /// The number of lines of the copy of one image, and of all.
    of_image: usize,
    of_all: usize,
    /// The number of lines of tiles of an image.
    down: usize,
}

impl Lines {
    /// Those that `tiles` read. Images are `image_len` elements long.
    pub(super) fn new(grid: &Grid, tiles: &Tiles, image_len: usize) -> Self {
        let [height, width] = grid.image;
        let read = 2 * tiles.places.len() + 2;
        let left = grid.left + 2 * tiles.places.start as i64;
        let padding = usize::try_from(-left).unwrap_or(0).min(read);
        let from = usize::try_from(left).unwrap_or(0).min(width);
        let count = (width - from).min(read - padding);
        let half = (read / 2).next_multiple_of(MOST_LANES);
        let of_image = 2 * tiles.lines.len() + 2;
        let mut lines = Vec::with_capacity(tiles.images.len() * of_image);
        for (index, image) in tiles.images.clone().enumerate() {
            for line in 0..of_image {
                let y = grid.top + (2 * tiles.lines.start + line) as i64;
                if let Some(y) = usize::try_from(y).ok().filter(|&y| y < height) {
                    lines.push((index * of_image + line, image * image_len + y * width + from));
                }
            }
        }
        let of_all = tiles.images.len() * of_image;
        Self { lines, padding, count, half, of_image, of_all, down: tiles.lines.len() }
    }

    /// The number of elements of the copy, and of what is needed to fill it.
    pub(super) fn len(&self) -> usize {
        2 * self.of_all * self.stride()
    }

    /// From a line to the next.
    pub(super) fn stride(&self) -> usize {
        2 * self.half
    }

    /// From an element at an even place to the one after it.
    pub(super) fn half(&self) -> usize {
        self.half
    }

    /// Where a line of tiles, counted through all images, starts.
    pub(super) fn start(&self, line: usize) -> usize {
        (line / self.down * self.of_image + line % self.down * 2) * self.stride()
    }

    /// Asks the caches for the channel of each image that starts at `channel` in the first one.
    #[inline(always)]
    pub(super) fn prefetch<I: Isa>(&self, isa: I, images: &[f32], channel: usize) {
        for &(_, from) in &self.lines {
            for line in images[channel + from..][..self.count].chunks(CACHE_LINE) {
                isa.f32().prefetch(line.as_ptr());
            }
        }
    }

    /// Copies the channel of each image that starts at `channel` in the first one. `copy` holds zeros, or the copy of
    /// another channel.
    #[inline(always)]
    pub(super) fn fill<I: Isa>(&self, isa: I, images: &[f32], channel: usize, copy: &mut [f32]) {
        let stride = self.stride();
        let (copy, padded) = copy.split_at_mut(self.of_all * stride);
        // all lines first: what was just stored in parts could not be loaded as a whole yet
        for &(line, from) in &self.lines {
            let to = &mut padded[line * stride + self.padding..][..self.count];
            copy_run(isa, &images[channel + from..][..self.count], to);
        }
        for &(line, _) in &self.lines {
            let (padded, _) = padded[line * stride..][..stride].as_chunks::<{ 2 * MOST_LANES }>();
            let (even, odd) = copy[line * stride..][..stride].split_at_mut(self.half);
            let halves = even.as_chunks_mut::<MOST_LANES>().0.iter_mut().zip(odd.as_chunks_mut::<MOST_LANES>().0);
            for ((even, odd), padded) in halves.zip(padded) {
                *even = std::array::from_fn(|index| padded[2 * index]);
                *odd = std::array::from_fn(|index| padded[2 * index + 1]);
            }
        }
    }
}
