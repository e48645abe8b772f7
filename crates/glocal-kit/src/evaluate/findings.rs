//! What an evaluation found: curves, areas and their differences, over samples.

use glocal::faithfulness::{Direction, Estimate, Order, area, fractions};

use super::measure::{Measured, Panel, Work};
use super::{EvaluateError, EvaluateErrorKind, Replacement, Subject};
use crate::store::SkippedSample;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// The number of samples that curves are means of.
    pub samples: usize,
    /// The samples that were passed over, by their numbers.
    pub skipped: Vec<SkippedSample>,
    /// The curves: by subject, then replacement, then direction, as they were asked for.
    pub curves: Vec<Curves>,
}

/// The curves of one subject, replacement and direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// What is cut into parts.
    pub subject: Subject,
    /// The shape of its value for one sample.
    pub shape: Vec<usize>,
    /// The number of its parts.
    pub parts: usize,
    /// What takes their place.
    pub replacement: Replacement,
    /// Whether they are replaced or put back.
    pub direction: Direction,
    /// After how many parts the curves are taken.
    pub counts: Vec<usize>,
    /// The mean logit of the unmodified model.
    pub original: Estimate,
    /// The mean change of the logit with all parts replaced.
    pub replaced: Estimate,
    /// A curve for each order, as they were asked for.
    pub orders: Vec<OrderCurve>,
    /// What lies between the areas of every two orders.
    pub differences: Vec<AreaDifference>,
}

/// The curve of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderCurve {
    /// What decided which part comes first.
    pub order: Order,
    /// The mean change of the target's logit from that of the unmodified model, for each of the counts.
    pub change: Vec<Estimate>,
    /// The mean logit.
    pub logit: Vec<Estimate>,
    /// The area under the change, over the fraction of parts: its mean height. Under flipping, the lower the more faithful; under
    /// insertion, the higher.
    pub area: Estimate,
    /// The same between the logit with all parts replaced (0) and that of the unmodified model (1), both means over samples; NaN
    /// where the two are equal.
    pub normalized_area: Estimate,
}

/// What lies between the areas of two orders, over the same resamples.
#[derive(Debug, Clone, PartialEq)]
pub struct AreaDifference {
    /// Of this order's area
    pub of: Order,
    /// that of this order is taken away.
    pub minus: Order,
    /// The difference of areas.
    pub area: Estimate,
    /// The difference of normalised areas.
    pub normalized_area: Estimate,
    /// Whether the intervals of both orders' areas have no point in common: a stricter test than that the difference's interval
    /// does not hold 0, as differences are paired by sample.
    pub apart: bool,
}

impl AreaDifference {
    /// Whether the interval of the difference of areas does not hold 0.
    pub fn is_clear(&self) -> bool {
        self.area.interval.is_some_and(|interval| interval.low > 0.0 || interval.high < 0.0)
    }
}

pub(super) fn gather(
    work: &Work<'_>,
    measured: &[Measured],
    skipped: Vec<SkippedSample>,
) -> Result<Findings, EvaluateError> {
    let mut curves = Vec::new();
    for (index, panel) in work.panels().enumerate() {
        if work.cancel.is_cancelled() {
            return Err(EvaluateErrorKind::Cancelled { done: measured.len(), total: measured.len() }.into());
        }
        curves.push(curves_of(work, panel, measured, index));
    }
    Ok(Findings { samples: measured.len(), skipped, curves })
}

/// Every two of `count`, the earlier first.
fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |of| (of + 1..count).map(move |minus| (of, minus)))
}

fn curves_of(work: &Work<'_>, panel: Panel<'_>, measured: &[Measured], index: usize) -> Curves {
    let Panel { place, replacement, direction } = panel;
    let (orders, counts) = (&work.options.orders, work.counts(place));
    let at = fractions(&counts);
    let row = |sample: &Measured| {
        let logits = sample.panels.get(index).map_or(&[][..], Vec::as_slice);
        [sample.original].iter().chain(logits).map(|&logit| f64::from(logit)).collect::<Vec<f64>>()
    };
    let rows: Vec<Vec<f64>> = measured.iter().map(row).collect();
    // In this order they are taken apart below.
    let statistics = |means: &[f64]| {
        let Some((&original, logits)) = means.split_first() else { return Vec::new() };
        let replaced = match direction {
            Direction::Flipping => logits.get(counts.len() - 1),
            Direction::Insertion => logits.first(),
        };
        let replaced = replaced.map_or(f64::NAN, |logit| logit - original);
        let mut found = vec![original, replaced];
        let (mut areas, mut normalized) = (Vec::new(), Vec::new());
        for logits in logits.chunks(counts.len()) {
            let change: Vec<f64> = logits.iter().map(|logit| logit - original).collect();
            areas.push(area(&at, &change));
            // The unmodified model's change is 0.
            let height = areas.last().map_or(f64::NAN, |area| (area - replaced) / -replaced);
            normalized.push(if height.is_finite() { height } else { f64::NAN });
            found.extend(change);
            found.extend_from_slice(logits);
        }
        found.extend_from_slice(&areas);
        found.extend_from_slice(&normalized);
        for of in [&areas, &normalized] {
            found.extend(pairs(of.len()).map(|(a, b)| of[a] - of[b]));
        }
        found
    };
    let mut found = work.options.bootstrap.of_means(&rows, statistics).into_iter();
    let mut next = || found.next().unwrap_or(Estimate { value: f64::NAN, interval: None });
    let (original, replaced) = (next(), next());
    let mut curves: Vec<OrderCurve> = Vec::new();
    let nothing = Estimate { value: f64::NAN, interval: None };
    for &order in orders {
        let change = counts.iter().map(|_| next()).collect();
        let logit = counts.iter().map(|_| next()).collect();
        curves.push(OrderCurve { order, change, logit, area: nothing, normalized_area: nothing });
    }
    curves.iter_mut().for_each(|curve| curve.area = next());
    curves.iter_mut().for_each(|curve| curve.normalized_area = next());
    let difference = |(of, minus): (usize, usize)| {
        let intervals = (curves[of].area.interval, curves[minus].area.interval);
        let apart = matches!(intervals, (Some(a), Some(b)) if a.is_apart_from(&b));
        AreaDifference { of: orders[of], minus: orders[minus], area: nothing, normalized_area: nothing, apart }
    };
    let mut differences: Vec<AreaDifference> = pairs(orders.len()).map(difference).collect();
    differences.iter_mut().for_each(|difference| difference.area = next());
    differences.iter_mut().for_each(|difference| difference.normalized_area = next());
    Curves {
        subject: place.subject.clone(),
        shape: work.attributor.model().graph().node(place.node).shape.clone(),
        parts: place.parts.count(),
        replacement,
        direction,
        counts,
        original,
        replaced,
        orders: curves,
        differences,
    }
}
