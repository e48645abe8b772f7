//! What to do about an error, by its kind.

use glocal::attribution::Method;
use glocal::composite::Preset;
use glocal::error::{ModelError, ModelErrorKind, RequestError, RequestErrorKind};
use glocal_kit::condition::{ConditionError, ConditionErrorKind};
use glocal_kit::data::{ClassFault, DataError, DataErrorKind, IMAGE_EXTENSIONS};
use glocal_kit::loading::{LoadError, LoadErrorKind};
use glocal_kit::picture::{ColorMap, PictureError, PictureErrorKind};
use glocal_kit::preprocess::{PreprocessError, PreprocessErrorKind};
use glocal_onnx::OnnxErrorKind;

const LAYERS: &str = "`glocal inspect MODEL` lists the layers with their shapes";
const CONDITION: &str = "as in 'target=46; features.40=50,51; features.37=3', neurons as features.40=50@Y:X, tokens as encoder.3=token:5, heads as \
                         attention=head:2/8";
const DIRECTIONS: &str = "as in 'features.40=direction:FILE#3,5': a .npy, .npz or .safetensors file with one array [K, C], \
                          a row for each direction, as long as the layer has channels";
/// What to do about a sample of a data set that cannot be used.
pub const UNUSABLE: &str = "`--keep-going` passes over such samples, and goes on where a run has stopped; or mend or remove the file \
                            and analyze into a new folder, as the data set is then another one";

pub fn load(error: &LoadError) -> Option<String> {
    match error.kind() {
        LoadErrorKind::Read(_) => Some("check the path, and that you may read the file".to_owned()),
        LoadErrorKind::Onnx(cause) => onnx(cause.kind()),
        LoadErrorKind::Model(cause) => model(cause),
        LoadErrorKind::Data(cause) => data(cause),
        LoadErrorKind::Preprocess(cause) => preprocess(cause),
        LoadErrorKind::NoPreprocess { expected } => Some(format!(
            "write a file preprocess.toml and pass `--preprocess preprocess.toml`:\n{}",
            preprocess_example(expected)
        )),
        LoadErrorKind::Shape { .. } => Some(
            "`glocal inspect MODEL` shows the input's shape; `resize` and `crop` of --preprocess set that of images"
                .to_owned(),
        ),
        LoadErrorKind::NotFinite { .. } => {
            Some("mend or leave out the sample; positions count its numbers from 0".to_owned())
        }
        LoadErrorKind::Json(_) => {
            Some("a list of texts, as in [\"cat\", \"dog\"], or a plain file of one name a line".to_owned())
        }
        LoadErrorKind::ClassCount { .. } => {
            Some("give one name for each class, in the order of the model's output".to_owned())
        }
        _ => None,
    }
}

fn onnx(kind: &OnnxErrorKind) -> Option<String> {
    let hint = match kind {
        OnnxErrorKind::Unreadable => "check the path, and that you may read the file",
        OnnxErrorKind::NotAFile | OnnxErrorKind::NotOnnx { .. } | OnnxErrorKind::Empty => {
            "MODEL is an ONNX file, as torch.onnx.export or tf2onnx write it"
        }
        OnnxErrorKind::Truncated { .. } | OnnxErrorKind::Malformed => "compare the file's size with its source's",
        _ => return None,
    };
    Some(hint.to_owned())
}

