//! A whole model as a typed tree: what the messages say, with defaults resolved and every tensor decoded.

mod attribute;
mod graph;
mod node;
mod value;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use prost::Message;

pub use attribute::Attribute;
pub use graph::Graph;
pub use node::Node;
pub use value::{Dimension, ValueInfo};

use crate::budget::Budget;
use crate::error::{OnnxError, OnnxErrorKind};
use crate::external::ExternalData;
use crate::proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use crate::source::{self, Source};
use crate::tensor::Decoder;
use crate::wire;

/// The largest protobuf message: 2 GiB less one byte.
const MAX_FILE_BYTES: u64 = i32::MAX as u64;

/// An ONNX model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of each operator set the model uses, by domain. ONNX's own domain is the empty string.
    pub opset_imports: BTreeMap<String, i64>,
    /// Name of the program that wrote the file; may be empty.
    pub producer_name: String,
    /// Its version; may be empty.
    pub producer_version: String,
    /// The graph.
    pub graph: Graph,
    /// Free-form notes of the exporter by key.
    pub metadata: BTreeMap<String, String>,
    /// The files beside the model that weights were read from, with all links followed, in the order of their paths.
    pub external_files: Vec<PathBuf>,
}

impl Model {
    /// Reads a model file. External data is looked for in the folder of `path`, with `path` as it is given: if it is a
    /// link, in the link's folder.
    ///
    /// Weights in `raw_data` and in files beside the model are read one after the other straight into what they are decoded
    /// to: 32-bit ones take their own size, once. Memory is at most four times the size of the files, plus 64 MiB for the
    /// graph; a file that would take more, such as one that consists of large 8-bit integer tensors, is refused.
    /// The files must not change meanwhile.
    ///
    /// # Errors
    ///
    /// Whatever [`OnnxErrorKind`] lists, with the file's path in the error.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, OnnxError> {
        let path = path.as_ref();
        open(path)
            .and_then(|(mut file, length)| Self::decode(&mut file, length, ExternalData::beside(path)))
            .map_err(|error| error.in_file(path))
    }

    /// Decodes a model from the bytes of its file.
    ///
    /// # Errors
    ///
    /// Whatever [`OnnxErrorKind`] lists. External data is one: there is no folder to look in.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OnnxError> {
        Self::decode(&mut Cursor::new(bytes), bytes.len() as u64, ExternalData::nowhere())
    }

    /// Version of an operator set that the model uses; the empty domain is ONNX's own.
    #[must_use]
    pub fn opset_version(&self, domain: &str) -> Option<i64> {
        self.opset_imports.get(plain_domain(domain)).copied()
    }

    fn decode(source: &mut dyn Source, length: u64, external: ExternalData) -> Result<Self, OnnxError> {
        if length == 0 {
            return Err(OnnxErrorKind::Empty.into());
        }
        if length > MAX_FILE_BYTES {
            return Err(OnnxErrorKind::TooLarge { bytes: length, limit: MAX_FILE_BYTES }.into());
        }
        let mut budget = Budget::for_file(length);
        let decoded = messages(source, length, &mut budget)
            .and_then(|proto| Self::from_proto(proto, Decoder::new(budget, external, source)));
        decoded.map_err(|error| error.or_foreign(&source::start(source)))
    }

    fn from_proto(proto: ModelProto, mut decoder: Decoder<'_>) -> Result<Self, OnnxError> {
        let Some(graph) = proto.graph else {
            // A file of another program can be valid protobuf by chance, but says no version then.
            let some_model = proto.ir_version > 0;
            return Err(match some_model {
                true => OnnxErrorKind::MissingGraph.into(),
                false => OnnxErrorKind::NotOnnx { looks_like: None }.into(),
            });
        };
        let opset_imports = opset_imports(proto.opset_import)?;
        let graph = Graph::from_proto(graph, &proto.functions, &mut decoder)?;
        Ok(Self {
            ir_version: proto.ir_version,
            opset_imports,
            producer_name: proto.producer_name,
            producer_version: proto.producer_version,
            graph,
            metadata: entries(proto.metadata_props),
            external_files: decoder.external_files(),
        })
    }
}

/// The file, and how many bytes it has.
fn open(path: &Path) -> Result<(File, u64), OnnxError> {
    let unreadable = |cause| OnnxError::caused(OnnxErrorKind::Unreadable, cause);
    // Before opening, which blocks on a pipe.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(OnnxErrorKind::NotAFile.into());
    }
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    Ok((file, length))
}

/// The messages, with a [`Stored`](source::Stored) in place of `raw_data`.
fn messages(source: &mut dyn Source, length: u64, budget: &mut Budget) -> Result<ModelProto, OnnxError> {
    let outline = wire::outline(source, length, budget)?;
    budget.release(length.saturating_sub(outline.len() as u64));
    ModelProto::decode(outline).map_err(|cause| OnnxError::caused(OnnxErrorKind::Malformed, cause))
}

fn opset_imports(proto: Vec<OperatorSetIdProto>) -> Result<BTreeMap<String, i64>, OnnxError> {
    let mut imports = BTreeMap::new();
    for OperatorSetIdProto { domain, version } in proto {
        let domain = plain_domain(&domain).to_owned();
        if let Some(first) = imports.insert(domain.clone(), version)
            && first != version
        {
            return Err(OnnxErrorKind::ConflictingOpsets { domain, first, second: version }.into());
        }
    }
    if imports.is_empty() {
        return Err(OnnxErrorKind::MissingOpset.into());
    }
    Ok(imports)
}

/// ONNX's own domain has two spellings.
fn plain_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn entries(proto: Vec<StringStringEntryProto>) -> BTreeMap<String, String> {
    proto.into_iter().map(|entry| (entry.key, entry.value)).collect()
}
