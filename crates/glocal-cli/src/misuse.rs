//! Calls that no library can see are wrong: arguments that do not fit each other, or the model.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::failure::Failure;

/// A call that is wrong.
#[derive(Debug)]
pub enum Misuse {
    /// `-o` names neither a folder nor a file of a format that is written.
    OutputForm {
        /// What it names.
        path: PathBuf,
    },
    /// `-o` names no file of a form that graphs are written in.
    GraphForm {
        /// What it names.
        path: PathBuf,
    },
    /// Pictures were asked for of samples that are none.
    NoPictures {
        /// The shape of a sample.
        shape: Vec<usize>,
    },
    /// A region was given for a layer without positions.
    NoPositions {
        /// The layer.
        layer: String,
        /// Its shape for one sample.
        shape: Vec<usize>,
    },
    /// A region or mask leaves nothing of the picture.
    EmptyRegion {
        /// The region, as it was given.
        region: String,
        /// The width of what the model sees.
        width: usize,
        /// The height of what the model sees.
        height: usize,
    },
    /// A mask has another size than what the model sees.
    MaskSize {
        /// The file.
        mask: PathBuf,
        /// The mask's width and height.
        given: (u32, u32),
        /// Those of what the model sees.
        expected: (usize, usize),
    },
    /// The demo's folder holds files of something else.
    OccupiedFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Layers are to be recorded, and no arrays are written.
    RecordWithoutArrays,
    /// The file of a composite cannot be read.
    UnreadableComposite {
        /// The file.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// A layer was asked for that no relevance reaches.
    Unreached {
        /// The layer.
        layer: String,
    },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputForm { path } => {
                write!(f, "{}: this is neither a folder nor a file ending in .safetensors", path.display())
            }
            Self::GraphForm { path } => write!(f, "{}: graphs are written as .svg or .json", path.display()),
            Self::NoPictures { shape } => {
                write!(f, "samples of shape {shape:?} cannot be drawn; pictures need [channels, height, width]")
            }
            Self::NoPositions { layer, shape } => {
                write!(f, "a region needs a layer of shape [channels, height, width], {layer} has {shape:?}")
            }
            Self::EmptyRegion { region, width, height } => {
                write!(f, "the region {region} leaves nothing of the {width}×{height} pixels that the model sees")
            }
            Self::MaskSize { mask, given: (width, height), expected: (columns, rows) } => {
                let mask = mask.display();
                write!(f, "the mask {mask} has {width}×{height} pixels, the model sees {columns}×{rows}")
            }
            Self::OccupiedFolder { path } => {
                write!(
                    f,
                    "{}: the folder holds files that are not of this demo; nothing is overwritten",
                    path.display()
                )
            }
            Self::RecordWithoutArrays => write!(f, "--record keeps layers in the arrays file, and none is written"),
            Self::UnreadableComposite { path, cause } => write!(f, "the composite {path} cannot be read: {cause}"),
            Self::Unreached { layer } => write!(f, "no relevance reaches layer {layer}"),
        }
    }
}

impl Error for Misuse {}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        let hint = match misuse {
            Misuse::OutputForm { .. } => "`-o DIR` writes pictures, `-o FILE.safetensors` arrays",
            Misuse::GraphForm { .. } => "`-o FILE.svg` draws the graph, `-o FILE.json` writes its numbers",
            Misuse::NoPictures { .. } => "`-o FILE.safetensors` writes arrays of any shape",
            Misuse::NoPositions { .. } => {
                "`glocal inspect MODEL` shows the layers' shapes; choose one below the flattening"
            }
            Misuse::EmptyRegion { .. } => {
                "X and Y count from the upper left corner of what the model sees; masks are white inside"
            }
            Misuse::MaskSize { .. } => {
                "draw the mask over the resized and cropped image, or pass --preprocess so that it is treated alike"
            }
            Misuse::OccupiedFolder { .. } => "choose another folder with `-o`",
            Misuse::RecordWithoutArrays => "`-o FILE.safetensors` writes arrays",
            Misuse::UnreadableComposite { .. } => "give a preset's name, or a TOML file of rules",
            Misuse::Unreached { .. } => "choose a layer below the explained output",
        };
        Self::call(misuse).hinted(Some(hint.to_owned()))
    }
}
