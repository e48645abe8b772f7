//! The choice of views among the arguments of a command.

use clap::{Args, ValueEnum};
use glocal_kit::explain::{Origin, View, Wanted};

use super::Shown;

/// What a picture shows of each sample.
#[derive(Debug, Args)]
pub struct ViewArguments {
    /// What the picture shows of each sample; several, as in image,heatmap, come below each other
    #[arg(long, value_enum, value_name = "VIEW", value_delimiter = ',', default_value = "image", requires = "picture")]
    pub(super) view: Vec<ViewArgument>,
    /// Where the relevance of heatmaps, masks and cuts comes from
    #[arg(long, value_enum, value_name = "ORIGIN", default_value_t = OriginArgument::Ranking, requires = "picture")]
    pub(super) from: OriginArgument,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr", requires = "picture")]
    pub(super) colormap: String,
    /// The side in pixels of the Gaussian blur that heatmaps get before samples are masked, odd [default: 19 for samples of 224
    /// pixels, in proportion for others]
    #[arg(long, value_name = "PIXELS", value_parser = parse_odd, requires = "picture")]
    pub(super) blur: Option<usize>,
    /// The share of the blurred heatmap's maximum above which a masked sample is shown
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = parse_share, requires = "picture")]
    pub(super) threshold: f32,
    /// What remains of the brightness of a masked sample elsewhere
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = parse_share, requires = "picture")]
    pub(super) alpha: f32,
}

/// What is shown of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ViewArgument {
    /// The sample
    Image,
    /// The relevance of each pixel that flows through the concept
    Heatmap,
    /// That over the sample
    Overlay,
    /// The sample, darkened where the concept is not
    Masked,
    /// The sample, cut to what the concept's strongest neuron sees
    Crop,
    /// The heatmap of the concept's strongest neuron, cut to what it sees
    Peak,
}

impl ViewArgument {
    /// The view.
    pub fn view(self) -> View {
        match self {
            Self::Image => View::Image,
            Self::Heatmap => View::Heatmap,
            Self::Overlay => View::Overlay,
            Self::Masked => View::Masked,
            Self::Crop => View::Crop,
            Self::Peak => View::Peak,
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Heatmap => "heatmap",
            Self::Overlay => "overlay",
            Self::Masked => "masked",
            Self::Crop => "crop",
            Self::Peak => "peak",
        }
    }

    /// Whether relevance is seen in colors.
    pub(super) fn is_colored(self) -> bool {
        matches!(self, Self::Heatmap | Self::Overlay | Self::Peak)
    }
}

/// Where relevance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OriginArgument {
    /// As the ranking suggests: of samples by relevance from their class, of samples by activation from the concept
    Ranking,
    /// From the concept's own activation: what makes it active
    Concept,
    /// From the class that the sample stands under, through the concept: what it is useful for
    Class,
}

impl OriginArgument {
    /// What is wanted of a reference sample: of the concept, or of the neuron where it peaks.
    pub fn wanted(self, shown: &Shown<'_>, layer: &str, of_peak: bool) -> Wanted {
        let wanted = match of_peak {
            true => Wanted::peak(shown.entry, shown.measure, layer),
            false => Wanted::channel(shown.entry, shown.measure, layer, shown.concept),
        };
        match self {
            Self::Ranking => wanted,
            Self::Concept => Wanted { origin: Origin::Activation, ..wanted },
            Self::Class => Wanted { origin: Origin::Class(shown.entry.target), ..wanted },
        }
    }
}

fn parse_odd(text: &str) -> Result<usize, &'static str> {
    let expected = "expected an odd number of pixels, as 1 or 19";
    text.parse().ok().filter(|side: &usize| side % 2 == 1).ok_or(expected)
}

fn parse_share(text: &str) -> Result<f32, &'static str> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or("expected a number from 0 to 1")
}
