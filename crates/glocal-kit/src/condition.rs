//! The text form of conditions: `target=46; features.40=50,51; features.37=3`.

mod error;

use glocal::attribution::{Condition, Target};
use glocal::concept::Selection;
use glocal::model::{Model, NodeId};

pub use error::{ConditionError, ConditionErrorKind};

/// What a condition's target is called in its text.
const TARGET: &str = "target";

/// Reads a condition from its text: parts `NAME=IDS`, separated by `;`.
///
/// - `target=46`, `target=46,7`: the classes that relevance starts from; `target=predicted` the predicted class,
///   `target=all` the whole output. Where no part names a target it is `default`.
/// - `features.40=50,51`: relevance passes through these channels of the layer.
/// - `features.40=50@3:7`: through one neuron, channel 50 at row 3, column 7; with one spatial axis `50@7`, with
///   three `50@2:3:7`. A part holds channels or neurons, not both.
///
/// The numbers of the target are channels or neurons of the layer `start` where relevance starts, else of the explained
/// output.
///
/// # Errors
/// When a part cannot be read, a layer is not in the model, or a position is not in the layer. Channels are not checked
/// here but when relevance is asked for.
pub fn parse_condition(
    text: &str,
    model: &Model,
    start: Option<&str>,
    default: &Target,
) -> Result<Condition, ConditionError> {
    let failed = |kind| ConditionError::new(text, kind);
    let mut condition = Condition { target: default.clone(), layers: Vec::new() };
    let mut has_target = false;
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let unreadable = || failed(ConditionErrorKind::Part { part: part.to_owned() });
        let (name, ids) = part.rsplit_once('=').ok_or_else(unreadable)?;
        let (name, ids) = (name.trim(), ids.trim());
        if name != TARGET {
            let node = model.layer(name).map_err(|cause| failed(ConditionErrorKind::Layer(cause)))?;
            condition.layers.push((name.to_owned(), selection(ids, name, model, node).map_err(failed)?));
            continue;
        }
        if std::mem::replace(&mut has_target, true) {
            return Err(failed(ConditionErrorKind::SeveralTargets));
        }
        condition.target = match ids {
            "predicted" => Target::Predicted,
            "all" => Target::Everything,
            ids => {
                let found = start.map_or(Ok(model.explained()), |start| model.layer(start));
                let node = found.map_err(|cause| failed(ConditionErrorKind::Layer(cause)))?;
                Target::Some(selection(ids, TARGET, model, node).map_err(failed)?)
            }
        };
    }
    if !has_target && condition.layers.is_empty() {
        return Err(failed(ConditionErrorKind::Empty));
    }
    Ok(condition)
}

fn selection(ids: &str, layer: &str, model: &Model, node: NodeId) -> Result<Selection, ConditionErrorKind> {
    let shape = &model.graph().node(node).shape;
    let mut channels = Vec::new();
    let mut neurons = Vec::new();
    for id in ids.split(',').map(str::trim) {
        match id.split_once('@') {
            None => channels.push(number(id)?),
            Some((channel, position)) => neurons.push(neuron(number(channel)?, position, layer, shape)?),
        }
    }
    match (channels.is_empty(), neurons.is_empty()) {
        (false, false) => Err(ConditionErrorKind::Mixed { layer: layer.to_owned() }),
        (_, true) => Ok(Selection::channels(channels)),
        _ => Ok(Selection::neurons(neurons)),
    }
}

/// The row-major index of a channel at a position.
fn neuron(channel: usize, position: &str, layer: &str, shape: &[usize]) -> Result<usize, ConditionErrorKind> {
    let position = position.split(':').map(number).collect::<Result<Vec<usize>, _>>()?;
    let given: Vec<usize> = [&[channel], position.as_slice()].concat();
    let inside = given.len() == shape.len() && given.iter().zip(shape).all(|(index, size)| index < size);
    if !inside {
        let (layer, shape) = (layer.to_owned(), shape.to_vec());
        return Err(ConditionErrorKind::Neuron { layer, given, shape });
    }
    Ok(given.iter().zip(shape).fold(0, |flat, (index, size)| flat * size + index))
}

fn number(text: &str) -> Result<usize, ConditionErrorKind> {
    text.trim().parse().map_err(|_| ConditionErrorKind::Number { text: text.trim().to_owned() })
}
