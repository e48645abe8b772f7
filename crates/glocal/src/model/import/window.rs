//! Readers of ops that slide a window or fold whole axes: pools and reductions.

use glocal_compute::PoolGeometry;

use crate::error::ModelError;
use crate::model::NodeId;
use crate::model::import::reader::{NodeReader, unsupported, wrong};
use crate::model::import::value::Value;
use crate::op::activation::{Activation, Identity};
use crate::op::layout::{Reshape, Transpose};
use crate::op::pool::{AveragePool, MaxPool};
use crate::op::reduce::{Fold, Reduce};

/// How much larger padding may make an input, planes up to [`SMALL_PLANE`] aside: sizes of a file are not to be trusted.
const LARGEST_GROWTH: usize = 16;

/// A padded plane that is never too large.
const SMALL_PLANE: usize = 1 << 20;

/// How a window moves: the attributes that convolutions and pools share, `auto_pad` resolved.
pub(super) struct Window {
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) pads_begin: Vec<usize>,
    pub(super) pads_end: Vec<usize>,
}

impl Window {
    pub(super) fn read(reader: &NodeReader<'_>, kernel: &[usize], input: &[usize]) -> Result<Self, ModelError> {
        let rank = kernel.len();
        let steps = |name: &'static str| -> Result<Vec<usize>, ModelError> {
            match reader.sizes(name)? {
                None => Ok(vec![1; rank]),
                Some(steps) if steps.len() == rank && !steps.contains(&0) => Ok(steps),
                Some(_) => Err(wrong(name, "one positive number for each spatial axis")),
            }
        };
        if input.len() != rank || kernel.contains(&0) {
            return Err(wrong("kernel_shape", "one positive size for each spatial axis of the input"));
        }
        let (strides, dilations) = (steps("strides")?, steps("dilations")?);
        let pads = match reader.sizes("pads")? {
            None => vec![0; 2 * rank],
            Some(pads) if pads.len() == 2 * rank => pads,
            Some(_) => return Err(wrong("pads", "two numbers for each spatial axis")),
        };
        let (pads_begin, pads_end) = match reader.string("auto_pad")?.unwrap_or("NOTSET") {
            "NOTSET" => (pads[..rank].to_vec(), pads[rank..].to_vec()),
            "VALID" => (vec![0; rank], vec![0; rank]),
            mode @ ("SAME_UPPER" | "SAME_LOWER") => {
                let total = |axis: usize| {
                    let span = (kernel[axis] - 1).saturating_mul(dilations[axis]).saturating_add(1);
                    let reach = (input[axis].div_ceil(strides[axis]).saturating_sub(1)).saturating_mul(strides[axis]);
                    reach.saturating_add(span).saturating_sub(input[axis])
                };
                let less: Vec<usize> = (0..rank).map(|axis| total(axis) / 2).collect();
                let more: Vec<usize> = (0..rank).map(|axis| total(axis) - total(axis) / 2).collect();
                if mode == "SAME_UPPER" { (less, more) } else { (more, less) }
            }
            _ => return Err(wrong("auto_pad", "NOTSET, VALID, SAME_UPPER or SAME_LOWER")),
        };
        let volume = |sizes: &mut dyn Iterator<Item = usize>| sizes.fold(1usize, usize::saturating_mul);
        let padded = volume(&mut (0..rank).map(|axis| input[axis] + pads_begin[axis] + pads_end[axis]));
        let limit = volume(&mut input.iter().copied()).saturating_mul(LARGEST_GROWTH).saturating_add(SMALL_PLANE);
        if padded > limit {
            return Err(unsupported(format!(
                "a padding that makes an input of {input:?} more than {LARGEST_GROWTH} times as large"
            )));
        }
        Ok(Self { strides, dilations, pads_begin, pads_end })
    }
}

