//! Hugging Face's `preprocessor_config.json`.
//!
//! Its keys mean different things to different image processors, so what is ambiguous is an error, and so is every key
//! that is neither understood nor known to leave the pixels alone.

use serde_json::{Map, Value};

use super::error::{PreprocessError, PreprocessErrorKind};
use super::{Color, Crop, Filter, Preprocess, Resize};

/// Keys that leave the pixels alone.
const HARMLESS: &[&str] = &[
    "_name_or_path",
    "_valid_processor_keys",
    "data_format",
    "default_to_square",
    "device",
    "feature_extractor_type",
    "image_processor_type",
    "input_data_format",
    "num_channels",
    "processor_class",
    "return_tensors",
];

/// Keys that are read below.
const KNOWN: &[&str] = &[
    "crop_pct",
    "crop_size",
    "do_center_crop",
    "do_convert_rgb",
    "do_flip_channel_order",
    "do_normalize",
    "do_rescale",
    "do_resize",
    "image_mean",
    "image_std",
    "resample",
    "rescale_factor",
    "size",
];

/// The share of the image that ConvNeXt's processor keeps when the file does not say.
const CONVNEXT_CROP_SHARE: f64 = 224.0 / 256.0;

/// From this size on, ConvNeXt's processor resizes to the square and crops nothing.
const CONVNEXT_NO_CROP: u32 = 384;

pub(super) fn parse(text: &str) -> Result<Preprocess, PreprocessError> {
    let config: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| PreprocessError::caused(PreprocessErrorKind::Json, error))?;
    let known = |key: &str| KNOWN.contains(&key) || HARMLESS.contains(&key);
    // A step that is switched off, or an option that is not set, changes nothing.
    let unset = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
    if let Some((key, _)) = config.iter().find(|(key, value)| !known(key) && !unset(value)) {
        return Err(PreprocessError::new(PreprocessErrorKind::UnknownKey { key: key.clone() }));
    }
    let config = Config(config);
    let (resize, crop) = config.geometry()?;
    let scale = match config.flag("do_rescale")?.unwrap_or(true) {
        true => match config.get("rescale_factor") {
            None => 1.0 / 255.0,
            Some(value) => value.as_f64().ok_or_else(|| config.value("rescale_factor", "a number"))?,
        },
        false => 1.0,
    };
    let (mean, std) = match config.flag("do_normalize")?.unwrap_or(config.get("image_mean").is_some()) {
        true => (config.numbers("image_mean")?, config.numbers("image_std")?),
        false => (vec![0.0], vec![1.0]),
    };
    let flipped = config.flag("do_flip_channel_order")?.unwrap_or(false);
    config.flag("do_convert_rgb")?;
    let color = if flipped { Color::Bgr } else { Color::Rgb };
    let preprocess = Preprocess { color, resize, crop, scale, mean, std };
    preprocess.validate()?;
    Ok(preprocess)
}

struct Config(Map<String, Value>);

/// What a size says.
enum Size {
    Exact {
        width: u32,
        height: u32,
    },
    Shortest(u32),
    /// A single number, which means one or the other.
    Number(u32),
}

impl Config {
    /// The value of `key`, when it is there and not null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The error that the value of `key` is not what was expected.
    fn value(&self, key: &'static str, expected: &'static str) -> PreprocessError {
        let given = self.get(key).map(Value::to_string);
        PreprocessError::new(PreprocessErrorKind::Value { key, given, expected })
    }

