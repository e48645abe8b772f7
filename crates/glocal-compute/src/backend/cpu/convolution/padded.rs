//! A copy of an image with its padding in place, so that windows need no checks, and with the columns that a strided
//! window reads together laid side by side.

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::right::copy_short;
use crate::backend::cpu::parallel;
use crate::tensor::has_memory_for;

/// Planes of at most so many elements are cleared as a whole before a copy: larger ones would go through memory twice.
const CLEARED_WHOLE: usize = 1 << 14;

/// The layout of the copy: `[channel, z, y, phase, x]`. An element at `x · step + phase` from the left edge of the
/// reached area stands at `(phase, x)`, so that neighbouring outputs read neighbouring elements whatever the step is.
#[derive(Clone, Debug)]
pub(super) struct PaddedImage {
    axes: [Axis; 3],
    channels: usize,
    depth: usize,
    height: usize,
    phases: usize,
    width: usize,
    slack: usize,
}

impl PaddedImage {
    /// The layout for images of `channels` channels; `slack` more elements may be read past the end. `None` when there
    /// is no memory for it.
    pub(super) fn new(axes: &[Axis; 3], channels: usize, slack: usize) -> Option<Self> {
        let [depth, height, columns] = axes.each_ref().map(|axis| {
            let (first, last) = axis.reach();
            usize::try_from(last.checked_sub(first)?.checked_add(1)?).ok()
        });
        let (depth, height, columns) = (depth?, height?, columns?);
        let phases = usize::try_from(axes[2].step).ok()?.min(columns);
        let width = columns.div_ceil(phases);
        let len =
            [channels, depth, height, phases, width].iter().try_fold(1usize, |len, size| len.checked_mul(*size))?;
        has_memory_for(len.checked_add(slack)?).then(|| Self {
            axes: axes.clone(),
            channels,
            depth,
            height,
            phases,
            width,
            slack,
        })
    }

    /// The number of elements of the copy.
    pub(super) fn len(&self) -> usize {
        self.channels * self.depth * self.height * self.phases * self.width + self.slack
    }

    /// What tap `taps` of channel `channel` adds to [`output_offset`](Self::output_offset).
    pub(super) fn tap_offset(&self, channel: usize, taps: [usize; 3]) -> usize {
        let distance = |axis: usize| {
            let offsets = &self.axes[axis].taps;
            (offsets[taps[axis]] - offsets[0]) as usize
        };
        let (z, y, x) = (distance(0), distance(1), distance(2));
        // `phases` falls below the step only when all that is reached is narrower than a step, with one output then
        let (phase, x) = (x % self.phases, x / self.phases);
        (((channel * self.depth + z) * self.height + y) * self.phases + phase) * self.width + x
    }

    /// Where the window of an output element starts.
    pub(super) fn output_offset(&self, output: [usize; 3]) -> usize {
        let z = output[0] * self.axes[0].step as usize;
        let y = output[1] * self.axes[1].step as usize;
        (z * self.height + y) * self.phases * self.width + output[2]
    }

    /// The number of elements from one row of the copy to the next.
    pub(super) fn row_len(&self) -> usize {
        self.phases * self.width
    }

    /// Copies `image` in where `buffer` holds zeros, or what an earlier call left: the padding is not written.
    #[inline(always)]
    pub(super) fn fill_inside(&self, image: &[f32], buffer: &mut [f32]) {
        let [deep, vertical, horizontal] = &self.axes;
        let (first_z, first_y, first_x) = (deep.reach().0, vertical.reach().0, horizontal.reach().0);
        let row_len = self.row_len();
        let mut volumes = buffer.chunks_exact_mut(self.depth * self.height * row_len);
        for image in image.chunks_exact(deep.size * vertical.size * horizontal.size) {
            let Some(volume) = volumes.next() else { return };
            for z in 0..self.depth {
                let Some(from_z) = inside(first_z + z as i64, deep.size) else { continue };
                for y in 0..self.height {
                    let Some(from_y) = inside(first_y + y as i64, vertical.size) else { continue };
                    let from = &image[(from_z * vertical.size + from_y) * horizontal.size..][..horizontal.size];
                    self.fill_row::<false>(from, first_x, &mut volume[(z * self.height + y) * row_len..][..row_len]);
                }
            }
        }
    }

