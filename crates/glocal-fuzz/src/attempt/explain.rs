//! An imported model is canonized, given rules, run on odd inputs and explained, if it is small.

use glocal::attribution::{Condition, Initial, Request, Scope};
use glocal::composite::{Preset, PresetParameters};
use glocal::concept::Selection;
use glocal::op::{OpKind, Structure};
use glocal::{Attributor, Model, canonize};
use glocal_compute::Tensor;

use super::said;
use crate::random::Random;

/// The samples of a batch.
const BATCH: usize = 2;

/// Networks with more values than this are not run.
const MOST_ELEMENTS: usize = 1 << 17;

/// Networks that multiply more often than this are not run.
const MOST_STEPS: usize = 1 << 23;

/// Whether the model was explained; an error without words is a fault.
pub(super) fn explain(model: &Model, choice: u64) -> Result<bool, String> {
    let mut random = Random::for_case(choice, 0);
    let model = match if random.once_in(4) { Ok(model.clone()) } else { canonize(model) } {
        Ok(model) => model,
        // Every model that was imported can be canonized.
        Err(error) => return Err(format!("not canonized: {}", said(&error)?)),
    };
    let preset = Preset::ALL[random.below(Preset::ALL.len())];
    let parameters = PresetParameters { low: Some(-2.0), high: Some(2.0), ..PresetParameters::default() };
    let composite = preset.composite(&parameters).map_err(|error| error.to_string())?;
    let names: Vec<String> = model.graph().nodes().map(|(_, node)| node.display_name().to_owned()).collect();
    if !is_small(&model) {
        // Rules are given all the same.
        if let Err(error) = composite.resolve(&model) {
            said(&error)?;
        }
        return Ok(false);
    }
    let attributor = match Attributor::new(model, composite) {
        Ok(attributor) => attributor,
        Err(error) => return said(&error).map(|_| false),
    };
    let input = input(attributor.model().input_shape(), &mut random)?;
    let request = request(&names, &mut random);
    match attributor.attribute(&input, &request) {
        Ok(attributions) => Ok(!attributions.items.is_empty()),
        Err(error) => said(&error).map(|_| false),
    }
}

/// Whether running the model takes milliseconds.
fn is_small(model: &Model) -> bool {
    let mut elements = 0_usize;
    let mut steps = 0_usize;
    let size = |shape: &[usize]| shape.iter().fold(1_usize, |count, &axis| count.saturating_mul(axis));
    for (_, node) in model.graph().nodes() {
        let out = size(&node.shape);
        let inputs = node.inputs.iter().map(|input| size(&model.graph().node(*input).shape));
        let largest = inputs.max().unwrap_or(1);
        let per_element = match node.op.structure() {
            Structure::Convolution(op) => op.parameters.weight().row_len(),
            Structure::ConvolutionTranspose(op) => op.parameters.weight().len(),
            Structure::Dense(op) => op.parameters.weight().row_len(),
            _ if matches!(node.op.kind(), OpKind::Relu | OpKind::BatchNormalization) => 1,
            // Whatever they do, they read each input at most once for each output.
            _ if matches!(node.op.kind(), OpKind::MaxPool | OpKind::AveragePool) => largest,
            _ => largest.min(1 << 10),
        };
        elements = elements.saturating_add(out);
        steps = steps.saturating_add(out.saturating_mul(per_element));
    }
    elements <= MOST_ELEMENTS && steps <= MOST_STEPS
}

fn input(shape: &[usize], random: &mut Random) -> Result<Tensor, String> {
    let shape = [&[BATCH], shape].concat();
    let count: usize = shape.iter().product();
    let odd = random.once_in(4);
    let value = |random: &mut Random| if odd { random.float() } else { random.below(2001) as f32 / 500.0 - 2.0 };
    Tensor::new(shape, (0..count).map(|_| value(random)).collect()).map_err(|error| error.to_string())
}

fn request(names: &[String], random: &mut Random) -> Request {
    let mut request = Request::default();
    let mut name = || random.one_of(names).cloned().unwrap_or_default();
    let (recorded, conditioned, start) = (name(), name(), name());
    let condition = match random.below(4) {
        0 => Condition::predicted(),
        1 => Condition::everything(),
        2 => Condition::class(random.below(5)),
        _ => Condition::predicted().through(conditioned, Selection::channels([random.below(4)])),
    };
    request.conditions = vec![condition];
    request.record = vec![recorded];
    if random.once_in(3) {
        request.scope = Scope::Whole;
    }
    if random.once_in(5) {
        request.start = Some(start);
        request.initial = Initial::One;
    }
    request
}
