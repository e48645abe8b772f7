//! Files of arrays (`.npy`, `.npz`, `.safetensors`): which of their arrays are the samples and which the labels.

use std::path::Path;
use std::sync::{Arc, Mutex};

use glocal_compute::Tensor;

use super::error::{ArrayFormat, DataError, DataErrorKind};
use super::regular::open_file;
use super::stored_array::{Bytes, StoredArray};
use super::{npy, npz, safetensors_file};

/// What the array of samples may be called, in the order of preference.
const SAMPLE_NAMES: &[&str] = &["x", "images", "data", "inputs"];

/// What the array of labels may be called, in the order of preference.
const LABEL_NAMES: &[&str] = &["y", "labels", "targets"];

/// What the array of directions may be called, in the order of preference.
const DIRECTION_NAMES: &[&str] = &["directions", "vectors"];

/// The arrays of a file by their role.
pub(super) struct Arrays {
    /// `[N, C, ...]`.
    pub(super) samples: StoredArray,
    /// `[N]`.
    pub(super) labels: Option<StoredArray>,
}

/// The format that the extension of `path` tells.
pub(super) fn format_of(path: &Path) -> Option<ArrayFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "npy" => Some(ArrayFormat::Npy),
        "npz" => Some(ArrayFormat::Npz),
        "safetensors" => Some(ArrayFormat::Safetensors),
        _ => None,
    }
}

/// Reads a batch of arrays that are already preprocessed, as `[N, C, ...]`, from a `.npy`, `.npz` or `.safetensors` file: the
/// array `x`, `images`, `data` or `inputs`, or the only one. Booleans, integers and floats of any size become `f32`.
///
/// # Errors
/// When the file cannot be read, is none of these or damaged, it is unclear which array is meant, the array has fewer
/// than two axes or no elements, or takes more than 4 GiB.
pub fn load_arrays(path: &Path) -> Result<Tensor, DataError> {
    let Arrays { samples, .. } = open(path)?;
    let shape = samples.shape().to_vec();
    Tensor::new(shape, samples.values()?).map_err(|error| DataError::caused(path, DataErrorKind::Read, error))
}

/// Reads vectors `[K, C]` from a `.npy`, `.npz` or `.safetensors` file: the array `directions` or `vectors`, or the only one. One
/// vector `[C]` is `[1, C]`.
///
/// # Errors
/// When the file cannot be read, is none of these or damaged, it is unclear which array is meant, or the array has other axes,
/// no elements, or takes more than 4 GiB.
pub fn load_directions(path: &Path) -> Result<Tensor, DataError> {
    let choose = |names: &[String]| match (find(DIRECTION_NAMES, names), names) {
        (Some(name), _) => Ok(vec![name]),
        (None, [only]) => Ok(vec![only.clone()]),
        _ => Err(DataError::new(path, DataErrorKind::Directions { arrays: names.to_vec() })),
    };
    if format_of(path).is_none() {
        return Err(DataError::new(path, DataErrorKind::NoArrays));
    }
    let Some(vectors) = stored(path, choose)?.into_iter().next() else {
        return Err(DataError::new(path, DataErrorKind::Directions { arrays: Vec::new() }));
    };
    let shape = match *vectors.shape() {
        [channels] => [1, channels],
        [count, channels] => [count, channels],
        _ => {
            let (array, shape) = (vectors.name().to_owned(), vectors.shape().to_vec());
            return Err(DataError::new(
                path,
                DataErrorKind::Shape { array, shape, expected: "[K, C]: a row a direction" },
            ));
        }
    };
    Tensor::new(shape, vectors.values()?).map_err(|error| DataError::caused(path, DataErrorKind::Read, error))
}

/// A small array in double precision: whole numbers up to 2⁵³ are exact.
pub(crate) struct Numbers {
    /// The size of each axis.
    pub(crate) shape: Vec<usize>,
    /// The elements, in row-major order.
    pub(crate) values: Vec<f64>,
}

/// Reads the array of a `.npy` file.
pub(crate) fn load_numbers(path: &Path) -> Result<Numbers, DataError> {
    let array = open_npy(path)?;
    Ok(Numbers { shape: array.shape().to_vec(), values: array.numbers()? })
}

/// Opens those arrays of the file at `path` that `choose` names.
fn stored(
    path: &Path,
    choose: impl Fn(&[String]) -> Result<Vec<String>, DataError>,
) -> Result<Vec<StoredArray>, DataError> {
    match format_of(path) {
        Some(ArrayFormat::Npy) => Ok(vec![open_npy(path)?]),
        Some(ArrayFormat::Npz) => npz::read(path, choose),
        Some(ArrayFormat::Safetensors) => safetensors_file::read(path, choose),
        _ => Err(DataError::new(path, DataErrorKind::UnknownFormat)),
    }
}

/// The first of `candidates` that is among `names`.
fn find(candidates: &[&str], names: &[String]) -> Option<String> {
    candidates.iter().map(|name| (*name).to_owned()).find(|name| names.contains(name))
}

/// Opens the arrays of the file at `path`.
pub(super) fn open(path: &Path) -> Result<Arrays, DataError> {
    let mut arrays = stored(path, |names| choose(path, names))?.into_iter();
    let Some(samples) = arrays.next() else {
        return Err(DataError::new(path, DataErrorKind::Samples { arrays: Vec::new() }));
    };
    if samples.shape().len() < 2 {
        let (array, shape) = (samples.name().to_owned(), samples.shape().to_vec());
        return Err(DataError::new(path, DataErrorKind::Shape { array, shape, expected: "[N, C, ...]" }));
    }
    Ok(Arrays { samples, labels: arrays.next() })
}

/// The names of the samples and, if there are any, of the labels among `names`.
fn choose(path: &Path, names: &[String]) -> Result<Vec<String>, DataError> {
    let labels = find(LABEL_NAMES, names);
    let mut others = names.iter().filter(|name| Some(*name) != labels.as_ref());
    let samples = match (find(SAMPLE_NAMES, names), others.next(), others.next()) {
        (Some(name), ..) => name,
        (None, Some(only), None) => only.clone(),
        _ => return Err(DataError::new(path, DataErrorKind::Samples { arrays: names.to_vec() })),
    };
    Ok([samples].into_iter().chain(labels).collect())
}

fn open_npy(path: &Path) -> Result<StoredArray, DataError> {
    let mut file = open_file(path).map_err(|error| DataError::read(path, error))?;
    let size = file.metadata().map_err(|error| DataError::read(path, error))?.len();
    let (layout, start) = npy::read_header(&mut file, "the array", path)?;
    StoredArray::new(path, layout, Bytes::File { file: Arc::new(Mutex::new(file)), start }, size.saturating_sub(start))
}
