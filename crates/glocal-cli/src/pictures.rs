//! The pictures of an attribution: its heatmap, and the heatmap over what the model sees.

use std::path::PathBuf;

use glocal_compute::Tensor;
use glocal_kit::picture::{ColorMap, Heatmap, HeatmapStyle, OverlayStyle, encode_png, enlarge_to, overlay};
use image::RgbImage;

use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::OutputFolder;

/// Smaller pictures are enlarged by a whole factor until a side has this many pixels, so that they can be seen.
const VISIBLE: u32 = 224;

/// Writes pictures into a folder.
#[derive(Debug)]
pub struct Pictures {
    folder: OutputFolder,
    heatmap: HeatmapStyle,
    overlay: OverlayStyle,
}

impl Pictures {
    /// Into `folder`, in the colors of `color_map`, of a model that takes samples of `input_shape`.
    ///
    /// # Errors
    /// When such samples cannot be drawn.
    pub fn new(folder: OutputFolder, color_map: ColorMap, input_shape: &[usize]) -> Result<Self, Misuse> {
        if input_shape.len() != 3 {
            return Err(Misuse::NoPictures { shape: input_shape.to_vec() });
        }
        let heatmap = HeatmapStyle { color_map: color_map.clone(), ..HeatmapStyle::default() };
        Ok(Self { folder, heatmap, overlay: OverlayStyle { color_map, ..OverlayStyle::default() } })
    }

    /// Draws `heatmap` `[height, width]`, and where there is a view the heatmap over it: `NAME__heatmap.png` and
    /// `NAME__overlay.png`.
    pub fn draw(&mut self, name: &str, heatmap: &Tensor, view: Option<&RgbImage>) -> Result<Vec<PathBuf>, Failure> {
        let &[height, width] = heatmap.shape() else {
            return Err(Misuse::NoPictures { shape: heatmap.shape().to_vec() }.into());
        };
        let heatmap = Heatmap::new(heatmap.data(), width, height)?;
        let drawn = || Ok(encode_png(&enlarge_to(&heatmap.draw(&self.heatmap), VISIBLE)?)?);
        let over = |view| Ok(encode_png(&enlarge_to(&overlay(view, &heatmap, &self.overlay)?, VISIBLE)?)?);
        let (drawn, over) = rayon::join(drawn, || view.map(over).transpose());
        let (drawn, over): (Result<_, Failure>, Result<_, Failure>) = (drawn, over);
        let (drawn, over) = (drawn?, over?);
        let mut files = vec![self.folder.write(&format!("{name}__heatmap.png"), &drawn)?];
        if let Some(over) = over {
            files.push(self.folder.write(&format!("{name}__overlay.png"), &over)?);
        }
        Ok(files)
    }

    /// Writes a picture as it is: `NAME.png`.
    pub fn write(&mut self, name: &str, picture: &RgbImage) -> Result<PathBuf, Failure> {
        Ok(self.folder.write(&format!("{name}.png"), &encode_png(picture)?)?)
    }
}
