//! The pictures and words of a report.

use glocal::conservation::{Account, Balance};
use glocal::op::OpKind;
use image::RgbImage;

use super::{ConceptFindings, Findings, LayerFindings, ReferenceFindings, RestFindings, View, ViewStyle};
use crate::picture::{ColorMap, Heatmap, HeatmapStyle, OverlayStyle, PictureError, is_photograph, overlay};
use crate::report::{ConceptCard, ConservationRow, Explanation, LayerSection, Picture, Prediction, Reference, Rest};

/// How weak relevance fades out in conditional heatmaps over photographs: they lie in the same places of the sample, and differ
/// in how much is where.
const CONDITIONAL_EXPONENT: f32 = 0.9;

/// How findings are shown.
#[derive(Debug, Clone)]
pub struct Illustration<'a> {
    /// Colors of the heatmaps. Default: `bwr`.
    pub color_map: ColorMap,
    /// The names of the classes. Default: none, and their numbers are shown.
    pub classes: Option<&'a [String]>,
    /// How many predictions are shown. Default: 10.
    pub predictions: usize,
    /// The op on top of the scores that makes probabilities of them. Default: a softmax.
    pub probability: OpKind,
}

impl Default for Illustration<'_> {
    fn default() -> Self {
        Self { color_map: ColorMap::default(), classes: None, predictions: 10, probability: OpKind::Softmax }
    }
}

impl Illustration<'_> {
    /// The name of a class.
    pub fn class(&self, class: usize) -> String {
        self.classes.and_then(|names| names.get(class)).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    /// The probability of each class, in the order of the classes.
    pub fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        match self.probability {
            OpKind::Sigmoid => scores.iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect(),
            _ => {
                let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let powers: Vec<f64> = scores.iter().map(|score| f64::from(score - largest).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.iter().map(|power| (power / sum) as f32).collect()
            }
        }
    }
}

impl Findings {
    /// The `count` classes with the largest scores, largest first, the first on ties.
    pub fn strongest(&self, count: usize) -> impl Iterator<Item = usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]).then(a.cmp(&b)));
        order.into_iter().take(count)
    }

    /// The heatmap of the target, one pixel a position.
    ///
    /// # Errors
    /// Never for findings as they were made.
    pub fn heatmap_picture(&self, color_map: &ColorMap) -> Result<RgbImage, PictureError> {
        let style = HeatmapStyle { color_map: color_map.clone(), ..HeatmapStyle::default() };
        Ok(self.of_sample(&self.heatmap)?.draw(&style))
    }

    /// The heatmap over the sample.
    ///
    /// # Errors
    /// Never for findings as they were made.
    pub fn overlay_picture(&self, color_map: &ColorMap) -> Result<RgbImage, PictureError> {
        let style = OverlayStyle { color_map: color_map.clone(), ..OverlayStyle::over(&self.sample.picture) };
        overlay(&self.sample.picture, &self.of_sample(&self.heatmap)?, &style)
    }

    fn of_sample<'h>(&self, heatmap: &'h [f32]) -> Result<Heatmap<'h>, PictureError> {
        let (width, height) = self.sample.picture.dimensions();
        Heatmap::new(heatmap, width as usize, height as usize)
    }

    /// The findings as they stand in a report.
    ///
    /// # Errors
    /// When a picture cannot be drawn.
    pub fn illustrate(&self, illustration: &Illustration<'_>) -> Result<Explanation, PictureError> {
        let color_map = &illustration.color_map;
        let target = illustration.class(self.target);
        let layers = self.layers.iter().map(|layer| self.section(layer, illustration));
        Ok(Explanation {
            sample_name: self.sample.name.clone(),
            image: picture(&self.sample.picture, format!("sample {}", self.sample.name))?,
            heatmap: Picture::new(&self.heatmap_picture(color_map)?, format!("heatmap for {target}"))?,
            overlay: Some(picture(&self.overlay_picture(color_map)?, format!("heatmap for {target} over the sample"))?),
            predictions: self.predictions(illustration),
            layers: layers.collect::<Result<_, _>>()?,
            conservation: self.balance.accounts.iter().map(of_layer).collect(),
            concept_conservation: self.concept_conservation(),
        })
    }

    /// The strongest predictions, and the target wherever it comes.
    fn predictions(&self, illustration: &Illustration<'_>) -> Vec<Prediction> {
        let probabilities = illustration.probabilities(&self.scores);
        let shown = self.strongest(self.scores.len()).enumerate();
        let shown = shown.filter(|(rank, class)| *rank < illustration.predictions || *class == self.target);
        let prediction = |(_, class): (usize, usize)| Prediction {
            name: illustration.class(class),
            score: self.scores[class],
            probability: Some(probabilities[class]),
            is_target: class == self.target,
        };
        shown.map(prediction).collect()
    }

    /// Where the relevance of each conditional heatmap went.
    fn concept_conservation(&self) -> Vec<ConservationRow> {
        let of_layer = |layer: &LayerFindings| -> Vec<ConservationRow> {
            let row = |concept: &ConceptFindings| of_condition(&layer.layer, concept);
            layer.concepts.iter().map(row).collect()
        };
        self.layers.iter().flat_map(of_layer).collect()
    }

    fn section(&self, layer: &LayerFindings, illustration: &Illustration<'_>) -> Result<LayerSection, PictureError> {
        let cards = layer.concepts.iter().map(|concept| self.card(layer, concept, illustration));
        let concepts = cards.collect::<Result<_, _>>()?;
        let rest = |rest: &RestFindings| -> Result<Rest, PictureError> {
            let words = format!("heatmap of all other {} channels of layer {}", rest.count, layer.layer);
            Ok(Rest {
                count: rest.count,
                supporting: rest.supporting as f32,
                opposing: rest.opposing as f32,
                conditional_heatmap: self.conditional(&rest.heatmap, words, illustration)?,
            })
        };
        let rest = layer.rest.as_ref().map(rest).transpose()?;
        Ok(LayerSection { layer: layer.layer.clone(), count: layer.count, concepts, rest })
    }

    /// A conditional heatmap: over photographs, whose relevance is too scattered to be recognised without them, by itself
    /// otherwise.
    fn conditional(
        &self,
        heatmap: &[f32],
        words: String,
        illustration: &Illustration<'_>,
    ) -> Result<Picture, PictureError> {
        let (heatmap, color_map) = (self.of_sample(heatmap)?, illustration.color_map.clone());
        if is_photograph(&self.sample.picture) {
            let largest = Some(heatmap.prominent());
            let style = OverlayStyle { color_map, largest, exponent: CONDITIONAL_EXPONENT, ..OverlayStyle::default() };
            return Picture::photograph(&overlay(&self.sample.picture, &heatmap, &style)?, words);
        }
        Picture::new(&heatmap.draw(&HeatmapStyle { color_map, ..HeatmapStyle::default() }), words)
    }

    fn card(
        &self,
        layer: &LayerFindings,
        concept: &ConceptFindings,
        illustration: &Illustration<'_>,
    ) -> Result<ConceptCard, PictureError> {
        let words = format!("heatmap of channel {} of layer {}", concept.id, layer.layer);
        let references = |found: &[ReferenceFindings]| -> Result<Vec<Reference>, PictureError> {
            found.iter().map(|found| reference(found, concept.id, illustration)).collect()
        };
        Ok(ConceptCard {
            title: format!("channel {}", concept.id),
            share: concept.share as f32,
            conditional_heatmap: self.conditional(&concept.heatmap, words, illustration)?,
            by_relevance: references(&concept.by_relevance)?,
            by_activation: references(&concept.by_activation)?,
        })
    }
}

