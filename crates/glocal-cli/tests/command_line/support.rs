//! Running the binary, and the oracle's files.

use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::SafeTensors;
use serde_json::Value;

/// What a run left.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the binary, with a cache of the tests' own.
pub fn glocal(arguments: &[&str]) -> Run {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    let output =
        Command::new(env!("CARGO_BIN_EXE_glocal")).args(arguments).env("GLOCAL_CACHE", cache).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Run {
    /// What it printed, if it succeeded without a word on stderr.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
        self.stdout
    }

    /// The one JSON document that it printed.
    #[track_caller]
    pub fn document(self) -> Value {
        serde_json::from_str(&self.succeeded()).unwrap()
    }

    /// The message of a call that was wrong, whose cause has all of `words` and which has a hint.
    #[track_caller]
    pub fn was_wrong(self, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""), "{}", self.stderr);
        let (cause, _) = self.stderr.split_once("\nhint: ").unwrap();
        assert!(cause.starts_with("error: "), "{cause}");
        assert!(words.iter().all(|word| cause.contains(word)), "{cause:?} lacks one of {words:?}");
    }
}

/// A file of the oracle's vgg_tiny.
pub fn oracle(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens/vgg_tiny");
    folder.join(file).to_str().unwrap().to_owned()
}

/// The model of vgg_tiny: images of 3×16×16, 5 classes.
pub fn model() -> String {
    oracle("model.onnx")
}

/// An array of a safetensors file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Reads an array.
#[track_caller]
pub fn array(path: impl AsRef<Path>, name: &str) -> Array {
    let bytes = std::fs::read(path).unwrap();
    let view = SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap();
    assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
    let values = view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    Array { shape: view.shape().to_vec(), values }
}

/// The names of the arrays in a safetensors file.
pub fn arrays(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    SafeTensors::deserialize(&bytes).unwrap().names().iter().map(|name| (*name).to_owned()).collect()
}

/// Writes some rows of the inputs of vgg_tiny as a file of their own.
pub fn rows(folder: &Path, rows: &[usize]) -> PathBuf {
    rows_of(&oracle("inputs.safetensors"), folder, rows)
}

/// Writes some rows of the array `x` of a file as a file of their own.
pub fn rows_of(inputs: &str, folder: &Path, rows: &[usize]) -> PathBuf {
    let inputs = array(inputs, "x");
    let len: usize = inputs.shape[1..].iter().product();
    let of_row = |&row: &usize| inputs.values[row * len..(row + 1) * len].iter().flat_map(|value| value.to_le_bytes());
    let bytes: Vec<u8> = rows.iter().flat_map(of_row).collect();
    let shape = [&[rows.len()], &inputs.shape[1..]].concat();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &bytes).unwrap();
    let path = folder.join("rows.safetensors");
    safetensors::serialize_to_file([("x", view)], None, &path).unwrap();
    path
}

/// Writes a grey gradient of a size as a PNG file.
pub fn picture(folder: &Path, name: &str, width: u32, height: u32) -> String {
    let shade = |x, y| image::Rgb([(x * 7 % 256) as u8, (y * 11 % 256) as u8, 90]);
    let path = folder.join(name);
    let png = glocal_kit::picture::encode_png(&image::RgbImage::from_fn(width, height, shade)).unwrap();
    std::fs::write(&path, png).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Writes a preprocessing that fits the model.
pub fn preprocess(folder: &Path) -> String {
    let path = folder.join("preprocess.toml");
    std::fs::write(&path, "resize = { width = 16, height = 16 }\nmean = [0.5]\nstd = [0.5]\n").unwrap();
    path.to_str().unwrap().to_owned()
}

/// The names of the files in a folder, hidden ones included.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
