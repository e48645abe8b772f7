//! The right operand of a convolution's matrix product: the image's windows as columns, never laid out in memory.

use rten_gemm::{ColOffsets, GemmInputA, GemmInputB, Im2Col, PackedAMatrix, RowOffsets};
use rten_tensor::NdTensorView;

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::{self, Bias, executor};
use crate::{ComputeError, ComputeErrorKind};

use super::padded::PaddedImage;

/// How the columns of one layer's windows are found in an image, and the workspace for it. Row `channel · taps + tap`,
/// column: output position.
#[derive(Clone, Debug)]
pub(super) struct Unroll {
    kind: Kind,
    channels: usize,
    plane: usize,
    columns: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A window is one element, the same as the output's: the image is the matrix.
    Image,
    /// Two axes: the product checks each access for padding.
    Plane { tables: Tables, height: usize, width: usize },
    /// Three axes: the image is padded first, so that no access lies outside.
    Volume(Box<Volume>),
}

#[derive(Clone, Debug)]
struct Volume {
    tables: Tables,
    padded: PaddedImage,
    buffer: Vec<f32>,
}

/// Offsets into the image that add up to an element's position.
#[derive(Clone, Debug, Default)]
struct Tables {
    row_channel: Vec<i32>,
    row_y: Vec<i32>,
    row_x: Vec<i32>,
    column_y: Vec<i32>,
    column_x: Vec<i32>,
    rows: usize,
}

impl Unroll {
    /// The windows that `axes` describe, over images of `channels` channels. Every axis has a tap and an output element.
    pub(super) fn new(operation: &'static str, axes: &[Axis; 3], channels: usize) -> Result<Self, ComputeError> {
        let plane = axes.iter().map(|axis| axis.size).product::<usize>();
        let columns = axes.iter().map(|axis| axis.count).product::<usize>();
        let [_, height, width] = [axes[0].size, axes[1].size, axes[2].size];
        let kind = if axes.iter().all(Axis::is_identity) {
            Kind::Image
        } else if axes[0].is_identity() && axes[0].size == 1 {
            Kind::Plane {
                tables: Tables::plane(axes, channels).ok_or_else(|| too_large(operation, axes))?,
                height,
                width,
            }
        } else {
            let padded = PaddedImage::new(axes, channels, 0).ok_or_else(|| too_large(operation, axes))?;
            let tables = Tables::volume(axes, channels, &padded).ok_or_else(|| too_large(operation, axes))?;
            Kind::Volume(Box::new(Volume { tables, buffer: vec![0.0; padded.len()], padded }))
        };
        let small_enough = channels.checked_mul(plane).is_some_and(|len| i32::try_from(len).is_ok());
        if small_enough { Ok(Self { kind, channels, plane, columns }) } else { Err(too_large(operation, axes)) }
    }

    /// The number of output positions.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// `out = weight · windows(image) + bias`.
    pub(super) fn multiply(
        &mut self,
        operation: &'static str,
        out: &mut [f32],
        weight: &PackedAMatrix<f32>,
        image: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<(), ComputeError> {
        let (weight, bias) = (GemmInputA::Packed(weight), Bias::rows(bias));
        match &mut self.kind {
            Kind::Image => {
                let b = gemm::matrix(image, self.channels, self.plane);
                gemm::multiply(operation, out, weight, GemmInputB::Unpacked(b), bias)
            }
            Kind::Plane { tables, height, width } => {
                let view = NdTensorView::from_data([self.channels, *height, *width], image);
                let limits = ((*height as i32 - 1) * *width as i32, *width as i32 - 1);
                tables.with(view, self.columns, limits, |windows| {
                    gemm::multiply(operation, out, weight, GemmInputB::Im2Col(windows), bias)
                })
            }
            Kind::Volume(volume) => {
                let Volume { tables, padded, buffer } = volume.as_mut();
                padded.fill(image, buffer);
                let view = NdTensorView::from_data([1, 1, buffer.len()], &buffer[..]);
                tables.with(view, self.columns, (i32::MAX, i32::MAX), |windows| {
                    gemm::multiply(operation, out, weight, GemmInputB::Im2Col(windows), bias)
                })
            }
        }
    }
}

impl Tables {
    /// Tables of a plane, whose accesses are checked: `y` counts whole rows, `x` elements. `None` on overflow.
    fn plane(axes: &[Axis; 3], channels: usize) -> Option<Self> {
        let [_, vertical, horizontal] = axes;
        let (height, width) = (vertical.size as i64, horizontal.size as i64);
        let mut tables = Self::default();
        for channel in 0..channels as i64 {
            for &y in &vertical.taps {
                for &x in &horizontal.taps {
                    tables.push_row(channel * height * width, y.checked_mul(width)?, x)?;
                }
            }
        }
        for y in 0..vertical.count as i64 {
            let y = (vertical.start + y * vertical.step).checked_mul(width)?;
            for x in 0..horizontal.count as i64 {
                tables.push_column(y, horizontal.start + x * horizontal.step)?;
            }
        }
        tables.stays_in_range()?;
        tables.pad_to_steps();
        Some(tables)
    }

