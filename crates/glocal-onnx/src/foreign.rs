//! Tells what a file is that is not an ONNX model, because people rename, half-download and mix up files.

use std::fmt;

/// A kind of file that is sometimes taken for an ONNX model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// The small text that stands for a file in a Git LFS checkout.
    GitLfsPointer,
    /// A web page, such as a login or error page saved by a download.
    Html,
    /// Any other text.
    Text,
    /// A zip archive, which is also what PyTorch's `.pt` and `.pth` files are.
    Zip,
    /// A gzip-compressed file.
    Gzip,
    /// A Python pickle, which is also what old PyTorch files are.
    Pickle,
    /// HDF5, which Keras `.h5` files are.
    Hdf5,
    /// A safetensors file: weights without a graph.
    Safetensors,
    /// A TensorFlow Lite model.
    TensorFlowLite,
    /// A model in onnxruntime's own format (`.ort`).
    OnnxRuntime,
    /// A NumPy array.
    NumPy,
}

/// Bytes at the start that tell a text from anything else.
const TEXT_SAMPLE: usize = 4096;

impl ForeignFormat {
    /// Recognizes a format by its first bytes.
    pub(crate) fn recognize(bytes: &[u8]) -> Option<Self> {
        const SIGNATURES: [(usize, &[u8], ForeignFormat); 10] = [
            (0, b"version https://git-lfs", ForeignFormat::GitLfsPointer),
            (0, b"PK\x03\x04", ForeignFormat::Zip),
            (0, b"PK\x05\x06", ForeignFormat::Zip),
            (0, b"\x1f\x8b", ForeignFormat::Gzip),
            (0, b"\x80\x02", ForeignFormat::Pickle),
            (0, b"\x89HDF\r\n\x1a\n", ForeignFormat::Hdf5),
            (8, b"{\"", ForeignFormat::Safetensors),
            (4, b"TFL3", ForeignFormat::TensorFlowLite),
            (4, b"ORTM", ForeignFormat::OnnxRuntime),
            (0, b"\x93NUMPY", ForeignFormat::NumPy),
        ];
        let found = SIGNATURES
            .iter()
            .find(|(offset, signature, _)| bytes.get(*offset..).is_some_and(|rest| rest.starts_with(signature)))
            .map(|(_, _, format)| *format);
        // A text may hold any of the signatures that lie further in.
        match (text_start(bytes), found) {
            (Some(_), Some(Self::GitLfsPointer)) => Some(Self::GitLfsPointer),
            (Some(text), _) => {
                let start = text.trim_start().to_ascii_lowercase();
                let html = start.starts_with("<!doctype html") || start.starts_with("<html");
                Some(if html { Self::Html } else { Self::Text })
            }
            (None, found) => found,
        }
    }
}

/// The first bytes as text, if all of them are printable.
fn text_start(bytes: &[u8]) -> Option<&str> {
    let sample = bytes.get(..TEXT_SAMPLE).unwrap_or(bytes);
    let text = match std::str::from_utf8(sample) {
        Ok(text) => text,
        // The sample may end within a character.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            std::str::from_utf8(sample.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let printable = |character: char| !character.is_control() || matches!(character, '\t' | '\n' | '\r' | '\x0c');
    (!text.is_empty() && text.chars().all(printable)).then_some(text)
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::GitLfsPointer => "a Git LFS pointer: the model itself is fetched with `git lfs pull`",
            Self::Html => "a web page: the download may have needed a login or failed",
            Self::Text => "text",
            Self::Zip => "a zip archive; a PyTorch file is one too and has to be exported to ONNX, any other unpacked",
            Self::Gzip => "gzip-compressed: unpack it first",
            Self::Pickle => "a Python pickle: export the model to ONNX",
            Self::Hdf5 => "HDF5, as Keras writes it: convert the model to ONNX",
            Self::Safetensors => "safetensors: weights without the graph; export the model to ONNX",
            Self::TensorFlowLite => "a TensorFlow Lite model: convert it to ONNX",
            Self::OnnxRuntime => "a model in onnxruntime's own format: use the ONNX file it was made from",
            Self::NumPy => "a NumPy array",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ForeignFormat;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let cases: [(&[u8], Option<ForeignFormat>); 9] = [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", Some(ForeignFormat::GitLfsPointer)),
            (b"\n<!DOCTYPE html><html>", Some(ForeignFormat::Html)),
            ("ein Text: äöü".as_bytes(), Some(ForeignFormat::Text)),
            (b"PK\x03\x04\x14\x00", Some(ForeignFormat::Zip)),
            (b"\x18\x00\x00\x00\x00\x00\x00\x00{\"w\":{}}", Some(ForeignFormat::Safetensors)),
            (b"12345678{\"w\":{}}", Some(ForeignFormat::Text)),
            (b"\x1c\x00\x00\x00TFL3", Some(ForeignFormat::TensorFlowLite)),
            (b"\x08\x08\x12\x07pytorch", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(ForeignFormat::recognize(bytes), expected, "{bytes:?}");
        }
    }
}
