//! Readers of `Conv`, `ConvTranspose` and `Gemm`.

use glocal_compute::{ConvolutionGeometry, Tensor};

use crate::error::ModelError;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::Value;
use crate::model::import::window::Window;
use crate::op::Parameters;
use crate::op::convolution::Convolution;
use crate::op::convolution_transpose::ConvolutionTranspose;
use crate::op::dense::Dense;

pub(super) fn convolution(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let weight = reader.floats(1, "W")?.ok_or_else(|| wrong("W", "a constant of weights"))?;
    let bias = reader.floats(2, "B")?;
    let [out, _, kernel @ ..] = weight.shape() else { return Err(wrong("W", "of shape [out, in / group, kernel...]")) };
    if kernel.is_empty() || kernel.len() > 3 {
        return Err(unsupported(format!("a convolution over {} axes", kernel.len())));
    }
    if reader.sizes("kernel_shape")?.is_some_and(|declared| declared != kernel) {
        return Err(wrong("kernel_shape", "the shape of the weights"));
    }
    if bias.as_ref().is_some_and(|bias| bias.shape() != [*out]) {
        return Err(wrong("B", "one number for each output channel"));
    }
    let group = group(reader, *out)?;
    let spatial = reader.shape(x).get(1..).unwrap_or(&[]).to_vec();
    let Window { strides, dilations, pads_begin, pads_end } = Window::read(reader, kernel, &spatial)?;
    let geometry = ConvolutionGeometry { strides, dilations, pads_begin, pads_end, group };
    reader.output(Convolution { parameters: Parameters::new(weight, bias), geometry }, vec![x])
}

pub(super) fn convolution_transpose(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let weight = reader.floats(1, "W")?.ok_or_else(|| wrong("W", "a constant of weights"))?;
    let bias = reader.floats(2, "B")?;
    let [inputs, outputs, kernel @ ..] = weight.shape() else {
        return Err(wrong("W", "of shape [in, out / group, kernel...]"));
    };
    if kernel.is_empty() || kernel.len() > 3 {
        return Err(unsupported(format!("a transposed convolution over {} axes", kernel.len())));
    }
    if reader.sizes("kernel_shape")?.is_some_and(|declared| declared != kernel) {
        return Err(wrong("kernel_shape", "the shape of the weights"));
    }
    let group = group(reader, *inputs)?;
    if bias.as_ref().is_some_and(|bias| outputs.checked_mul(group).is_none_or(|outputs| bias.shape() != [outputs])) {
        return Err(wrong("B", "one number for each output channel"));
    }
    let spatial = reader.shape(x).get(1..).unwrap_or(&[]).to_vec();
    let mut window = Window::read(reader, kernel, &spatial)?;
    let mut output_padding = reader.sizes("output_padding")?.unwrap_or_else(|| vec![0; kernel.len()]);
    let declared = reader.sizes("output_shape")?;
    if output_padding.len() != kernel.len() || declared.as_ref().is_some_and(|shape| shape.len() != kernel.len()) {
        return Err(wrong("output_padding and output_shape", "one number for each spatial axis"));
    }
    let mode = reader.string("auto_pad")?.unwrap_or("NOTSET");
    let same = mode.starts_with("SAME");
    for axis in (0..kernel.len()).filter(|_| same || declared.is_some()) {
        // The pads are what is too much of the full output.
        let stride = window.strides[axis];
        let wanted = declared.as_ref().map_or(spatial[axis].saturating_mul(stride), |shape| shape[axis]);
        let span = (kernel[axis] - 1).saturating_mul(window.dilations[axis]).saturating_add(1);
        let reach = spatial[axis].saturating_sub(1).saturating_mul(stride);
        let full = reach.saturating_add(span).saturating_add(output_padding[axis]);
        if same && full < wanted {
            return Err(unsupported(
                "auto_pad with a kernel smaller than its stride, which runtimes read differently,",
            ));
        }
        let pads = full.saturating_sub(wanted);
        output_padding[axis] += wanted.saturating_sub(full);
        let less = pads / 2;
        let (begin, end) = if mode == "SAME_UPPER" { (less, pads - less) } else { (pads - less, less) };
        (window.pads_begin[axis], window.pads_end[axis]) = (begin, end);
    }
    let Window { strides, dilations, pads_begin, pads_end } = window;
    let fits = |(index, &padding): (usize, &usize)| padding < strides[index].max(dilations[index]);
    if !output_padding.iter().enumerate().all(fits) {
        return Err(wrong("output_padding", "less than the stride or the dilation, for each spatial axis"));
    }
    let geometry = ConvolutionGeometry { strides, dilations, pads_begin, pads_end, group };
    let op = ConvolutionTranspose { parameters: Parameters::new(weight, bias), geometry, output_padding };
    reader.output(op, vec![x])
}

/// The number of groups, which divides `channels`.
fn group(reader: &NodeReader<'_>, channels: usize) -> Result<usize, ModelError> {
    let Some(group) = reader.int("group")? else { return Ok(1) };
    let group = usize::try_from(group).ok().filter(|&group| group > 0 && channels.is_multiple_of(group));
    group.ok_or_else(|| wrong("group", "a positive number that divides the channels of the weights"))
}

pub(super) fn gemm(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let matrix = reader.floats(1, "B")?.ok_or_else(|| wrong("B", "a constant matrix"))?;
    let (alpha, beta) = (reader.float("alpha", 1.0)?, reader.float("beta", 1.0)?);
    let transposed = reader.flag("transB", false)?;
    if reader.flag("transA", false)? {
        return Err(unsupported("a transposed A, which would mix samples,"));
    }
    let weight = scaled(if transposed { matrix } else { transpose(&matrix)? }, alpha)?;
    let units = weight.batch();
    let bias = match reader.floats(2, "C")? {
        None => None,
        Some(bias) if bias.len() == units && bias.rank() <= 2 && bias.shape().last() == Some(&units) => {
            Some(scaled(bias.reshape([units])?, beta)?)
        }
        Some(bias) if bias.len() == 1 => {
            reader.check_room(units.saturating_mul(size_of::<f32>()))?;
            Some(Tensor::full([units], bias.data()[0] * beta)?)
        }
        Some(_) => return Err(wrong("C", "one number for each output unit")),
    };
    reader.output(Dense { parameters: Parameters::new(weight, bias) }, vec![x])
}

/// A matrix `[C, K]` as `[K, C]`.
pub(super) fn transpose(matrix: &Tensor) -> Result<Tensor, ModelError> {
    let &[rows, columns] = matrix.shape() else { return Err(wrong("B", "a constant of two axes")) };
    if matrix.is_empty() {
        // However many columns of nothing.
        return Ok(Tensor::new([columns, rows], Vec::new())?);
    }
    // A list that grows on its way would take twice the memory for a moment.
    let mut data = Vec::with_capacity(matrix.len());
    for column in 0..columns {
        data.extend((0..rows).map(|row| matrix.data()[row * columns + column]));
    }
    Ok(Tensor::new([columns, rows], data)?)
}

fn scaled(mut tensor: Tensor, factor: f32) -> Result<Tensor, ModelError> {
    if factor != 1.0 {
        tensor.data_mut().iter_mut().for_each(|value| *value *= factor);
    }
    Ok(tensor)
}
