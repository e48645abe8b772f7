//! The report: one self-contained HTML page about a prediction, its heatmap and the concepts behind it.
//!
//! A [`Report`] is a plain tree that the caller fills; [`Report::to_html`] writes it. The page holds everything it needs
//! (pictures as `data:` URIs, style sheet inline, no scripts), reads in light and dark, on a phone and on paper, and the
//! same tree always gives the same bytes. All texts are escaped: class and file names may contain anything.
//!
//! ```
//! use glocal_kit::report::Report;
//!
//! let report = Report { title: "Why <boot>?".into(), ..Report::default() };
//! assert!(report.to_html().contains("Why &lt;boot&gt;?"));
//! ```

mod agreement;
mod album;
mod concepts;
mod disentangled;
mod explanation;
mod page;
pub(crate) mod text;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

use crate::picture::{ColorMap, PictureError, PictureErrorKind, encode_png};
use crate::store::Agreement;

/// A page about one explained sample.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Headline.
    pub title: String,
    /// One line below the headline; empty for none.
    pub subtitle: String,
    /// What the reader has to know to repeat this, as name and value: model, composite, data set, version.
    pub facts: Vec<(String, String)>,
    /// The color map of all heatmaps in the report, for the legend. Default: `bwr`.
    pub color_map: ColorMap,
    /// The explained sample; `None` for a page of facts and notes.
    pub explanation: Option<Explanation>,
    /// Of each layer, whether the most relevant samples of its concepts are the most active ones; empty for no such section.
    pub agreements: Vec<Agreement>,
    /// Paragraphs at the end: what the reader should keep in mind.
    pub notes: Vec<String>,
}

/// One sample: what the model predicts for it, and why.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Name of the sample, for example of its file.
    pub sample_name: String,
    /// The sample as the model sees it.
    pub image: Picture,
    /// The heatmap of the target.
    pub heatmap: Picture,
    /// The heatmap over the sample.
    pub overlay: Option<Picture>,
    /// Predictions in the order of the page, the strongest first.
    pub predictions: Vec<Prediction>,
    /// Layers in the order of the page.
    pub layers: Vec<LayerSection>,
    /// Where relevance went, layer by layer from the output to the input; empty for no such table.
    pub conservation: Vec<ConservationRow>,
    /// Where the relevance behind the conditional heatmaps went, a concept a row; empty for no such table.
    pub concept_conservation: Vec<ConservationRow>,
}

/// One output of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Name of the class.
    pub name: String,
    /// The model's output (logit).
    pub score: f32,
    /// The probability, `0..=1`, if the scores have that meaning.
    pub probability: Option<f32>,
    /// Whether this is the output that is explained.
    pub is_target: bool,
}

/// The concepts of one layer.
#[derive(Debug, Clone)]
pub struct LayerSection {
    /// Name of the layer.
    pub layer: String,
    /// How many concepts it has.
    pub count: usize,
    /// Concepts in the order of the page, the most relevant first.
    pub concepts: Vec<ConceptCard>,
    /// All others together; `None` where there are none.
    pub rest: Option<Rest>,
}

/// The concepts of a layer that have no card, so that the shares of the layer add up to the whole.
#[derive(Debug, Clone)]
pub struct Rest {
    /// How many there are.
    pub count: usize,
    /// The sum of their positive shares, `0..=1`.
    pub supporting: f32,
    /// The sum of their negative shares, `-1..=0`.
    pub opposing: f32,
    /// The heatmap of relevance that flows through them together.
    pub conditional_heatmap: Picture,
}

/// One concept: how much it matters, where it is, what it stands for.
#[derive(Debug, Clone)]
pub struct ConceptCard {
    /// Its name, for example `channel 12`.
    pub title: String,
    /// Its relevance as a signed fraction of the sum of absolute relevances in the layer, `-1..=1`.
    pub share: f32,
    /// The heatmap of relevance that flows through this concept alone.
    pub conditional_heatmap: Picture,
    /// Reference samples by relevance (RelMax), the best first.
    pub by_relevance: Vec<Reference>,
    /// Reference samples by activation (ActMax), the best first.
    pub by_activation: Vec<Reference>,
}

/// A reference sample.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The sample.
    pub picture: Picture,
    /// The concept's region in it: an opaque mask view or a conditional heatmap, shown below the sample.
    pub region: Option<Picture>,
    /// Text below, for example the class; empty for none.
    pub caption: String,
}

/// Where the relevance of one layer, or of one condition on its whole way, went. What the parts leave of `relevance_in` is
/// shown as unaccounted.
#[derive(Debug, Clone, PartialEq)]
pub struct ConservationRow {
    /// Name of the layer or of the condition.
    pub name: String,
    /// Sum of the relevance that arrives at the layer's output, or that the condition starts with.
    pub relevance_in: f64,
    /// Sum of the relevance that leaves through the layer's inputs, or that arrives at the pixels.
    pub relevance_out: f64,
    /// Absorbed by the bias.
    pub bias: f64,
    /// Absorbed by the stabilizer.
    pub stabilizer: f64,
    /// Gained or lost by the definition of the rule (rules that do not conserve, such as Gradient).
    pub definition: f64,
    /// Dropped by the masks of the condition.
    pub masked: f64,
    /// Dropped beside the conditioned layers.
    pub beside: f64,
}

impl ConservationRow {
    /// What none of the parts explains: what comes in less what goes on and all other parts.
    pub fn unaccounted(&self) -> f64 {
        let kept = self.bias + self.stabilizer + self.definition + self.masked + self.beside;
        self.relevance_in - self.relevance_out - kept
    }
}

/// A picture inside a report, with the words that stand for it where it cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    bytes: Vec<u8>,
    format: ImageFormat,
    width: u32,
    height: u32,
    description: String,
}

/// Quality of photographs: no visible change at the size of the page.
const JPEG_QUALITY: u8 = 88;

impl Picture {
    /// A picture kept pixel for pixel (as PNG): small samples, heatmaps, drawings. Every pixel ends up in the page.
    ///
    /// # Errors
    /// [`PictureErrorKind::Encode`] for a picture without pixels.
    pub fn new(image: &RgbImage, description: impl Into<String>) -> Result<Self, PictureError> {
        Ok(Self::of(encode_png(image)?, ImageFormat::Png, image, description.into()))
    }

    /// A photograph, kept as it looks (as JPEG), in about a tenth of the room of [`new`](Self::new).
    ///
    /// # Errors
    /// [`PictureErrorKind::Encode`] for a picture without pixels.
    pub fn photograph(image: &RgbImage, description: impl Into<String>) -> Result<Self, PictureError> {
        let mut bytes = Vec::new();
        image
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
            .map_err(|cause| PictureError::caused(PictureErrorKind::Encode, cause))?;
        Ok(Self::of(bytes, ImageFormat::Jpeg, image, description.into()))
    }

    fn of(bytes: Vec<u8>, format: ImageFormat, image: &RgbImage, description: String) -> Self {
        let (width, height) = image.dimensions();
        Self { bytes, format, width, height, description }
    }
}

impl Report {
    /// The page as one HTML document, complete in itself.
    pub fn to_html(&self) -> String {
        page::write(self)
    }
}
