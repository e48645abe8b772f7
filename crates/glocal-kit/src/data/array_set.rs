//! Data sets whose samples are the rows of an array.

use std::path::Path;

use glocal_compute::Tensor;
use image::{DynamicImage, GrayImage};

use super::array_file::{self, Arrays};
use super::error::{DataError, DataErrorKind};
use super::fingerprint::{Fingerprint, Hasher};
use super::stored_array::StoredArray;
use super::{Content, DataSet};

/// The rows of an array with a label each.
pub(super) struct ArraySet {
    samples: StoredArray,
    labels: Option<Vec<u32>>,
    kind: RowKind,
    fingerprint: Fingerprint,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    /// An array that is already preprocessed.
    Array,
    /// A grey image of bytes, `[height, width]`.
    GreyImage,
}

/// Opens a `.npy`, `.npz` or `.safetensors` file.
pub(super) fn open(path: &Path) -> Result<ArraySet, DataError> {
    let Arrays { samples, labels } = array_file::open(path)?;
    ArraySet::new(samples, labels.as_ref(), RowKind::Array)
}

impl ArraySet {
    /// The data set of `samples`, rows of `kind`, with `labels`.
    pub(super) fn new(samples: StoredArray, labels: Option<&StoredArray>, kind: RowKind) -> Result<Self, DataError> {
        let mut hasher = Hasher::new("glocal arrays 1");
        samples.hash(&mut hasher)?;
        let labels = match labels {
            None => None,
            Some(array) => {
                if array.rows() != samples.rows() {
                    let kind = DataErrorKind::LabelCount { samples: samples.rows(), labels: array.rows() };
                    return Err(DataError::new(array.path(), kind));
                }
                let labels = array.labels()?;
                labels.iter().for_each(|&label| hasher.number(label.into()));
                Some(labels)
            }
        };
        Ok(Self { samples, labels, kind, fingerprint: hasher.finish() })
    }
}

impl DataSet for ArraySet {
    fn len(&self) -> usize {
        self.samples.rows()
    }

    fn key(&self, index: usize) -> String {
        index.to_string()
    }

    fn labels(&self, index: usize) -> &[u32] {
        self.labels.as_ref().and_then(|labels| labels.get(index)).map_or(&[], std::slice::from_ref)
    }

    fn class_names(&self) -> Option<&[String]> {
        None
    }

    fn load(&self, index: usize) -> Result<Content, DataError> {
        let row = self.samples.row(index)?;
        let path = self.samples.path();
        match (self.kind, self.samples.shape()) {
            (RowKind::GreyImage, &[_, height, width]) => {
                let pixels = row.into_iter().map(|value| value as u8).collect();
                let image = u32::try_from(width).ok().zip(u32::try_from(height).ok());
                let image = image.and_then(|(width, height)| GrayImage::from_raw(width, height, pixels));
                image
                    .map(|image| Content::Image(DynamicImage::ImageLuma8(image)))
                    .ok_or_else(|| DataError::new(path, DataErrorKind::Image))
            }
            (_, shape) => Tensor::new(shape.get(1..).unwrap_or_default(), row)
                .map(Content::Array)
                .map_err(|error| DataError::caused(path, DataErrorKind::Read, error)),
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn describe(&self) -> String {
        let len = self.len();
        let row = self.samples.shape().get(1..).unwrap_or_default();
        let labels = if self.labels.is_some() { "with labels" } else { "without labels" };
        match (self.kind, row) {
            (RowKind::GreyImage, [height, width]) => format!("{len} grey images of {width}×{height} pixels {labels}"),
            _ => format!("{len} arrays of shape {row:?} {labels}"),
        }
    }
}