    /// Copies `image` in, with its channels in parallel where `parallel`. `buffer` holds [`len`](Self::len) elements, all of
    /// which but the slack are written.
    pub(super) fn fill(&self, image: &[f32], buffer: &mut [f32], parallel: bool) {
        let [deep, vertical, horizontal] = &self.axes;
        let (first_z, first_y, first_x) = (deep.reach().0, vertical.reach().0, horizontal.reach().0);
        let plane = vertical.size * horizontal.size;
        let row_len = self.row_len();
        let volume_len = self.depth * self.height * row_len;
        let fill_channel = |channel: usize, volume: &mut [f32]| {
            if self.depth == 1 && self.phases == 1 && volume_len <= CLEARED_WHOLE {
                let image = inside(first_z, deep.size).map(|z| &image[(channel * deep.size + z) * plane..][..plane]);
                return self.fill_plane(image.unwrap_or(&[]), [first_y, first_x], volume);
            }
            for z in 0..self.depth {
                let from_z = inside(first_z + z as i64, deep.size);
                for y in 0..self.height {
                    let to = (z * self.height + y) * row_len;
                    let from_y = inside(first_y + y as i64, vertical.size);
                    let (Some(from_z), Some(from_y)) = (from_z, from_y) else {
                        volume[to..to + row_len].fill(0.0);
                        continue;
                    };
                    let from = (channel * deep.size + from_z) * plane + from_y * horizontal.size;
                    self.fill_row::<true>(&image[from..from + horizontal.size], first_x, &mut volume[to..to + row_len]);
                }
            }
        };
        let channels = &mut buffer[..self.channels * volume_len];
        if parallel {
            parallel::for_blocks(channels, volume_len, volume_len, fill_channel);
        } else {
            channels
                .chunks_exact_mut(volume_len)
                .enumerate()
                .for_each(|(channel, volume)| fill_channel(channel, volume));
        }
    }

    /// Copies a plane in, with zeros around it; `first` is the image's row and column at the start of the copy.
    #[inline(always)]
    fn fill_plane(&self, image: &[f32], first: [i64; 2], to: &mut [f32]) {
        to.fill(0.0);
        let [above, before] = first.map(|first| usize::try_from(-first).unwrap_or(0));
        let [y, x] = first.map(|first| usize::try_from(first).unwrap_or(0));
        let size = self.axes[2].size;
        let len = size.saturating_sub(x).min(self.width.saturating_sub(before));
        if len == 0 {
            return;
        }
        let rows = to.chunks_exact_mut(self.width).skip(above);
        for (from, to) in image.chunks_exact(size).skip(y).zip(rows) {
            copy(&from[x..x + len], &mut to[before..before + len]);
        }
    }

    /// Copies a row in; with zeros beside it where `MARGINS`.
    #[inline(always)]
    fn fill_row<const MARGINS: bool>(&self, from: &[f32], first: i64, to: &mut [f32]) {
        let phases = self.phases as i64;
        for (phase, to) in to.chunks_exact_mut(self.width).enumerate() {
            // to[x] = from[first + phase + x · phases]
            let start = first + phase as i64;
            let skipped = if start < 0 { (-start + phases - 1) / phases } else { 0 };
            let source = (start + skipped * phases) as usize;
            let (before, to) = to.split_at_mut((skipped as usize).min(self.width));
            let from = from.get(source..).unwrap_or(&[]);
            let (to, after) = to.split_at_mut(to.len().min(from.len().div_ceil(self.phases)));
            if MARGINS {
                before.fill(0.0);
                after.fill(0.0);
            }
            match self.phases {
                1 => copy(&from[..to.len()], to),
                2 => {
                    let (pairs, last) = from.as_chunks::<2>();
                    let (of_pairs, of_last) = to.split_at_mut(to.len().min(pairs.len()));
                    of_pairs.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
                    of_last.iter_mut().zip(last).for_each(|(to, last)| *to = *last);
                }
                phases => to.iter_mut().zip(from.iter().step_by(phases)).for_each(|(to, from)| *to = *from),
            }
        }
    }
}

/// Copies a row: most are short.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    if from.len() < 32 { copy_short(from, to) } else { to.copy_from_slice(from) }
}

fn inside(position: i64, size: usize) -> Option<usize> {
    usize::try_from(position).ok().filter(|&position| position < size)
}