pub(super) fn pool(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let spatial = reader.shape(x).get(1..).unwrap_or(&[]).to_vec();
    if spatial.is_empty() || spatial.len() > 3 {
        return Err(unsupported(format!("a pool over {} axes", spatial.len())));
    }
    let (global, maximum) = match reader.op_type() {
        "GlobalAveragePool" => (true, false),
        "GlobalMaxPool" => (true, true),
        op_type => (false, op_type == "MaxPool"),
    };
    if global && !maximum {
        let axes = (2..spatial.len() + 2).collect();
        return reader.output(Reduce { fold: Fold::GlobalAveragePool, axes, keep_axes: true }, vec![x]);
    }
    let kernel = match global {
        true => spatial.clone(),
        false => reader.sizes("kernel_shape")?.ok_or_else(|| wrong("kernel_shape", "given"))?,
    };
    let Window { strides, dilations, pads_begin, pads_end } = Window::read(reader, &kernel, &spatial)?;
    let ceil_mode = reader.flag("ceil_mode", false)?;
    let geometry = PoolGeometry { kernel, strides, dilations, pads_begin, pads_end, ceil_mode };
    if !maximum {
        let count_include_pad = reader.flag("count_include_pad", false)?;
        return reader.output(AveragePool { geometry, count_include_pad }, vec![x]);
    }
    if reader.uses_output(1) {
        return Err(unsupported("the second output of a max pool, its indices,"));
    }
    // It says how indices are counted, which nobody asked for.
    let _ = reader.flag("storage_order", false)?;
    reader.output(MaxPool { geometry }, vec![x])
}

pub(super) fn reduce(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    let x = reader.activation(0)?;
    let shape = reader.shape(x).to_vec();
    let rank = shape.len() + 1;
    let given = reader.list(1, "axes")?;
    let keep_axes = reader.flag("keepdims", true)?;
    let nothing = reader.flag("noop_with_empty_axes", false)?;
    let given = given.filter(|axes| !axes.is_empty());
    if given.is_none() && nothing {
        // No axis is folded; what is done to each element still is.
        return match reader.op_type() {
            "ReduceL1" | "ReduceL2" => reader.output(Activation::Absolute, vec![x]),
            "ReduceSumSquare" => reader.output(Activation::Power { exponent: 2.0 }, vec![x]),
            _ => reader.output(Identity, vec![x]),
        };
    }
    let Some(given) = given else { return Err(unsupported("a reduction over all axes, which would mix samples,")) };
    let mut axes = given.iter().map(|&axis| reader.sample_axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let fold = |fold| Reduce { fold, axes: axes.clone(), keep_axes };
    match reader.op_type() {
        "ReduceMean" => reader.output(fold(Fold::Mean), vec![x]),
        "ReduceMax" => maximum(reader, x, &axes, keep_axes),
        "ReduceL1" => {
            let sizes = reader.add(Activation::Absolute, vec![x])?;
            reader.output(fold(Fold::Sum), vec![sizes])
        }
        "ReduceL2" => {
            let squares = reader.add(Activation::Power { exponent: 2.0 }, vec![x])?;
            let sum = reader.add(fold(Fold::Sum), vec![squares])?;
            reader.output(Activation::Power { exponent: 0.5 }, vec![sum])
        }
        "ReduceSumSquare" => {
            let squares = reader.add(Activation::Power { exponent: 2.0 }, vec![x])?;
            reader.output(fold(Fold::Sum), vec![squares])
        }
        _ => reader.output(fold(Fold::Sum), vec![x]),
    }
}

/// The largest element over whole axes: they are brought together, and a window over all of them is a max pool.
fn maximum(reader: &mut NodeReader<'_>, x: NodeId, axes: &[usize], keep_axes: bool) -> Result<Vec<Value>, ModelError> {
    let shape = reader.shape(x).to_vec();
    let folded = |axis: &usize| axes.contains(axis);
    let kept: Vec<usize> = (1..=shape.len()).filter(|axis| !folded(axis)).collect();
    let size = |axes: &[usize]| axes.iter().map(|axis| shape[axis - 1]).product::<usize>();
    let permutation: Vec<usize> = [&[0], kept.as_slice(), axes].concat();
    let turned = match permutation.is_sorted() {
        true => x,
        false => reader.add(Transpose { permutation }, vec![x])?,
    };
    let window = size(axes);
    let lines = reader.add(Reshape { shape: vec![size(&kept), window] }, vec![turned])?;
    let (one, none) = (vec![1], vec![0]);
    let geometry = PoolGeometry {
        kernel: vec![window],
        strides: one.clone(),
        dilations: one,
        pads_begin: none.clone(),
        pads_end: none,
        ceil_mode: false,
    };
    let largest = reader.add(MaxPool { geometry }, vec![lines])?;
    let shape = (1..=shape.len()).filter(|axis| keep_axes || !folded(axis));
    let shape = shape.map(|axis| if folded(&axis) { 1 } else { reader.shape(x)[axis - 1] }).collect();
    reader.output(Reshape { shape }, vec![largest])
}