    fn flag(&self, key: &'static str) -> Result<Option<bool>, PreprocessError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.value(key, "true or false")),
        }
    }

    fn numbers(&self, key: &'static str) -> Result<Vec<f64>, PreprocessError> {
        let numbers = match self.get(key) {
            Some(Value::Array(values)) => values.iter().map(Value::as_f64).collect(),
            Some(value) => value.as_f64().map(|number| vec![number]),
            None => None,
        };
        numbers.ok_or_else(|| self.value(key, "one number for each channel"))
    }

    /// The name of the image processor, of which the newer ones end in `Fast`.
    fn processor(&self) -> &str {
        let named = |key| self.get(key).and_then(Value::as_str);
        named("image_processor_type").or_else(|| named("feature_extractor_type")).unwrap_or_default()
    }

    fn is_processor(&self, prefixes: &[&str]) -> bool {
        prefixes.iter().any(|prefix| self.processor().starts_with(prefix))
    }

    fn geometry(&self) -> Result<(Option<Resize>, Option<Crop>), PreprocessError> {
        let crop = match (self.flag("do_center_crop")?, self.get("crop_size")) {
            (Some(true), _) => match self.size("crop_size")? {
                Size::Exact { width, height } => Some(Crop { width, height }),
                Size::Number(size) => Some(Crop { width: size, height: size }),
                Size::Shortest(_) => return Err(self.value("crop_size", "a number, or height and width")),
            },
            (None, Some(_)) => return Err(self.value("do_center_crop", "true or false, as there is a crop_size")),
            (Some(false) | None, _) => None,
        };
        if !self.flag("do_resize")?.unwrap_or(self.get("size").is_some()) {
            return Ok((None, crop));
        }
        let filter = self.filter()?;
        let size = match self.size("size")? {
            Size::Number(size) if self.is_processor(&["ConvNext", "ConvNeXT", "CLIP", "MobileNet"]) => {
                Size::Shortest(size)
            }
            Size::Number(size) if self.is_processor(&["ViT", "DeiT", "Beit", "Segformer", "DPT"]) => {
                Size::Exact { width: size, height: size }
            }
            Size::Number(_) => {
                let expected = "height and width, or shortest_edge, as a single number is ambiguous for this processor";
                return Err(self.value("size", expected));
            }
            size => size,
        };
        if self.is_processor(&["ConvNext", "ConvNeXT"]) {
            return match size {
                Size::Shortest(size) => self.convnext(size, filter, crop),
                _ => Err(self.value("size", "shortest_edge, for this processor")),
            };
        }
        if self.get("crop_pct").is_some() {
            return Err(self.value("crop_pct", "none, except for the processor of ConvNext"));
        }
        if self.is_processor(&["Levit"]) {
            return Err(self.value("size", "height and width, in TOML, as this processor enlarges it by 256/224"));
        }
        let resize = match size {
            Size::Exact { width, height } => Resize::Exact { width, height, filter },
            Size::Shortest(size) | Size::Number(size) => Resize::Shortest { size, filter },
        };
        Ok((Some(resize), crop))
    }

    /// ConvNeXt's and ResNet's way: enlarged by 1 / `crop_pct` and cropped, or squeezed when large.
    fn convnext(
        &self,
        size: u32,
        filter: Filter,
        crop: Option<Crop>,
    ) -> Result<(Option<Resize>, Option<Crop>), PreprocessError> {
        if crop.is_some() {
            return Err(self.value("do_center_crop", "false, as this processor crops by itself"));
        }
        if size >= CONVNEXT_NO_CROP {
            return Ok((Some(Resize::Exact { width: size, height: size, filter }), None));
        }
        let share = match self.get("crop_pct") {
            None => CONVNEXT_CROP_SHARE,
            Some(value) => value
                .as_f64()
                .filter(|share| (0.01..=1.0).contains(share))
                .ok_or_else(|| self.value("crop_pct", "a number from 0.01 to 1"))?,
        };
        let shortest = (f64::from(size) / share) as u32;
        Ok((Some(Resize::Shortest { size: shortest, filter }), Some(Crop { width: size, height: size })))
    }

    fn size(&self, key: &'static str) -> Result<Size, PreprocessError> {
        let number = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|size| u32::try_from(size).ok());
        let size = match self.get(key) {
            Some(Value::Object(size)) => {
                match (
                    size.len(),
                    number(size.get("width")),
                    number(size.get("height")),
                    number(size.get("shortest_edge")),
                ) {
                    (2, Some(width), Some(height), _) => Some(Size::Exact { width, height }),
                    (1, _, _, Some(shortest)) => Some(Size::Shortest(shortest)),
                    _ => None,
                }
            }
            value => number(value).map(Size::Number),
        };
        size.ok_or_else(|| self.value(key, "height and width, shortest_edge, or a number"))
    }

    /// Pillow's number of a filter.
    fn filter(&self) -> Result<Filter, PreprocessError> {
        match self.get("resample").and_then(Value::as_u64) {
            Some(0) => Ok(Filter::Nearest),
            Some(1) => Ok(Filter::Lanczos),
            Some(2) => Ok(Filter::Bilinear),
            Some(3) => Ok(Filter::Bicubic),
            Some(4) => Ok(Filter::Box),
            Some(5) => Ok(Filter::Hamming),
            _ => {
                Err(self.value("resample", "a number from 0 to 5: nearest, lanczos, bilinear, bicubic, box or hamming"))
            }
        }
    }
}
