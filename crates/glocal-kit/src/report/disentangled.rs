//! The prediction taken apart: per layer the heatmaps of its most relevant concepts and of all others, with bars that add up to
//! the whole.
//!
//! Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8, "disentangling explanations".

use super::album::Album;
use super::explanation::within;
use super::text::{escape, number, percent, signed_percent};
use super::{ConceptCard, Explanation, LayerSection, Picture, Rest};

/// The picture of the whole; `None` where there is no layer to take it apart into.
pub(super) fn root(explanation: &Explanation) -> Option<&Picture> {
    (!explanation.layers.is_empty()).then(|| explanation.overlay.as_ref().unwrap_or(&explanation.heatmap))
}

pub(super) fn write(explanation: &Explanation, album: &Album<'_>) -> String {
    let Some(root) = root(explanation) else { return String::new() };
    let caption = match explanation.predictions.iter().find(|prediction| prediction.is_target) {
        Some(target) => format!("<b>{}</b> score {}", escape(&target.name), number(f64::from(target.score))),
        None => "<b>the target</b>".to_owned(),
    };
    let levels: String =
        explanation.layers.iter().enumerate().map(|(index, layer)| level(layer, index, album)).collect();
    format!(
        "<section>\n<h2>Of which concepts is this prediction made</h2>\n\
         <p class=\"how\">A concept is a part of a layer, such as a channel. Its <b>share</b> is its part of all relevance that \
         arrives in the layer, <i class=\"chip for\"></i> for the target or <i class=\"chip against\"></i> against it. Added without their \
         signs, the shares of a layer make 100 %; the last of each row are all other concepts, what is for and what is against \
         apart. Bars of a layer have one scale. The heatmaps show where in the sample a concept was found: the relevance \
         that flows through it alone.</p>\n\
         <div class=\"made\">\n<figure class=\"root\">{}<figcaption>{caption}</figcaption></figure>\n\
         <div class=\"levels\">\n{levels}</div>\n</div>\n</section>\n",
        album.show(root),
    )
}

fn level(layer: &LayerSection, index: usize, album: &Album<'_>) -> String {
    let shares = layer.concepts.iter().map(|concept| concept.share);
    let others = layer.rest.iter().flat_map(|rest| [rest.supporting, rest.opposing]);
    let longest = shares.chain(others).map(f32::abs).fold(0.0, f32::max);
    let concepts: String = layer.concepts.iter().map(|concept| part(concept, longest, album)).collect();
    let rest = layer.rest.as_ref().map(|rest| remainder(rest, longest, album)).unwrap_or_default();
    format!(
        "<section>\n<h3><a href=\"#layer-{index}\"><code>{}</code></a> <small>{} of {} concepts{}</small></h3>\n\
         <div class=\"parts\">\n{concepts}{rest}</div>\n</section>\n",
        escape(&layer.layer),
        layer.concepts.len(),
        layer.count,
        together(layer),
    )
}

/// What the concepts with heatmaps make together.
fn together(layer: &LayerSection) -> String {
    if layer.rest.is_none() || layer.concepts.is_empty() {
        return String::new();
    }
    let sum: f32 = layer.concepts.iter().map(|concept| concept.share.abs()).sum();
    format!(", {} of the whole", percent(sum))
}

fn part(concept: &ConceptCard, longest: f32, album: &Album<'_>) -> String {
    format!(
        "<figure>{}{}<figcaption><b>{}</b> {}</figcaption></figure>\n",
        album.show(&concept.conditional_heatmap),
        bars(&[concept.share], longest),
        escape(&concept.title),
        signed(concept.share),
    )
}

fn remainder(rest: &Rest, longest: f32, album: &Album<'_>) -> String {
    let shares: Vec<f32> = [rest.supporting, rest.opposing].into_iter().filter(|share| *share != 0.0).collect();
    let numbers = match shares.as_slice() {
        [] => signed(0.0),
        shares => shares.iter().map(|share| signed(*share)).collect::<Vec<_>>().join(" and "),
    };
    let words = match rest.count {
        1 => "the other concept".to_owned(),
        count => format!("all other {count} concepts"),
    };
    format!(
        "<figure class=\"rest\">{}{}<figcaption><b>{words}</b> {numbers}</figcaption></figure>\n",
        album.show(&rest.conditional_heatmap),
        bars(&shares, longest),
    )
}

/// A share that is not broken over lines.
fn signed(share: f32) -> String {
    format!("<span>{}</span>", signed_percent(share))
}

/// Shares as bars of one scale, one below the other; the numbers below say the same.
fn bars(shares: &[f32], longest: f32) -> String {
    let bar = |share: &f32| {
        let part = if longest > 0.0 { within(f64::from(share.abs() / longest), 0.0, 1.0) } else { 0.0 };
        let side = if *share < 0.0 { "against" } else { "for" };
        format!("<i class=\"{side}\" style=\"width:{:.1}%\"></i>", part * 100.0)
    };
    format!("<div class=\"bars\" aria-hidden=\"true\">{}</div>", shares.iter().map(bar).collect::<String>())
}
