//! The reader of `Resize` and `Upsample`: which axes change, by how much, and how their elements are made.

mod interpolation;

use glocal_compute::Resampling;

use crate::error::ModelError;
use crate::model::NodeId;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::resample::{LONGEST_AXIS, TABLE_BYTES, too_long};
use crate::model::import::value::{Size, Value};
use crate::op::resample::{Purpose, Resample};
use interpolation::{Axis, Coordinates, Mode, Rounding};

pub(in crate::model::import) fn resize(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let old = reader.op_type() == "Upsample" || reader.opset() < 11;
    let (mode, coordinates) = (mode(reader, old)?, coordinates(reader, old)?);
    // What stands outside of the input, which only cropping shows.
    let _ = (reader.attribute("extrapolation_value"), reader.operand(1));
    if reader.flag("antialias", false)? {
        return Err(unsupported("a resize with antialiasing"));
    }
    let mut axes = Vec::new();
    for (axis, resized) in sizes(reader, x, old)? {
        if resized.to > LONGEST_AXIS {
            return Err(too_long(resized.to));
        }
        let mode = match mode {
            // What opset 10 leaves open, and runtimes do: fewer elements are taken from the next one.
            Mode::Nearest(_) if old && resized.scale < 1.0 => Mode::Nearest(Rounding::Ceil),
            mode => mode,
        };
        reader.take_room(resized.to * TABLE_BYTES)?;
        let taps = (0..resized.to).map(|index| mode.taps(coordinates.of(index, resized), resized.from));
        axes.push((axis, Resampling::new(resized.from, taps)?));
    }
    reader.output(Resample { purpose: Purpose::Resize, axes }, vec![x])
}

fn mode(reader: &NodeReader<'_>, old: bool) -> Result<Mode, ModelError> {
    let rounding = match reader.string("nearest_mode")?.unwrap_or(if old { "floor" } else { "round_prefer_floor" }) {
        "round_prefer_floor" => Rounding::PreferFloor,
        "round_prefer_ceil" => Rounding::PreferCeil,
        "floor" => Rounding::Floor,
        "ceil" => Rounding::Ceil,
        _ => return Err(wrong("nearest_mode", "round_prefer_floor, round_prefer_ceil, floor or ceil")),
    };
    let (a, exclude_outside) = (reader.float("cubic_coeff_a", -0.75)?, reader.flag("exclude_outside", false)?);
    match reader.string("mode")?.unwrap_or("nearest") {
        "nearest" => Ok(Mode::Nearest(rounding)),
        "linear" | "bilinear" => Ok(Mode::Linear),
        "cubic" => Ok(Mode::Cubic { a, exclude_outside }),
        _ => Err(wrong("mode", "nearest, linear or cubic")),
    }
}

fn coordinates(reader: &NodeReader<'_>, old: bool) -> Result<Coordinates, ModelError> {
    let default = if old { "asymmetric" } else { "half_pixel" };
    Ok(match reader.string("coordinate_transformation_mode")?.unwrap_or(default) {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "tf_half_pixel_for_nn" => Coordinates::TensorflowHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        mode => return Err(unsupported(format!("coordinate_transformation_mode {mode:?}"))),
    })
}

/// The axes of a sample whose size or scale is given, counted with the batch as 0, and how they change.
fn sizes(reader: &NodeReader<'_>, x: NodeId, old: bool) -> Result<Vec<(usize, Axis)>, ModelError> {
    let shape = reader.shape(x);
    let rank = shape.len() + 1;
    let axes = match reader.ints("axes")? {
        None => (0..rank).collect(),
        Some(axes) => {
            let counted = |axis: i64| usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok();
            let axes: Option<Vec<usize>> = axes.into_iter().map(counted).collect();
            axes.filter(|axes| axes.iter().all(|&axis| axis < rank))
                .ok_or_else(|| wrong("axes", "axes of the input"))?
        }
    };
    let policy = reader.string("keep_aspect_ratio_policy")?.unwrap_or("stretch");
    let given = |index| reader.floats(index, "scales").map(|given| given.filter(|scales| !scales.is_empty()));
    let scales = match (reader.attribute("scales"), old) {
        (Some(glocal_onnx::Attribute::Floats(scales)), true) => Some(scales.clone()),
        (Some(_), _) => return Err(wrong("scales", "a list of numbers")),
        (None, true) => given(1)?.map(|scales| scales.into_data()),
        (None, false) => given(2)?.map(|scales| scales.into_data()),
    };
    if let Some(scales) = scales {
        if scales.len() != axes.len() {
            return Err(wrong("scales", "one number for each axis"));
        }
        let mut resized = Vec::new();
        for (&axis, &scale) in axes.iter().zip(&scales) {
            match axis.checked_sub(1) {
                None if scale == 1.0 => {}
                None => return Err(unsupported("a resize of the batch")),
                // A scale of 1 changes no axis, whatever the coordinates.
                Some(_) if scale == 1.0 => {}
                Some(index) => {
                    let from = shape[index];
                    let to = (from as f32 * scale).floor();
                    if !(scale > 0.0 && to >= 1.0 && to <= u32::MAX as f32) {
                        return Err(wrong("scales", "positive, with at least one element left"));
                    }
                    resized.push((axis, Axis { from, to: to as usize, scale }));
                }
            }
        }
        return Ok(resized);
    }
    let sizes = if old { None } else { reader.constant(3, "sizes")?.and_then(|sizes| sizes.sizes()) };
    let sizes = sizes.ok_or_else(|| wrong("scales or sizes", "a constant"))?;
    if sizes.len() != axes.len() {
        return Err(wrong("sizes", "one number for each axis"));
    }
    let mut resized = Vec::new();
    for (&axis, size) in axes.iter().zip(sizes) {
        match (axis.checked_sub(1), size) {
            (None, size) if reader.is_batch(*size) => {}
            (None, _) => return Err(unsupported("a resize of the batch")),
            (Some(_), Size::Batch(_) | Size::Sample { .. }) => {
                return Err(unsupported("a size that depends on the batch"));
            }
            (Some(index), Size::Fixed(size)) => {
                let to = usize::try_from(*size).ok().filter(|&to| to > 0);
                let (from, to) = (shape[index], to.ok_or_else(|| wrong("sizes", "positive"))?);
                resized.push((axis, Axis { from, to, scale: to as f32 / from as f32 }));
            }
        }
    }
    // The batch takes part with a scale of 1 where it is among the axes.
    let of_batch = axes.contains(&0).then_some(1.0);
    let scales = resized.iter().map(|(_, axis)| axis.scale).chain(of_batch);
    let common = match policy {
        "stretch" => None,
        "not_larger" => scales.reduce(f32::min),
        "not_smaller" => scales.reduce(f32::max),
        _ => return Err(wrong("keep_aspect_ratio_policy", "stretch, not_larger or not_smaller")),
    };
    if of_batch.is_some() && common.is_some_and(|scale| scale != 1.0) {
        return Err(unsupported("a resize of the batch"));
    }
    for (_, axis) in &mut resized {
        if let Some(scale) = common {
            *axis = Axis { to: (axis.from as f32 * scale).round().max(1.0) as usize, scale, ..*axis };
        }
    }
    // An axis may keep its size and still be sampled elsewhere.
    Ok(resized.into_iter().filter(|(_, axis)| axis.scale != 1.0).collect())
}
