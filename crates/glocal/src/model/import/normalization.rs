//! Readers of normalisations: by running statistics, and by those of the sample itself.

use glocal_compute::Tensor;

use crate::error::ModelError;
use crate::model::import::elementwise::aligned;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::Value;
use crate::op::OpKind;
use crate::op::batch_normalization::BatchNormalization;
use crate::op::normalization::{Normalization, Statistic};

pub(super) fn batch(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
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

/// `LayerNormalization` and `RMSNormalization`: over the last axes.
pub(super) fn layer(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let view = reader.shape(x).to_vec();
    let first = reader.sample_axis(reader.int("axis")?.unwrap_or(-1), view.len() + 1)?;
    let epsilon = epsilon(reader)?;
    // The type that statistics are computed in: everything is single precision or better here.
    let _ = reader.int("stash_type")?;
    if (1..reader.output_count()).any(|index| reader.uses_output(index)) {
        return Err(unsupported("the second or third output of a normalisation, its statistics,"));
    }
    let parameter = |index, name| match reader.floats(index, name)? {
        Some(parameter) => aligned(reader, x, &parameter).map(Some),
        None => Ok(None),
    };
    let (scale, shift) = (parameter(1, "Scale")?, parameter(2, "B")?);
    let (kind, statistic) = match reader.op_type() {
        "LayerNormalization" => (OpKind::LayerNormalization, Statistic::Standard { epsilon }),
        _ => (OpKind::RmsNormalization, Statistic::RootMeanSquare { epsilon }),
    };
    let axes = (first..=view.len()).collect();
    reader.output(Normalization { kind, statistic, view, axes, scale, shift }, vec![x])
}

/// `InstanceNormalization` and `GroupNormalization`: over all positions of a channel, or of a group of them.
pub(super) fn instance_or_group(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let shape = reader.shape(x).to_vec();
    let [channels, positions @ ..] = shape.as_slice() else { return Err(wrong("input", "[N, C, ...]")) };
    let (channels, plane) = (*channels, positions.iter().product::<usize>());
    let statistic = Statistic::Standard { epsilon: epsilon(reader)? };
    let (kind, groups) = match reader.op_type() {
        "InstanceNormalization" => (OpKind::InstanceNormalization, channels),
        _ => {
            let _ = reader.int("stash_type")?;
            let groups = reader.int("num_groups")?.and_then(|groups| usize::try_from(groups).ok());
            let groups = groups.filter(|&groups| groups > 0 && channels.is_multiple_of(groups));
            let groups = groups.ok_or_else(|| wrong("num_groups", "a positive number that divides the channels"))?;
            (OpKind::GroupNormalization, groups)
        }
    };
    // One number a channel; a group before opset 21.
    let per_group = reader.op_type() == "GroupNormalization" && reader.opset() < 21;
    let count = if per_group { groups } else { channels };
    let parameter = |index, name| -> Result<Tensor, ModelError> {
        let given = reader.floats(index, name)?.filter(|given| given.shape() == [count]);
        let given = given.ok_or_else(|| wrong(name, "a constant of one number a channel (a group before opset 21)"))?;
        // There may be far more channels than groups.
        reader.take_room(channels.saturating_mul(size_of::<f32>()))?;
        let mut data = Vec::with_capacity(channels);
        for &value in given.data() {
            data.extend(std::iter::repeat_n(value, channels / count));
        }
        Ok(Tensor::new([&[1, channels], vec![1; positions.len()].as_slice()].concat(), data)?)
    };
    let (scale, shift) = (Some(parameter(1, "scale")?), Some(parameter(2, "B")?));
    let view = vec![groups, channels / groups * plane];
    reader.output(Normalization { kind, statistic, view, axes: vec![2], scale, shift }, vec![x])
}

pub(super) fn lp(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let view = reader.shape(x).to_vec();
    let axis = reader.sample_axis(reader.int("axis")?.unwrap_or(-1), view.len() + 1)?;
    let statistic = match reader.int("p")?.unwrap_or(2) {
        1 => Statistic::SumOfSizes,
        2 => Statistic::Length,
        _ => return Err(wrong("p", "1 or 2")),
    };
    let kind = OpKind::LpNormalization;
    reader.output(Normalization { kind, statistic, view, axes: vec![axis], scale: None, shift: None }, vec![x])
}

fn epsilon(reader: &NodeReader<'_>) -> Result<f32, ModelError> {
    let epsilon = reader.float("epsilon", 1e-5)?;
    if epsilon >= 0.0 { Ok(epsilon) } else { Err(wrong("epsilon", "a number of at least 0")) }
}
