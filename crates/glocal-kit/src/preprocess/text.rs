//! The TOML form of a preprocessing description.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{PreprocessError, PreprocessErrorKind};
use super::{Color, Crop, Filter, Preprocess, Resize};

/// The greatest size of a description in bytes; real ones have a few hundred.
const TEXT_LIMIT: u64 = 1 << 20;

/// The fields as they are written.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PreprocessText {
    color: Color,
    #[serde(skip_serializing_if = "Option::is_none")]
    resize: Option<ResizeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crop: Option<Crop>,
    scale: f64,
    mean: Vec<f64>,
    std: Vec<f64>,
}

/// Both forms of a resize: `shortest`, or `width` and `height`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResizeText {
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortest: Option<u32>,
    #[serde(default = "default_filter")]
    filter: Filter,
}

fn default_filter() -> Filter {
    Filter::Bilinear
}

impl Default for PreprocessText {
    fn default() -> Self {
        Preprocess::default().into()
    }
}

impl From<Preprocess> for PreprocessText {
    fn from(Preprocess { color, resize, crop, scale, mean, std }: Preprocess) -> Self {
        let resize = resize.map(|resize| match resize {
            Resize::Exact { width, height, filter } => {
                ResizeText { width: Some(width), height: Some(height), shortest: None, filter }
            }
            Resize::Shortest { size, filter } => ResizeText { width: None, height: None, shortest: Some(size), filter },
        });
        Self { color, resize, crop, scale, mean, std }
    }
}

impl TryFrom<PreprocessText> for Preprocess {
    type Error = PreprocessError;

    fn try_from(PreprocessText { color, resize, crop, scale, mean, std }: PreprocessText) -> Result<Self, Self::Error> {
        let resize = match resize {
            None => None,
            Some(ResizeText { width: Some(width), height: Some(height), shortest: None, filter }) => {
                Some(Resize::Exact { width, height, filter })
            }
            Some(ResizeText { width: None, height: None, shortest: Some(size), filter }) => {
                Some(Resize::Shortest { size, filter })
            }
            Some(_) => {
                let expected = "either `width` and `height`, or `shortest`";
                return Err(PreprocessError::new(PreprocessErrorKind::Field { name: "resize", expected }));
            }
        };
        let preprocess = Self { color, resize, crop, scale, mean, std };
        preprocess.validate()?;
        Ok(preprocess)
    }
}

pub(super) fn parse_toml(text: &str) -> Result<Preprocess, PreprocessError> {
    let text: PreprocessText =
        toml::from_str(text).map_err(|error| PreprocessError::caused(PreprocessErrorKind::Toml, error))?;
    text.try_into()
}

/// The text of the file at `path`.
pub(super) fn read_limited(path: &Path) -> Result<String, PreprocessError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TEXT_LIMIT + 1).read_to_string(&mut text));
    let checked = read.and_then(|bytes| match bytes as u64 > TEXT_LIMIT {
        true => Err(std::io::Error::new(ErrorKind::FileTooLarge, "larger than 1 MiB")),
        false => Ok(text),
    });
    checked.map_err(|error| PreprocessError::caused(PreprocessErrorKind::Read, error).at(path))
}
