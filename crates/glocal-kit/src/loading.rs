//! From files to what the library works on: a model with its hash, class names, and batches of inputs.

mod class_names;
mod error;
mod input;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use glocal::canonizer;
use glocal::model::{ImportOptions, Model, Node};
use glocal::op::Structure;
use glocal_compute::Backend;

pub use class_names::ClassNames;
pub use error::{LoadError, LoadErrorKind};
pub use input::{InputFiles, Inputs};

/// How a model is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The shape of one input sample, for models that leave it open. Default: what the file says.
    pub input_shape: Option<Vec<usize>>,
    /// The name of the output to explain, for models with several. Default: the only one.
    pub output: Option<String>,
    /// Whether the graph is brought into the form that rules are defined for. Default: [`Canonize::Auto`].
    pub canonize: Canonize,
}

/// Whether canonizers run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Canonize {
    /// All of them: batch normalisations are merged, identities dropped.
    #[default]
    Auto,
    /// None: the graph is as in the file.
    None,
}

/// A model, ready to be explained, and where it comes from.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    /// The model, canonized as asked.
    pub model: Arc<Model>,
    /// What identifies the file.
    pub hash: ModelHash,
    /// The version of ONNX's operator set that it uses.
    pub opset: i64,
    /// The program that wrote it, with its version; may be empty.
    pub producer: String,
}

/// The BLAKE3 hash of a model file's bytes; of a model whose weights lie beside it, that of the hashes of all its files. Displayed as 64
/// hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelHash([u8; 32]);

impl ModelHash {
    /// The hash of the model at `path`, with weights in these files beside it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of_files(path: &Path, external: &[PathBuf]) -> Result<Self, LoadError> {
        hash_of(path, &AtomicBool::new(false))?.with(external)
    }

    /// Of a model whose own file has this hash, with weights in these files beside it.
    fn with(self, external: &[PathBuf]) -> Result<Self, LoadError> {
        if external.is_empty() {
            return Ok(self);
        }
        // The model's own bytes name the files.
        let mut all = blake3::Hasher::new();
        all.update(&self.0);
        for file in external {
            all.update(&hash_of(file, &AtomicBool::new(false))?.0);
        }
        Ok(Self(*all.finalize().as_bytes()))
    }
}

/// The hash of one file's bytes; of some of them when it becomes `unwanted`.
fn hash_of(path: &Path, unwanted: &AtomicBool) -> Result<ModelHash, LoadError> {
    let mut hasher = blake3::Hasher::new();
    let hashed = regular_file(path).and_then(|file| hasher.update_reader(Wanted { file, unwanted }).map(|_| ()));
    hashed.map_err(|cause| LoadError::new(path, LoadErrorKind::Read(cause)))?;
    Ok(ModelHash(*hasher.finalize().as_bytes()))
}

/// A file that ends when it is `unwanted`.
struct Wanted<'a> {
    file: File,
    unwanted: &'a AtomicBool,
}

impl Read for Wanted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unwanted.load(Ordering::Relaxed) { Ok(0) } else { self.file.read(buffer) }
    }
}

/// Opens a file, unless it is something that need not end, or would be waited for.
fn regular_file(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no regular file"));
    }
    File::open(path)
}

impl fmt::Display for ModelHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads the ONNX file at `path` into a model that `backend` runs.
///
/// # Errors
/// When the file cannot be read, is no ONNX model or a damaged one, or uses what is not supported.
pub fn load_model(path: &Path, options: &LoadOptions, backend: Arc<dyn Backend>) -> Result<LoadedModel, LoadError> {
    let refused = AtomicBool::new(false);
    let read = || glocal_onnx::Model::read(path).inspect_err(|_| refused.store(true, Ordering::Relaxed));
    let (onnx, own) = rayon::join(read, || hash_of(path, &refused));
    let onnx = onnx.map_err(|cause| LoadError::new(path, LoadErrorKind::Onnx(cause)))?;
    let hash = own?.with(&onnx.external_files)?;
    let opset = onnx.opset_version("").unwrap_or(0);
    let producer = format!("{} {}", onnx.producer_name, onnx.producer_version).trim().to_owned();
    let import = ImportOptions { input_shape: options.input_shape.clone(), output: options.output.clone() };
    let unsupported = |cause| LoadError::new(path, LoadErrorKind::Model(cause));
    let model = Model::from_onnx(onnx, &import, backend).map_err(unsupported)?;
    let model = match options.canonize {
        Canonize::Auto => canonizer::canonize(&model).map_err(unsupported)?,
        Canonize::None => model,
    };
    Ok(LoadedModel { model: Arc::new(model), hash, opset, producer })
}

/// The number of weights and biases of a node, in the form in which the model runs it.
pub fn parameter_count(node: &Node) -> usize {
    let count = |parameters: &glocal::op::Parameters| {
        parameters.weight().len() + parameters.bias().map_or(0, |bias| bias.len())
    };
    match node.op.structure() {
        Structure::Convolution(convolution) => count(&convolution.parameters),
        Structure::Dense(dense) => count(&dense.parameters),
        Structure::ChannelAffine(normalization) => normalization.scale.len() + normalization.shift.len(),
        _ => node.op.offset().map_or(0, |constant| constant.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_beside_a_model_are_part_of_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let [model, weights] = ["m.onnx", "w.bin"].map(|name| folder.path().join(name));
        std::fs::write(&model, "model").unwrap();
        std::fs::write(&weights, "weights").unwrap();
        let hash = |external: &[PathBuf]| ModelHash::of_files(&model, external).unwrap();
        let (alone, before) = (hash(&[]), hash(std::slice::from_ref(&weights)));
        assert_eq!(alone.to_string(), blake3::hash(b"model").to_string());
        std::fs::write(&weights, "others").unwrap();
        let after = hash(std::slice::from_ref(&weights));
        assert!(alone != before && before != after);
        std::fs::remove_file(&weights).unwrap();
        assert!(ModelHash::of_files(&model, std::slice::from_ref(&weights)).is_err());
    }
}