    /// Tables of a padded volume, where every access is inside. `None` on overflow.
    fn volume(axes: &[Axis; 3], channels: usize, padded: &PaddedImage) -> Option<Self> {
        let [deep, vertical, horizontal] = axes;
        let mut tables = Self::default();
        for channel in 0..channels {
            for z in 0..deep.taps.len() {
                for y in 0..vertical.taps.len() {
                    for x in 0..horizontal.taps.len() {
                        tables.push_row(padded.tap_offset(channel, [z, y, x]) as i64, 0, 0)?;
                    }
                }
            }
        }
        for z in 0..deep.count {
            for y in 0..vertical.count {
                for x in 0..horizontal.count {
                    tables.push_column(padded.output_offset([z, y, x]) as i64, 0)?;
                }
            }
        }
        tables.pad_to_steps();
        Some(tables)
    }

    fn push_row(&mut self, channel: i64, y: i64, x: i64) -> Option<()> {
        self.row_channel.push(i32::try_from(channel).ok()?);
        self.row_y.push(i32::try_from(y).ok()?);
        self.row_x.push(i32::try_from(x).ok()?);
        self.rows += 1;
        Some(())
    }

    fn push_column(&mut self, y: i64, x: i64) -> Option<()> {
        self.column_y.push(i32::try_from(y).ok()?);
        self.column_x.push(i32::try_from(x).ok()?);
        Some(())
    }

    /// Whether no sum of a row's and a column's offset overflows.
    fn stays_in_range(&self) -> Option<()> {
        let extremes = |values: &[i32]| {
            let low = values.iter().min().copied().unwrap_or(0);
            (i64::from(low), i64::from(values.iter().max().copied().unwrap_or(0)))
        };
        let pairs = [(&self.row_y, &self.column_y), (&self.row_x, &self.column_x)];
        let mut total = extremes(&self.row_channel);
        for (rows, columns) in pairs {
            let (rows, columns) = (extremes(rows), extremes(columns));
            total = (total.0 + rows.0 + columns.0, total.1 + rows.1 + columns.1);
        }
        i32::try_from(total.0).ok()?;
        i32::try_from(total.1).ok()?;
        Some(())
    }

    /// Fills the tables up to what the kernel reads at once; the result of these columns is not used.
    fn pad_to_steps(&mut self) {
        let executor = executor();
        let rows = self.row_channel.len().next_multiple_of(executor.im2col_row_count_step());
        let columns = self.column_y.len().next_multiple_of(executor.im2col_col_count_step());
        for table in [&mut self.row_channel, &mut self.row_y, &mut self.row_x] {
            table.resize(rows, 0);
        }
        for table in [&mut self.column_y, &mut self.column_x] {
            table.resize(columns, 0);
        }
    }

    /// Lends the tables to a product over `image`, whose interface wants to own them.
    fn with<R>(
        &mut self,
        image: NdTensorView<'_, f32, 3>,
        columns: usize,
        (max_y_offset, max_x_offset): (i32, i32),
        multiply: impl FnOnce(&Im2Col<'_, f32>) -> R,
    ) -> R {
        let take = std::mem::take;
        let windows = Im2Col {
            image,
            row_offsets: RowOffsets {
                chan: take(&mut self.row_channel),
                y: take(&mut self.row_y),
                x: take(&mut self.row_x),
            },
            col_offsets: ColOffsets { y: take(&mut self.column_y), x: take(&mut self.column_x) },
            n_cols: columns,
            n_rows: self.rows,
            max_y_offset,
            max_x_offset,
        };
        let result = multiply(&windows);
        let Im2Col { row_offsets, col_offsets, .. } = windows;
        (self.row_channel, self.row_y, self.row_x) = (row_offsets.chan, row_offsets.y, row_offsets.x);
        (self.column_y, self.column_x) = (col_offsets.y, col_offsets.x);
        result
    }
}

fn too_large(operation: &'static str, axes: &[Axis; 3]) -> ComputeError {
    let shape = axes.iter().map(|axis| axis.size).collect();
    ComputeError::new(operation, ComputeErrorKind::TooLarge { shape })
}