pub fn model(error: &ModelError) -> Option<String> {
    let hint = match error.kind() {
        ModelErrorKind::Outputs { .. } | ModelErrorKind::NoOutput => "choose an output with `--output NAME`",
        ModelErrorKind::InputShape { .. } => {
            "`--input-shape C,H,W` gives the shape of one sample; it has to agree with the axes that the file fixes"
        }
        ModelErrorKind::Opset { .. } => "export the model again with opset 9 or newer",
        ModelErrorKind::UnsupportedOp { .. }
        | ModelErrorKind::UnsupportedUse { .. }
        | ModelErrorKind::UnreadAttributes { .. } => {
            "export the model without it, or explain an output below it with `--output NAME`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

pub fn data(error: &DataError) -> Option<String> {
    let hint = match error.kind() {
        DataErrorKind::Read => "check the path, and that you may read the file",
        DataErrorKind::Image if error.path().is_dir() => "name the images in the folder, as in FOLDER/*.jpg",
        DataErrorKind::Image => {
            return Some(format!(
                "images are {}; arrays are npy, npz, safetensors, told by the extension",
                IMAGE_EXTENSIONS.join(", ")
            ));
        }
        DataErrorKind::ImageCutOff => "download or copy the image again",
        DataErrorKind::NoImages { .. }
        | DataErrorKind::MixedFolder { .. }
        | DataErrorKind::EmptyClass
        | DataErrorKind::SeveralPairs { .. }
        | DataErrorKind::SeveralTables { .. }
        | DataErrorKind::Table(_)
        | DataErrorKind::Archive(_)
        | DataErrorKind::Parquet(_)
        | DataErrorKind::SingleImage
        | DataErrorKind::UnknownFormat => "`glocal analyze --help` says what a data set can be",
        DataErrorKind::Classes(ClassFault::Contradicted { .. }) => {
            "`--targets predicted` needs no labels; without `--labels`, those of the data set are found by name"
        }
        DataErrorKind::Classes(_) => {
            "write the names of the data set into the file of `--classes`, in the order of the outputs; without it, names are numbered \
             in their own order, and other commands take `--classes` for what is shown"
        }
        DataErrorKind::Samples { .. } => "name the array of samples `x`",
        DataErrorKind::Shape { .. } => "a batch of samples has shape [N, C, ...]",
        _ => return None,
    };
    Some(hint.to_owned())
}

pub fn preprocess(error: &PreprocessError) -> Option<String> {
    let hint = match error.kind() {
        PreprocessErrorKind::Shape { expected, .. } => {
            return Some(format!("a file that fits this model:\n{}", preprocess_example(expected)));
        }
        PreprocessErrorKind::Read => "check the path, and that you may read the file",
        PreprocessErrorKind::Toml | PreprocessErrorKind::Field { .. } => {
            "the keys are color, resize, crop, scale, mean and std"
        }
        PreprocessErrorKind::TooLarge { .. } => "make the image smaller first",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// A preprocessing file for a model that takes samples of `shape`.
pub fn preprocess_example(shape: &[usize]) -> String {
    let (color, height, width) = match *shape {
        [1, height, width] => ("grey", height, width),
        [_, height, width] => ("rgb", height, width),
        _ => ("rgb", 224, 224),
    };
    format!(
        "    color = \"{color}\"\n    resize = {{ width = {width}, height = {height} }}\n    scale = 0.00392156862745098   # \
         then (value - mean) / std, as the model was trained:\n    mean = [0.0]\n    std = [1.0]"
    )
}

pub fn condition(error: &ConditionError) -> Option<String> {
    let hint = match error.kind() {
        ConditionErrorKind::Layer(_) | ConditionErrorKind::Position { .. } | ConditionErrorKind::UnfitHeads { .. } => {
            LAYERS
        }
        ConditionErrorKind::NoDirections { .. }
        | ConditionErrorKind::DirectionFile { .. }
        | ConditionErrorKind::Vectors { .. }
        | ConditionErrorKind::DirectionLength { .. }
        | ConditionErrorKind::NoDirection { .. } => DIRECTIONS,
        _ => CONDITION,
    };
    Some(hint.to_owned())
}

/// What an unknown key of a composite's entry is called in its error.
const ENTRY_KEY: &str = "key of this rule and its selector";

pub fn request(error: &RequestError) -> Option<String> {
    let hint = match error.kind() {
        RequestErrorKind::Layer(_) | RequestErrorKind::Concept { .. } | RequestErrorKind::UnfitConcept { .. } => LAYERS,
        RequestErrorKind::NotExplained { .. } => "`glocal inspect MODEL` lists the layers from the input to the output",
        RequestErrorKind::UnknownName { what: "composite", .. } => {
            let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
            return Some(format!("the composites are {}", names.join(", ")));
        }
        RequestErrorKind::UnknownName { what: "rule" | "op kind" | "op class" | ENTRY_KEY, .. }
        | RequestErrorKind::Entry { .. } => {
            "an entry is layer = \"features.*\" (or kind, class), rule = \"gamma\", gamma = 0.25"
        }
        RequestErrorKind::UnknownName { .. } | RequestErrorKind::Parameter { .. } => {
            "parameters follow the name, as in epsilon-gamma-box:low=-3,high=3,gamma=0.25"
        }
        RequestErrorKind::NotOneWayDown { .. } => "leave out --method, or --conservation",
        RequestErrorKind::NoRelevance { .. } => "leave that out, or choose another --method",
        RequestErrorKind::Window { .. } => "as in occlusion:window=8,stride=4, or window=4x8 for the last two axes",
        RequestErrorKind::RepeatedLayer { .. } => {
            "a merged batch normalisation is the same layer; name all channels at once"
        }
        RequestErrorKind::NoPrediction { .. } => "name the target, as in --target 3 or --condition 'target=3'",
        RequestErrorKind::NotOnOnePath { .. } => "`--scope whole` masks layers of parallel branches",
        RequestErrorKind::Unpaired { .. } => {
            "`--pairing product` combines every sample with every condition; zip needs one --condition a sample"
        }
        RequestErrorKind::NoRule { .. } => "`glocal inspect MODEL` lists the layers with their ops",
        RequestErrorKind::WrongRule { .. } => {
            "narrow the entry that matches the layer, as by `class = \"linear\"`; `glocal inspect MODEL` lists the ops"
        }
        RequestErrorKind::Text { .. } => {
            "texts stand in quotes and entries in [[rules]], as in --rule 'layer = \"features.0\", rule = \"flat\"'"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// About the text of a method.
pub fn method(error: &RequestError) -> String {
    match error.kind() {
        RequestErrorKind::UnknownName { what: "method", .. } => format!("the methods are {}", Method::NAMES.join(", ")),
        _ => "parameters follow the name, as in smooth-grad:noise=0.1,passes=20,seed=0, \
              integrated-gradients:steps=20,baseline=0 or occlusion:window=8,stride=8,fill=0,hide=outside"
            .to_owned(),
    }
}

pub fn picture(error: &PictureError) -> Option<String> {
    match error.kind() {
        PictureErrorKind::UnknownColorMap { .. } => Some(format!("the color maps are {}", ColorMap::NAMES.join(", "))),
        _ => None,
    }
}
