//! The pictures of a page: each distinct one is embedded once, however often it is shown.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::disentangled;
use super::text::escape;
use super::{Explanation, Picture, Report};

/// Pictures with a shorter side below this are drawn with visible pixels when they are shown larger.
const SMALL_SIDE: u32 = 128;

/// All pictures of a report that are shown more than once, with their number on the page.
pub(super) struct Album<'report> {
    repeated: BTreeMap<&'report [u8], usize>,
    in_order: Vec<&'report Picture>,
}

impl<'report> Album<'report> {
    pub(super) fn of(report: &'report Report) -> Self {
        let mut shown: BTreeMap<&[u8], usize> = BTreeMap::new();
        let mut album = Self { repeated: BTreeMap::new(), in_order: Vec::new() };
        for picture in report.explanation.iter().flat_map(pictures) {
            let times = shown.entry(&picture.bytes).or_default();
            *times += 1;
            if *times == 2 {
                album.repeated.insert(&picture.bytes, album.in_order.len());
                album.in_order.push(picture);
            }
        }
        album
    }

    /// The shared pictures, to stand before everything that shows them.
    pub(super) fn definitions(&self) -> String {
        if self.in_order.is_empty() {
            return String::new();
        }
        let images: String = self
            .in_order
            .iter()
            .enumerate()
            .map(|(index, picture)| {
                let Picture { width, height, .. } = picture;
                let class = if is_small(picture) { " class=\"pixels\"" } else { "" };
                format!(
                    "<image id=\"p{index}\"{class} width=\"{width}\" height=\"{height}\" href=\"{}\"/>\n",
                    uri(picture)
                )
            })
            .collect();
        format!("<svg class=\"shared\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\n{images}</defs></svg>\n")
    }

    /// The element that shows a picture, as wide as its surroundings.
    pub(super) fn show(&self, picture: &Picture) -> String {
        let Picture { width, height, .. } = picture;
        let description = escape(&picture.description);
        if let Some(index) = self.repeated.get(picture.bytes.as_slice()) {
            return format!(
                "<svg class=\"picture\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{description}\">\
                 <use href=\"#p{index}\"/></svg>"
            );
        }
        let pixels = if is_small(picture) { " pixels" } else { "" };
        format!(
            "<img class=\"picture{pixels}\" width=\"{width}\" height=\"{height}\" alt=\"{description}\" src=\"{}\">",
            uri(picture)
        )
    }
}

fn is_small(picture: &Picture) -> bool {
    picture.width.min(picture.height) < SMALL_SIDE
}

fn uri(picture: &Picture) -> String {
    format!("data:{};base64,{}", picture.format.to_mime_type(), STANDARD.encode(&picture.bytes))
}

/// Every picture as often as it is shown: in the overview, the figure of all layers, and the cards.
fn pictures(explanation: &Explanation) -> impl Iterator<Item = &Picture> {
    let sample = [&explanation.image, &explanation.heatmap].into_iter().chain(&explanation.overlay);
    let concepts = explanation.layers.iter().flat_map(|layer| &layer.concepts).flat_map(|concept| {
        let references = concept.by_relevance.iter().chain(&concept.by_activation);
        let shown = references.flat_map(|reference| std::iter::once(&reference.picture).chain(&reference.region));
        std::iter::once(&concept.conditional_heatmap).chain(shown)
    });
    let shown_again = explanation.layers.iter().flat_map(|layer| {
        let concepts = layer.concepts.iter().map(|concept| &concept.conditional_heatmap);
        concepts.chain(layer.rest.iter().map(|rest| &rest.conditional_heatmap))
    });
    let root = disentangled::root(explanation).into_iter();
    sample.chain(root).chain(shown_again).chain(concepts)
}
