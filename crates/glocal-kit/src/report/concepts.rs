//! The concepts of each layer, as cards with their reference samples.

use super::album::Album;
use super::text::{escape, signed_percent};
use super::{ConceptCard, LayerSection, Reference};

pub(super) fn write(layers: &[LayerSection], album: &Album<'_>) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let sections: String = layers.iter().enumerate().map(|(index, layer)| section(layer, index, album)).collect();
    format!(
        "<section>\n<h2>What these concepts stand for</h2>\n\
         <p class=\"how\">Beside the <b>conditional heatmap</b> of a concept, which shows where in this sample it was found, stand \
         <b>reference samples</b> from the data set, which show what it is: <b>RelMax</b> are those whose prediction it was most \
         useful for, <b>ActMax</b> those it reacts to most strongly, whether or not that mattered.</p>\n</section>\n{sections}"
    )
}

fn section(layer: &LayerSection, index: usize, album: &Album<'_>) -> String {
    let cards: String = layer.concepts.iter().map(|concept| card(concept, album)).collect();
    let count = match layer.concepts.len() {
        1 => "1 concept".to_owned(),
        count => format!("{count} concepts"),
    };
    format!(
        "<section id=\"layer-{index}\">\n<h3>Layer <code>{}</code> <small>{count}</small></h3>\n{cards}</section>\n",
        escape(&layer.layer)
    )
}

fn card(concept: &ConceptCard, album: &Album<'_>) -> String {
    let heatmap = album.show(&concept.conditional_heatmap);
    let relevance = row("Most useful for the prediction", "RelMax", &concept.by_relevance, album);
    let activation = row("Strongest activation", "ActMax", &concept.by_activation, album);
    format!(
        "<article>\n<div class=\"head\"><h4>{}</h4><span class=\"share\">share <b>{}</b></span></div>\n<div class=\"body\">\n\
         <figure class=\"where\">{heatmap}<figcaption>Conditional heatmap</figcaption></figure>\n\
         <div class=\"rows\">\n{relevance}{activation}</div>\n</div>\n</article>\n",
        escape(&concept.title),
        signed_percent(concept.share),
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
