//! Whether the most relevant samples of a layer's concepts are the most active ones: numbers, and a point for each concept.

use std::fmt::Write;

use super::text::{escape, number, percent};
use crate::store::Agreement;

/// The size of a plot and of the room around it, in units of the page.
const PLOT: (f64, f64) = (340.0, 220.0);
const LEFT: f64 = 10.0;
const BELOW: f64 = 42.0;
const ABOVE: f64 = 24.0;

/// More points than this are drawn as a sample of them, evenly taken.
const MOST_POINTS: usize = 2_000;

pub(super) fn write(agreements: &[Agreement]) -> String {
    if agreements.is_empty() {
        return String::new();
    }
    let layers: String = agreements.iter().map(layer).collect();
    format!(
        "<section>\n<h2>Most relevant, or most active</h2>\n\
         <p class=\"how\">A concept may be strongly active in samples that it is of no use for. Each point is a concept: how active it is \
         over all samples of the data set, and how relevant for their targets. The overlap says how many of the samples that a concept \
         is most relevant for are among those that it is most active in.</p>\n\
         <div class=\"agreements\">\n{layers}</div>\n</section>\n"
    )
}

fn layer(agreement: &Agreement) -> String {
    let Agreement { layer, concepts, dead, top_k, samples } = agreement;
    let overlap = match agreement.overlap() {
        Some(overlap) => format!(
            "<b>{}</b> of the best {} samples are the same, on average over concepts ({} by chance, of {samples} samples)",
            percent(overlap as f32),
            samples.min(&(*top_k as u64)),
            percent(agreement.overlap_by_chance() as f32)
        ),
        None => "there are no rankings to compare".to_owned(),
    };
    let correlation = match agreement.correlation() {
        Some(correlation) => format!("; the means correlate with <b>{}</b>", number(correlation)),
        None => String::new(),
    };
    let dead = match dead {
        0 => String::new(),
        1 => "; 1 concept never has a positive score and no point".to_owned(),
        dead => format!("; {dead} concepts never have a positive score and no point"),
    };
    let plot = match agreement.means().as_slice() {
        [] => String::new(),
        means => plot(means, concepts.len(), layer),
    };
    format!(
        "<figure>\n<h3><code>{}</code> <small>{} concepts</small></h3>\n{plot}<figcaption>{overlap}{correlation}{dead}.\
         </figcaption>\n</figure>\n",
        escape(layer),
        concepts.len(),
    )
}

/// Points between their least and greatest values, with zero always among what is shown.
fn plot(means: &[(f64, f64)], count: usize, layer: &str) -> String {
    let range = |of: fn(&(f64, f64)) -> f64| {
        let values = means.iter().map(of).filter(|value| value.is_finite());
        let (low, high) = values.fold((0.0, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
        if low < high { (low, high) } else { (0.0, 1.0) }
    };
    let (across, up) = (range(|mean| mean.0), range(|mean| mean.1));
    let place = |value: f64, (low, high): (f64, f64), room: f64| (value - low) / (high - low) * room;
    let (width, height) = PLOT;
    let (bottom, right) = (ABOVE + height, LEFT + width);
    let x = |value: f64| LEFT + place(value, across, width);
    let y = |value: f64| bottom - place(value, up, height);
    let mut svg = format!(
        "<svg class=\"scatter\" viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"Mean activation and mean relevance of {count} concepts of {}\">\n",
        right + LEFT,
        bottom + BELOW,
        escape(layer),
    );
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        // Writing to memory does not fail.
        let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
    };
    line(LEFT, y(0.0), right, y(0.0));
    line(x(0.0), ABOVE, x(0.0), bottom);
    let step = means.len().div_ceil(MOST_POINTS).max(1);
    for (activation, relevance) in means.iter().step_by(step).filter(|(x, y)| x.is_finite() && y.is_finite()) {
        let side = if *relevance < 0.0 { "against" } else { "for" };
        let _ = writeln!(
            svg,
            "<circle class=\"{side}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
            x(*activation),
            y(*relevance)
        );
    }
    let plain = |value: f64| plain(&number(value));
    let text = |x: f64, y: f64, anchor: &str, text: &str| {
        format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
    };
    svg += &text(LEFT, 14.0, "start", &format!("mean relevance, {} to {}", plain(up.0), plain(up.1)));
    svg += &text(LEFT, bottom + 18.0, "start", &plain(across.0));
    svg += &text(right, bottom + 18.0, "end", &plain(across.1));
    svg += &text(LEFT + width / 2.0, bottom + 34.0, "middle", "mean activation");
    svg + "</svg>\n"
}

/// A number without markup, which SVG's text does not know: powers of ten are written with `e`.
fn plain(number: &str) -> String {
    number.replace(" × 10<sup>", "e").replace("</sup>", "")
}