fn of_layer(account: &Account) -> ConservationRow {
    ConservationRow {
        name: account.layer.clone(),
        relevance_in: account.relevance_in,
        relevance_out: account.relevance_out,
        bias: account.bias,
        stabilizer: account.stabilizer,
        definition: account.definition,
        masked: account.masked,
        beside: account.beside,
    }
}

fn of_condition(layer: &str, concept: &ConceptFindings) -> ConservationRow {
    let Balance { started, arrived, accounts, .. } = &concept.balance;
    let sum = |part: fn(&Account) -> f64| accounts.iter().map(part).sum();
    ConservationRow {
        name: format!("{layer}, channel {}", concept.id),
        relevance_in: *started,
        relevance_out: *arrived,
        bias: sum(|account| account.bias),
        stabilizer: sum(|account| account.stabilizer),
        definition: sum(|account| account.definition),
        masked: sum(|account| account.masked),
        beside: sum(|account| account.beside),
    }
}

fn reference(found: &ReferenceFindings, id: usize, illustration: &Illustration<'_>) -> Result<Reference, PictureError> {
    let ReferenceFindings { entry, view } = found;
    let class = illustration.class(entry.target as usize);
    let style = ViewStyle { color_map: illustration.color_map.clone(), ..ViewStyle::default() };
    let masked = view.draw(View::Masked, &style)?;
    Ok(Reference {
        picture: picture(&view.draw(View::Image, &style)?, format!("sample {}, {class}", entry.sample.0))?,
        region: Some(picture(&masked, format!("channel {id} in sample {}", entry.sample.0))?),
        caption: format!("{class} {}", caption_number(entry.score)),
    })
}

fn picture(image: &RgbImage, description: String) -> Result<Picture, PictureError> {
    match is_photograph(image) {
        true => Picture::photograph(image, description),
        false => Picture::new(image, description),
    }
}

/// A number for captions: three significant digits, two decimals between 0.01 and 1.
pub fn caption_number(value: f32) -> String {
    let magnitude = if value == 0.0 || !value.is_finite() { 0 } else { value.abs().log10().floor() as i32 };
    let digits = if (-2..0).contains(&magnitude) { 2 } else { 2 - magnitude };
    let digits = digits.clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0.00"),
            (0.1667, "0.17"),
            (0.0986, "0.10"),
            (0.00123, "0.00123"),
            (9.734, "9.73"),
            (85.04, "85.0"),
            (1143.2, "1143"),
        ];
        for (value, expected) in cases {
            assert_eq!(caption_number(value), expected);
        }
        assert_eq!(caption_number(-0.25), "-0.25");
        assert_eq!(caption_number(f32::INFINITY), "inf");
    }

    #[test]
    fn probabilities_are_those_of_the_op_above_the_scores() {
        let softmax = Illustration::default();
        assert_eq!(softmax.probabilities(&[1000.0, 1000.0]), [0.5, 0.5]);
        let sigmoid = Illustration { probability: OpKind::Sigmoid, ..Illustration::default() };
        assert_eq!(sigmoid.probabilities(&[0.0, 0.0, 100.0]), [0.5, 0.5, 1.0]);
    }
}
