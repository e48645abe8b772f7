//! Planes of depthwise convolutions by lines: some padded rows at a time, and from them all output lines that need no
//! others, of every phase where there are phases.

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::axis::Axis;
use crate::tensor::has_memory_for;

use super::lines::{self, FEW_LINES, LANES, LINES, Lines};
use super::made::Made;
use super::rows::PaddedRows;

/// The elements of rows and lines that are held at a time, roughly: half of the first cache.
const HELD_ELEMENTS: usize = 1 << 12;

/// With longer periods there is little that shares have in common.
const LONGEST_PERIOD: usize = 4;

/// The rows that the windows of one line of each share touch together are at most as many, so that few rows are held.
const LONGEST_EXTENT: usize = 16;

/// One kernel's share of the output: lines and elements that it computes as a convolution of its own.
#[derive(Clone, Debug)]
pub(super) struct Share<'a> {
    pub(super) vertical: Axis,
    pub(super) horizontal: Axis,
    /// For each plane, the weights column by column.
    pub(super) kernels: &'a [f32],
    /// The first line and the first element that it writes.
    pub(super) offset: [usize; 2],
}

/// How planes of one size are computed.
pub(super) struct Planes<'a> {
    rows: PaddedRows,
    /// The rows between the windows of neighbouring lines.
    step: usize,
    /// For each line and element of a period of the output, whose it is; those of nobody are zeros.
    parts: Vec<Option<Part<'a>>>,
    period: [usize; 2],
    /// The size of the output.
    output: [usize; 2],
    /// The number of periods of lines.
    total: usize,
    /// Lines of each part that are computed from one filling of the rows.
    lines_at_once: usize,
    /// The rows that the windows of one line touch.
    extent: usize,
    /// The elements of all rows that are held, and of the lines of one part that are not written to the output at once.
    rows_len: usize,
    made_len: usize,
    /// The distance of those lines.
    pitch: usize,
}

#[derive(Clone)]
struct Part<'a> {
    lines: usize,
    width: usize,
    /// The row where the window of the first line starts.
    row: usize,
    columns: Vec<usize>,
    kernels: &'a [f32],
    kernel_rows: usize,
}

/// Why there are no [`Planes`].
pub(super) enum Refusal {
    /// They are computed otherwise.
    Unsupported,
    /// There is no memory for them.
    TooLarge,
}

impl<'a> Planes<'a> {
    /// Outputs of size `output`, of which every `period`th line and element is one share's.
    pub(super) fn new(shares: &[Share<'a>], period: [usize; 2], output: [usize; 2]) -> Result<Self, Refusal> {
        // single lines would be computed as several
        let is_line = output[0] == 1;
        if is_line || !shares.iter().all(is_supported) || period.iter().any(|&distance| distance > LONGEST_PERIOD) {
            return Err(Refusal::Unsupported);
        }
        let vertical = reach(shares.iter().map(|share| &share.vertical)).ok_or(Refusal::Unsupported)?;
        let extents = shares.iter().map(|share| {
            let row = share.vertical.reach().0.checked_sub(vertical.0)?;
            row.checked_add(share.vertical.taps.len() as i64)
        });
        let extent = extents.collect::<Option<Vec<_>>>().and_then(|extents| extents.into_iter().max());
        match extent.and_then(|extent| usize::try_from(extent).ok()) {
            Some(extent) if extent <= LONGEST_EXTENT => {
                Self::with_extent(extent, vertical.0, shares, period, output).ok_or(Refusal::TooLarge)
            }
            _ => Err(Refusal::Unsupported),
        }
    }

    /// `None` where there is no memory for it.
    fn with_extent(
        extent: usize,
        top: i64,
        shares: &[Share<'a>],
        period: [usize; 2],
        output: [usize; 2],
    ) -> Option<Self> {
        let Share { vertical, horizontal, .. } = shares.first()?;
        let step = usize::try_from(vertical.step).ok()?;
        let (left, right) = reach(shares.iter().map(|share| &share.horizontal))?;
        let columns = usize::try_from(right.checked_sub(left)?.checked_add(1)?).ok()?;
        let column_step = usize::try_from(horizontal.step).ok()?;
        let rows = PaddedRows::new([vertical.size, horizontal.size], [top, left], columns, column_step)?;
        let row_len = rows.row_len();
        let width = shares.iter().map(|share| share.horizontal.count).max()?;
        let pitch =
            if width <= row_len && row_len < LANES { row_len } else { width.checked_next_multiple_of(LANES)? };
        let part_count = period[0].checked_mul(period[1])?;
        let part_pitch = if period == [1; 2] { 0 } else { pitch };
        let of_line = step.checked_mul(row_len)?.checked_add(part_count.checked_mul(part_pitch)?)?;
        let total = output[0].div_ceil(period[0]);
        let lines_at_once = ((HELD_ELEMENTS / of_line / LINES).max(1) * LINES).min(total);
        let lines_read = lines_at_once.checked_add(if lines_at_once > FEW_LINES { LINES } else { FEW_LINES })?;
        // lines in pairs are two rows apart
        let rows_apart = if pitch == row_len { step.max(2) } else { step };
        let rows_len = rows.len(lines_read.checked_mul(rows_apart)?.checked_add(extent)?)?;
        let made_len = (lines_at_once + 1).checked_mul(part_pitch)?.checked_add(LANES)?;
        if !has_memory_for(rows_len.checked_add(made_len.checked_mul(part_count)?)?) {
            return None;
        }
        let mut parts = vec![None; part_count];
        for share in shares {
            *parts.get_mut(share.offset[0] * period[1] + share.offset[1])? = Some(part(share, &rows, top, left));
        }
        Some(Self { rows, step, parts, period, output, total, lines_at_once, extent, rows_len, made_len, pitch })
    }

    /// Room for padded rows and for lines of parts.
    pub(super) fn workspace(&self) -> Vec<f32> {
        vec![0.0; self.rows_len + self.parts.len() * self.made_len]
    }

    /// `workspace` comes from [`workspace`](Self::workspace), or from an earlier call.
    pub(super) fn run(&self, plane: usize, image: &[f32], workspace: &mut [f32], bias: f32, out: &mut [f32]) {
        Plane { planes: self, plane, image, workspace, bias, out }.dispatch();
    }
}

fn part<'a>(share: &Share<'a>, rows: &PaddedRows, top: i64, left: i64) -> Part<'a> {
    let Share { vertical, horizontal, kernels, .. } = share;
    let columns = horizontal.taps.iter().map(|tap| (horizontal.start + tap - left) as usize);
    Part {
        lines: vertical.count,
        width: horizontal.count,
        row: (vertical.reach().0 - top) as usize,
        columns: columns.map(|column| rows.column(column)).collect(),
        kernels,
        kernel_rows: vertical.taps.len(),
    }
}

