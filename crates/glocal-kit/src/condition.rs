//! The text form of conditions: `target=46; features.40=50,51; features.37=3`.

mod error;
mod positions;
mod selection;

use glocal::attribution::{Condition, Target};
use glocal::model::Model;

pub use error::{ConditionError, ConditionErrorKind};

use selection::Reader;

/// What a condition's target is called in its text.
const TARGET: &str = "target";

/// Reads a condition from its text: parts `NAME=CONCEPTS`, separated by `;`.
///
/// - `target=46`, `target=46,7`: the classes that relevance starts from; `target=predicted` the predicted class,
///   `target=all` the whole output. Where no part names a target it is `default`.
/// - `features.40=50,51`: relevance passes through these channels of the layer.
/// - `features.40=50@3:7`: through one neuron, channel 50 at row 3, column 7; with one spatial axis `50@7`, with
///   three `50@2:3:7`. `50@3..9:7..20` is a rectangle of neurons, rows 3 to 8 and columns 7 to 19: as a target, a class
///   inside a region of a segmentation map.
/// - `encoder.3=token:5,6`, `features.40=token:3:7`: through positions with all of their channels; rectangles as above.
/// - `encoder.3.attention=head:2,3/8`: through heads 2 and 3 of 8, equal ranges of channels.
/// - `features.40=direction:cav.npy#3,5`, `sae.safetensors#0..4`: through directions, rows of an array `[K, C]` (see
///   [`Direction`](glocal::concept::Direction) and [`load_directions`](crate::data::load_directions)).
///
/// A part holds concepts of one kind. Axes of a position are those of a sample without that of the channels, which is the
/// layer's to say (see [`Graph::channel_axis`](glocal::model::Graph::channel_axis)). Ends of ranges are not included.
///
/// The concepts of the target are those of the layer `start` where relevance starts, else of the explained output.
///
/// # Errors
/// When a part cannot be read, a layer is not in the model, a position is not in the layer, or directions cannot be read
/// or do not have the layer's channels. Channels and heads are not checked here but when relevance is asked for.
pub fn parse_condition(
    text: &str,
    model: &Model,
    start: Option<&str>,
    default: &Target,
) -> Result<Condition, ConditionError> {
    parse(text, &mut Reader::new(model), start, default)
}

/// The same for several conditions. Files of directions are read once, and conditions share the work that they have in common.
///
/// # Errors
/// As for one condition; the first that is wrong is told.
pub fn parse_conditions<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    model: &Model,
    start: Option<&str>,
    default: &Target,
) -> Result<Vec<Condition>, ConditionError> {
    let mut reader = Reader::new(model);
    texts.into_iter().map(|text| parse(text, &mut reader, start, default)).collect()
}

fn parse(
    text: &str,
    reader: &mut Reader<'_>,
    start: Option<&str>,
    default: &Target,
) -> Result<Condition, ConditionError> {
    let failed = |kind| ConditionError::new(text, kind);
    let mut condition = Condition { target: default.clone(), layers: Vec::new() };
    let mut has_target = false;
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let unreadable = || failed(ConditionErrorKind::Part { part: part.to_owned() });
        // The name of a file may hold an equals sign, and so may that of a layer.
        let of_file = part.find(selection::OF_FILE).map(|at| (&part[..at], &part[at + 1..]));
        let (name, concepts) = of_file.or_else(|| part.rsplit_once('=')).ok_or_else(unreadable)?;
        let (name, concepts) = (name.trim(), concepts.trim());
        if name != TARGET {
            let node = reader.layer(name).map_err(failed)?;
            condition.layers.push((name.to_owned(), reader.selection(concepts, name, node).map_err(failed)?));
            continue;
        }
        if std::mem::replace(&mut has_target, true) {
            return Err(failed(ConditionErrorKind::SeveralTargets));
        }
        condition.target = match concepts {
            "predicted" => Target::Predicted,
            "all" => Target::Everything,
            concepts => {
                let node = start.map_or(Ok(reader.explained()), |start| reader.layer(start)).map_err(failed)?;
                Target::Some(reader.selection(concepts, TARGET, node).map_err(failed)?)
            }
        };
    }
    if !has_target && condition.layers.is_empty() {
        return Err(failed(ConditionErrorKind::Empty));
    }
    Ok(condition)
}
