//! The parts of the picture that concepts are asked for, in the order in which they are given.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use glocal_kit::data::load_image;
use glocal_kit::preprocess::{Color, Preprocess};
use glocal_kit::region::Region;
use image::GrayImage;

use crate::failure::Failure;
use crate::misuse::Misuse;

/// The parts of the picture that count.
#[derive(Debug, Args)]
struct Flags {
    /// Count only this rectangle, in pixels of what the model sees, from its upper left corner; what reaches out of the picture
    /// is cut off. Repeatable, also beside --mask: each is analysed on its own, as I1, I2, ... in the order given
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT", value_parser = rectangle)]
    region: Vec<Rectangle>,
    /// Count only where this grey image is white; it has the size of what the model sees, else it is resized and cropped as
    /// --preprocess says. Repeatable
    #[arg(long, value_name = "FILE")]
    mask: Vec<PathBuf>,
}

/// The rectangles and masks of a call. Two lists would lose their common order, so it is read from the matches.
#[derive(Debug)]
pub struct RegionArguments(Vec<Given>);

/// Where a region is.
#[derive(Debug, Clone)]
pub enum Given {
    Rectangle(Rectangle),
    Mask(PathBuf),
}

/// Left, top, width and height.
#[derive(Debug, Clone, Copy)]
pub struct Rectangle(pub usize, pub usize, pub usize, pub usize);

/// A region that is analysed.
#[derive(Debug)]
pub struct NamedRegion {
    /// I1, I2, ...
    pub name: String,
    /// As it was given.
    pub given: Given,
    /// Its pixels.
    pub region: Region,
}

fn rectangle(text: &str) -> Result<Rectangle, &'static str> {
    let numbers: Vec<usize> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    match numbers[..] {
        [left, top, width, height] if text.split(',').count() == 4 => Ok(Rectangle(left, top, width, height)),
        _ => Err("expected four numbers from 0 on, as in 60,40,80,80"),
    }
}

impl Args for RegionArguments {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for RegionArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Flags { region, mask } = Flags::from_arg_matches(matches)?;
        let places = |id: &str| matches.indices_of(id).into_iter().flatten();
        let rectangles = places("region").zip(region.into_iter().map(Given::Rectangle));
        let masks = places("mask").zip(mask.into_iter().map(Given::Mask));
        let mut given: Vec<(usize, Given)> = rectangles.chain(masks).collect();
        given.sort_by_key(|(place, _)| *place);
        Ok(Self(given.into_iter().map(|(_, given)| given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rectangle(Rectangle(left, top, width, height)) => write!(f, "{left},{top},{width},{height}"),
            Self::Mask(path) => write!(f, "{}", path.display()),
        }
    }
}

impl RegionArguments {
    /// The regions in the order given, for a model that takes samples of `shape`.
    pub fn read(&self, shape: &[usize], preprocess: Option<&Preprocess>) -> Result<Vec<NamedRegion>, Failure> {
        let read = |(index, given): (usize, &Given)| {
            let &[_, height, width] = shape else {
                return Err(Misuse::NoPositions { layer: "the input".to_owned(), shape: shape.to_vec() }.into());
            };
            let region = match given {
                Given::Rectangle(Rectangle(left, top, columns, rows)) => {
                    Region::rectangle((*left, *top, *columns, *rows), width, height)
                }
                Given::Mask(path) => {
                    let mask = read_mask(path, (width, height), preprocess)?;
                    Region::mask(mask.iter().map(|&grey| f32::from(grey) / 255.0).collect(), width, height)
                }
            };
            let name = format!("I{}", index + 1);
            let region = region.ok_or_else(|| Misuse::EmptyRegion { region: given.to_string(), width, height })?;
            Ok(NamedRegion { name, given: given.clone(), region })
        };
        self.0.iter().enumerate().map(read).collect()
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
    let wrong = || Misuse::MaskSize { mask: path.to_owned(), given: mask.dimensions(), expected };
    if fits(&mask) { Ok(mask) } else { Err(wrong().into()) }
}
