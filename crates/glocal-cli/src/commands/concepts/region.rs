//! The part of the picture that concepts are asked for.

use std::path::{Path, PathBuf};

use clap::Args;
use glocal_kit::data::load_image;
use glocal_kit::preprocess::{Color, Preprocess};
use glocal_kit::region::Region;
use image::GrayImage;

use crate::failure::Failure;
use crate::misuse::Misuse;

/// The part of the picture that counts.
#[derive(Debug, Args)]
pub struct RegionArguments {
    /// Count only this rectangle, in pixels of what the model sees, from its upper left corner
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT", value_parser = rectangle, conflicts_with = "mask")]
    region: Option<Rectangle>,
    /// Count only where this grey image is white; it has the size of what the model sees, else it is resized and cropped as
    /// --preprocess says
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
}

/// Left, top, width and height.
#[derive(Debug, Clone, Copy)]
struct Rectangle(usize, usize, usize, usize);

fn rectangle(text: &str) -> Result<Rectangle, &'static str> {
    let numbers: Vec<usize> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    match numbers[..] {
        [left, top, width, height] if text.split(',').count() == 4 => Ok(Rectangle(left, top, width, height)),
        _ => Err("expected four numbers from 0 on, as in 60,40,80,80"),
    }
}

impl RegionArguments {
    /// The region, for a model that takes samples of `shape`.
    pub fn read(&self, shape: &[usize], preprocess: Option<&Preprocess>) -> Result<Option<Region>, Failure> {
        if self.region.is_none() && self.mask.is_none() {
            return Ok(None);
        }
        let &[_, height, width] = shape else {
            return Err(Misuse::NoPositions { layer: "the input".to_owned(), shape: shape.to_vec() }.into());
        };
        let region = match (self.region, &self.mask) {
            (Some(Rectangle(left, top, columns, rows)), _) => {
                Region::rectangle((left, top, columns, rows), width, height)
            }
            (None, Some(path)) => {
                let mask = read_mask(path, (width, height), preprocess)?;
                Region::mask(mask.iter().map(|&grey| f32::from(grey) / 255.0).collect(), width, height)
            }
            (None, None) => None,
        };
        Ok(Some(region.ok_or(Misuse::EmptyRegion { width, height })?))
    }
}

/// The pixels of a mask over what the model sees.
fn read_mask(path: &Path, expected: (usize, usize), preprocess: Option<&Preprocess>) -> Result<GrayImage, Failure> {
    let fits = |mask: &GrayImage| (mask.width() as usize, mask.height() as usize) == expected;
    let image = load_image(path)?;
    let mask = image.to_luma8();
    if fits(&mask) {
        return Ok(mask);
    }
    let mask = match preprocess {
        None => mask,
        Some(preprocess) => {
            let like_the_image = Preprocess {
                color: Color::Grey,
                resize: preprocess.resize,
                crop: preprocess.crop,
                ..Preprocess::default()
            };
            image::DynamicImage::ImageRgb8(like_the_image.apply(&image)?.view).into_luma8()
        }
    };
    if fits(&mask) { Ok(mask) } else { Err(Misuse::MaskSize { given: mask.dimensions(), expected }.into()) }
}
