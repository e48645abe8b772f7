//! From numbers to pictures: color maps, heatmaps, overlays, opaque masks and contact sheets.
//!
//! The way of a picture: a [`Heatmap`] borrows the relevance of each pixel, a [`ColorMap`] and a [`ValueRange`] turn it
//! into an RGB image, [`overlay`] and [`OpaqueMask`] bring it together with the sample, a [`ContactSheet`] arranges
//! several with titles, and [`encode_png`] makes the bytes of a file.
//!
//! ```
//! use glocal_kit::picture::{ColorMap, Heatmap, HeatmapStyle, encode_png};
//!
//! let relevance = [0.0, 0.5, -0.25, 1.0, 0.0, -1.0];
//! let heatmap = Heatmap::new(&relevance, 3, 2)?;
//! let style = HeatmapStyle { color_map: "coldnhot".parse::<ColorMap>()?, ..HeatmapStyle::default() };
//! let png = encode_png(&heatmap.draw(&style))?;
//! assert!(png.starts_with(b"\x89PNG"));
//! # Ok::<(), glocal_kit::picture::PictureError>(())
//! ```

mod blur;
mod channels;
mod chart;
mod color_map;
mod encode;
mod error;
mod flow;
mod frame;
mod heatmap;
mod local;
mod mask;
mod outline;
mod overlay;
mod series;
mod sheet;
mod text;

pub use blur::gaussian_blur;
pub use channels::draw_channels;
pub use chart::{ChartLine, ChartPanel, ChartPoint, LineChart, LineStyle};
pub use color_map::ColorMap;
pub use encode::encode_png;
pub use error::{PictureError, PictureErrorKind};
pub use flow::{FlowBand, FlowCard, FlowColumn, FlowPicture};

pub use frame::{PixelBox, crop, enlarge, enlarge_to, is_photograph, tile};
pub use heatmap::{Heatmap, HeatmapStyle, Limits, ValueRange};
pub use local::{LocalConcept, LocalPicture, LocalRow};
pub use mask::OpaqueMask;
pub use outline::Outline;
pub use overlay::{OverlayStyle, overlay};
pub use series::SeriesPicture;
pub use sheet::{Arrangement, Block, Cell, ContactSheet, Row, SheetStyle, reference_sheet};

/// A color as red, green and blue in sRGB, each `0..=255`.
pub type Color = [u8; 3];

/// The longest side, in pixels, of any picture that is drawn; larger ones are refused before memory is taken.
pub const LONGEST_SIDE: u32 = 32_768;

/// The largest number of pixels of any picture that is drawn (768 MiB of memory).
pub const LARGEST_AREA: u64 = 1 << 28;
