//! The text form of numbers and positions: `3`, `3..9`, `3:7`, and `3..9:7..20` for all in a rectangle.

use std::ops::Range;

use glocal::concept::Site;

use super::error::ConditionErrorKind;

/// The positions of a layer that a text means, in row-major order over the axes that are not the channels'. `channel` is
/// only checked.
pub(super) fn positions(
    text: &str,
    channel: Option<usize>,
    layer: &str,
    site: &Site<'_>,
) -> Result<Vec<usize>, ConditionErrorKind> {
    let ranges = text.split(':').map(range).collect::<Result<Vec<Range<usize>>, _>>()?;
    let (shape, axis) = (site.shape(), site.channel_axis());
    let axes: Vec<usize> =
        shape.iter().enumerate().filter(|(other, _)| *other != axis).map(|(_, size)| *size).collect();
    let inside = ranges.len() == axes.len()
        && ranges.iter().zip(&axes).all(|(range, size)| !range.is_empty() && range.end <= *size)
        && channel.is_none_or(|channel| channel < site.channels());
    if !inside {
        let text = text.trim();
        let given = channel.map_or_else(|| format!("token:{text}"), |channel| format!("{channel}@{text}"));
        let (layer, shape) = (layer.to_owned(), shape.to_vec());
        return Err(ConditionErrorKind::Position { layer, given, shape, axis });
    }
    let along = |positions: Vec<usize>, (range, size): (&Range<usize>, &usize)| {
        positions.into_iter().flat_map(|position| range.clone().map(move |index| position * size + index)).collect()
    };
    Ok(ranges.iter().zip(&axes).fold(vec![0], along))
}

/// Numbers below `count`: `3,5..8`; the largest is `missing` where it is not.
pub(super) fn ranges(
    text: &str,
    count: usize,
    missing: impl Fn(usize) -> ConditionErrorKind,
) -> Result<Vec<usize>, ConditionErrorKind> {
    let mut ids = Vec::new();
    for text in text.split(',') {
        let range = range(text)?;
        if range.is_empty() {
            return Err(ConditionErrorKind::Number { text: text.trim().to_owned() });
        }
        // Checked before anything as long as the range is made.
        if range.end > count {
            return Err(missing(range.end - 1));
        }
        ids.extend(range);
    }
    Ok(ids)
}

/// One index, or all from the first to before the second.
fn range(text: &str) -> Result<Range<usize>, ConditionErrorKind> {
    match text.split_once("..") {
        Some((start, end)) => Ok(number(start)?..number(end)?),
        None => number(text).map(|index| index..index.saturating_add(1)),
    }
}

pub(super) fn number(text: &str) -> Result<usize, ConditionErrorKind> {
    text.trim().parse().map_err(|_| ConditionErrorKind::Number { text: text.trim().to_owned() })
}