/// Whether lines can compute it: neighbouring rows, and no more than two columns between windows.
fn is_supported(share: &Share<'_>) -> bool {
    let (vertical, horizontal) = (&share.vertical, &share.horizontal);
    vertical.taps.windows(2).all(|taps| taps[1] - taps[0] == 1)
        && lines::are_supported(vertical.taps.len(), vertical.step)
        && matches!(horizontal.step, 1 | 2)
}

/// The first and the last position that any of the axes touches.
fn reach<'a>(axes: impl Iterator<Item = &'a Axis>) -> Option<(i64, i64)> {
    axes.map(Axis::reach).reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

/// One output plane, for the machine's vectors.
struct Plane<'a> {
    planes: &'a Planes<'a>,
    plane: usize,
    image: &'a [f32],
    workspace: &'a mut [f32],
    bias: f32,
    out: &'a mut [f32],
}

impl SimdOp for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { planes, plane, image, workspace, bias, out } = self;
        let &Planes { ref rows, ref parts, step, period, lines_at_once, total, pitch, .. } = planes;
        let (held, made) = workspace.split_at_mut(planes.rows_len);
        let lanes = isa.f32().len();
        let is_paired = lanes == 2 * rows.row_len() && pitch == rows.row_len() && step == 1;
        let is_at_once = period == [1, 1];
        let is_whole = lines_at_once == total;
        let mut first = 0;
        while first < total {
            let count = lines_at_once.min(total - first);
            rows.fill(isa, image, first * step, (count - 1) * step + planes.extent, is_whole, held);
            for (index, part) in parts.iter().enumerate() {
                let Some(part) = part else { continue };
                let kernel_len = part.kernel_rows * part.columns.len();
                let mut lines = Lines {
                    rows: &held[part.row * rows.row_len()..],
                    row_len: rows.row_len(),
                    step,
                    columns: &part.columns,
                    kernel: &part.kernels[plane * kernel_len..][..kernel_len],
                    kernel_rows: part.kernel_rows,
                    bias,
                    height: count.min(part.lines.saturating_sub(first)),
                    width: part.width,
                    pitch: if is_at_once { part.width } else { pitch },
                    halves: None,
                };
                if is_paired && part.kernel_rows <= 3 {
                    let (height, pitch, halves) = (lines.height.div_ceil(2), 2 * lines.pitch, Some(lines.pitch));
                    lines = Lines { step: 2, height, width: lanes, pitch, halves, ..lines };
                }
                if is_at_once {
                    lines.compute(isa, &mut out[first * part.width..]);
                } else {
                    lines.compute(isa, &mut made[index * planes.made_len..][..planes.made_len]);
                }
            }
            if !is_at_once {
                let from = Made { elements: made, part_len: planes.made_len, pitch, period };
                from.write(first, count, planes.output, out);
            }
            first += count;
        }
    }
}

#[cfg(test)]
mod tests;
