//! Readers of `Conv`, `ConvTranspose`, `Gemm`, `MatMul` and `BatchNormalization`.

use glocal_compute::{ConvolutionGeometry, Tensor};

use crate::error::ModelError;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::Value;
use crate::model::import::window::Window;
use crate::op::Parameters;
use crate::op::batch_normalization::BatchNormalization;
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
    if bias.as_ref().is_some_and(|bias| bias.shape() != [outputs * group]) {
        return Err(wrong("B", "one number for each output channel"));
    }
    if reader.attribute("output_shape").is_some() || !matches!(reader.string("auto_pad")?, None | Some("NOTSET")) {
        return Err(unsupported("a transposed convolution with an output shape in place of pads"));
    }
    let spatial = reader.shape(x).get(1..).unwrap_or(&[]).to_vec();
    let Window { strides, dilations, pads_begin, pads_end } = Window::read(reader, kernel, &spatial)?;
    let output_padding = reader.sizes("output_padding")?.unwrap_or_else(|| vec![0; kernel.len()]);
    let fits = |(index, &padding): (usize, &usize)| padding < strides[index].max(dilations[index]);
    if output_padding.len() != kernel.len() || !output_padding.iter().enumerate().all(fits) {
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
        Some(bias) if bias.len() == 1 => Some(Tensor::full([units], bias.data()[0] * beta)?),
        Some(_) => return Err(wrong("C", "one number for each output unit")),
    };
    reader.output(Dense { parameters: Parameters::new(weight, bias) }, vec![x])
}

pub(super) fn matmul(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let (Some(Value::Node(x)), Some(Value::Constant(_))) = (reader.operand(0), reader.operand(1)) else {
        return Err(unsupported("a matrix product other than activation × constant"));
    };
    let x = *x;
    let matrix = reader.floats(1, "B")?.ok_or_else(|| wrong("B", "a constant matrix"))?;
    reader.output(Dense { parameters: Parameters::new(transpose(&matrix)?, None) }, vec![x])
}

pub(super) fn batch_normalization(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let parameter = |index, name| reader.floats(index, name)?.ok_or_else(|| wrong(name, "a constant per channel"));
    let (scale, shift) = (parameter(1, "scale")?, parameter(2, "B")?);
    let (mean, variance) = (parameter(3, "input_mean")?, parameter(4, "input_var")?);
    let epsilon = reader.float("epsilon", 1e-5)?;
    // How running statistics are updated while training: nothing to do with inference.
    let _ = reader.float("momentum", 0.9)?;
    if reader.flag("training_mode", false)? || (1..reader.output_count()).any(|index| reader.has_output(index)) {
        return Err(unsupported("a batch normalisation in training mode"));
    }
    if variance.data().iter().any(|&variance| variance + epsilon <= 0.0) {
        return Err(wrong("input_var", "larger than −epsilon"));
    }
    let op = BatchNormalization::fold(scale.data(), shift.data(), mean.data(), variance.data(), epsilon)?;
    reader.output(op, vec![x])
}

/// A matrix `[C, K]` as `[K, C]`.
fn transpose(matrix: &Tensor) -> Result<Tensor, ModelError> {
    let &[rows, columns] = matrix.shape() else { return Err(wrong("B", "a constant of two axes")) };
    let data =
        (0..columns).flat_map(|column| (0..rows).map(move |row| matrix.data()[row * columns + column])).collect();
    Ok(Tensor::new([columns, rows], data)?)
}

fn scaled(mut tensor: Tensor, factor: f32) -> Result<Tensor, ModelError> {
    if factor != 1.0 {
        tensor.data_mut().iter_mut().for_each(|value| *value *= factor);
    }
    Ok(tensor)
}
