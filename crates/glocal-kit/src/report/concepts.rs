//! The concepts of each layer, as cards with their reference samples.

use super::album::Album;
use super::explanation::within;
use super::text::{escape, signed_percent};
use super::{ConceptCard, LayerSection, Reference};

pub(super) fn write(layers: &[LayerSection], album: &Album<'_>) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let sections: String = layers.iter().enumerate().map(|(index, layer)| section(layer, index, album)).collect();
    format!(
        "<section>\n<h2>Concepts behind the prediction</h2>\n\
         <p class=\"how\">A concept is a part of a layer, such as a channel. Its <b>share</b> is its part of all relevance in \
         the layer, for the target (right) or against it (left); bars are scaled to the longest of the layer. Its \
         <b>conditional heatmap</b> shows where in the sample it was found. <b>Reference samples</b> from the data set show \
         what it stands for: <b>RelMax</b> are those whose prediction it was most useful for, <b>ActMax</b> those it \
         reacts to most strongly, whether or not that mattered.</p>\n{}</section>\n{sections}",
        contents(layers),
    )
}

fn contents(layers: &[LayerSection]) -> String {
    if layers.len() < 2 {
        return String::new();
    }
    let links: String = layers
        .iter()
        .enumerate()
        .map(|(index, layer)| format!("<a href=\"#layer-{index}\"><code>{}</code></a>\n", escape(&layer.layer)))
        .collect();
    format!("<nav aria-label=\"Layers\">\n{links}</nav>\n")
}

fn section(layer: &LayerSection, index: usize, album: &Album<'_>) -> String {
    let longest = layer.concepts.iter().map(|concept| concept.share.abs()).fold(0.0, f32::max);
    let cards: String = layer.concepts.iter().map(|concept| card(concept, longest, album)).collect();
    let count = match layer.concepts.len() {
        1 => "1 concept".to_owned(),
        count => format!("{count} concepts"),
    };
    format!(
        "<section id=\"layer-{index}\">\n<h3>Layer <code>{}</code> <small>{count}</small></h3>\n{cards}</section>\n",
        escape(&layer.layer)
    )
}

fn card(concept: &ConceptCard, longest: f32, album: &Album<'_>) -> String {
    let heatmap = album.show(&concept.conditional_heatmap);
    let relevance = row("Most useful for the prediction", "RelMax", &concept.by_relevance, album);
    let activation = row("Strongest activation", "ActMax", &concept.by_activation, album);
    format!(
        "<article>\n<div class=\"head\"><h4>{}</h4>{}</div>\n<div class=\"body\">\n\
         <figure class=\"where\">{heatmap}<figcaption>Conditional heatmap</figcaption></figure>\n\
         <div class=\"rows\">\n{relevance}{activation}</div>\n</div>\n</article>\n",
        escape(&concept.title),
        share(concept.share, longest),
    )
}

/// The share as a number and a bar from the middle to its side.
fn share(share: f32, longest: f32) -> String {
    let part = if longest > 0.0 { within(f64::from(share.abs() / longest), 0.0, 1.0) } else { 0.0 };
    let side = if share < 0.0 { "against" } else { "for" };
    format!(
        "<div class=\"share\"><span>share</span><div><i class=\"{side}\" style=\"width:{:.1}%\"></i></div><b>{}</b></div>",
        part * 50.0,
        signed_percent(share)
    )
}

fn row(title: &str, name: &str, references: &[Reference], album: &Album<'_>) -> String {
    if references.is_empty() {
        return String::new();
    }
    let figures: String = references
        .iter()
        .map(|reference| {
            let region = reference.region.as_ref().map(|region| album.show(region)).unwrap_or_default();
            let caption = match reference.caption.as_str() {
                "" => String::new(),
                caption => format!("<figcaption>{}</figcaption>", escape(caption)),
            };
            format!("<figure>{}{region}{caption}</figure>\n", album.show(&reference.picture))
        })
        .collect();
    format!("<h5>{title} <small>{name}</small></h5>\n<div class=\"samples\">\n{figures}</div>\n")
}
