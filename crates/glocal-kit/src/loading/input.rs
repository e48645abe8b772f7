//! The samples that a user names: image files and files of arrays, in the order in which they are named.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use glocal_compute::Tensor;
use image::RgbImage;

use super::error::{LoadError, LoadErrorKind};
use crate::data::{self, load_arrays, load_image};
use crate::picture::{ValueRange, draw_channels};
use crate::preprocess::Preprocess;

/// Samples in files. Images are read when they are [loaded](Self::load), arrays when the files are opened.
#[derive(Debug)]
pub struct InputFiles {
    preprocess: Option<Preprocess>,
    shape: Vec<usize>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Image(PathBuf),
    /// Row `.1` of a batch that other samples share.
    Row(Tensor, usize),
}

/// Some samples, ready for a model.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// `[N, C, ...]`.
    pub batch: Tensor,
    /// What the model sees of each sample, as a picture of the input's width and height: the resized and cropped image; for
    /// arrays of 1 or 3 channels their values from the lowest (black) to the highest; none for other arrays.
    pub views: Vec<Option<RgbImage>>,
}

impl InputFiles {
    /// Opens image files, to be preprocessed by `preprocess`, and files of arrays `[N, C, ...]` that already are, for a
    /// model that takes samples of `shape`.
    ///
    /// A file is taken for arrays by its extension: `.npy`, `.npz`, `.safetensors`.
    ///
    /// # Errors
    /// When an array file cannot be used, a file does not exist, an image comes without preprocessing, or the samples
    /// cannot have `shape`.
    pub fn open(paths: &[PathBuf], preprocess: Option<Preprocess>, shape: &[usize]) -> Result<Self, LoadError> {
        let mut samples = Vec::new();
        for path in paths {
            if data::is_array_file(path) {
                let batch = load_arrays(path).map_err(|cause| LoadError::new(path, LoadErrorKind::Data(cause)))?;
                if batch.sample_shape() != shape {
                    let (given, expected) = (batch.sample_shape().to_vec(), shape.to_vec());
                    return Err(LoadError::new(path, LoadErrorKind::Shape { given, expected }));
                }
                let name = |row| if batch.batch() == 1 { stem(path) } else { format!("{}-{row}", stem(path)) };
                let rows = 0..batch.batch();
                samples.extend(rows.map(|row| Sample { name: name(row), source: Source::Row(batch.clone(), row) }));
                continue;
            }
            std::fs::metadata(path).map_err(|cause| LoadError::new(path, LoadErrorKind::Read(cause)))?;
            match &preprocess {
                None => {
                    return Err(LoadError::new(path, LoadErrorKind::NoPreprocess { expected: shape.to_vec() }));
                }
                Some(preprocess) => {
                    preprocess.check(shape).map_err(|cause| LoadError::new(path, LoadErrorKind::Preprocess(cause)))?;
                }
            }
            samples.push(Sample { name: stem(path), source: Source::Image(path.clone()) });
        }
        make_unique(&mut samples);
        Ok(Self { preprocess, shape: shape.to_vec(), samples })
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// What sample `index` is called: its file's name without extension, followed by `-ROW` where a file holds several;
    /// equal names are told apart by `-2`, `-3`, ...; empty when there is no such sample.
    pub fn name(&self, index: usize) -> &str {
        self.samples.get(index).map_or("", |sample| &sample.name)
    }

    /// The samples of a range, which is cut to those that there are.
    ///
    /// # Errors
    /// When an image cannot be read or preprocessed, or does not get the model's shape.
    pub fn load(&self, range: Range<usize>) -> Result<Inputs, LoadError> {
        let samples = self.samples.get(range.start..range.end.min(self.len())).unwrap_or(&[]);
        let mut values = Vec::with_capacity(samples.len() * self.shape.iter().product::<usize>());
        let mut views = Vec::with_capacity(samples.len());
        for sample in samples {
            let view = match &sample.source {
                Source::Row(batch, row) => {
                    values.extend_from_slice(batch.row(*row));
                    view_of(batch.row(*row), &self.shape)
                }
                Source::Image(path) => {
                    let (input, view) = self.prepare(path)?;
                    values.extend_from_slice(input.data());
                    Some(view)
                }
            };
            views.push(view);
        }
        let row = self.shape.iter().product::<usize>().max(1);
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let sample = &samples[index / row];
            let (name, value) = (sample.name.clone(), values[index]);
            let kind = LoadErrorKind::NotFinite { sample: name, position: index % row, value };
            return Err(LoadError::new(sample.path(), kind));
        }
        let shape = [&[samples.len()], self.shape.as_slice()].concat();
        let wrong = |_| {
            let path = samples.first().map(Sample::path).unwrap_or_default();
            LoadError::new(path, LoadErrorKind::Shape { given: Vec::new(), expected: self.shape.clone() })
        };
        Ok(Inputs { batch: Tensor::new(shape, values).map_err(wrong)?, views })
    }

    fn prepare(&self, path: &Path) -> Result<(Tensor, RgbImage), LoadError> {
        let expected = || self.shape.clone();
        let Some(preprocess) = &self.preprocess else {
            return Err(LoadError::new(path, LoadErrorKind::NoPreprocess { expected: expected() }));
        };
        let image = load_image(path).map_err(|cause| LoadError::new(path, LoadErrorKind::Data(cause)))?;
        let prepared =
            preprocess.apply(&image).map_err(|cause| LoadError::new(path, LoadErrorKind::Preprocess(cause)))?;
        if prepared.input.shape() != self.shape {
            let given = prepared.input.shape().to_vec();
            return Err(LoadError::new(path, LoadErrorKind::Shape { given, expected: expected() }));
        }
        Ok((prepared.input, prepared.view))
    }
}

impl Sample {
    fn path(&self) -> PathBuf {
        match &self.source {
            Source::Image(path) => path.clone(),
            Source::Row(..) => PathBuf::from(&self.name),
        }
    }
}

/// An array as a picture, if it is one.
fn view_of(values: &[f32], shape: &[usize]) -> Option<RgbImage> {
    let &[channels, height, width] = shape else { return None };
    draw_channels(values, channels, width, height, ValueRange::Extremes).ok()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Numbers names that occur more than once, so that files can be named for them.
fn make_unique(samples: &mut [Sample]) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for sample in samples.iter() {
        taken.entry(sample.name.clone()).or_insert(0);
    }
    for sample in samples {
        let seen = taken.entry(sample.name.clone()).or_insert(0);
        *seen += 1;
        let mut number = *seen;
        if number == 1 {
            continue;
        }
        let base = sample.name.clone();
        loop {
            let name = format!("{base}-{number}");
            if !taken.contains_key(&name) {
                taken.insert(base, number);
                taken.insert(name.clone(), 1);
                sample.name = name;
                break;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: [usize; 3] = [3, 2, 2];

    #[test]
    fn equal_names_are_numbered() {
        let sample = |name: &str| Sample { name: name.to_owned(), source: Source::Image(PathBuf::new()) };
        let mut samples = ["cat", "cat", "cat-2", "cat", "dog"].map(sample);
        make_unique(&mut samples);
        assert_eq!(samples.map(|sample| sample.name), ["cat", "cat-3", "cat-2", "cat-4", "dog"]);
    }

    #[test]
    fn images_and_arrays_come_in_the_order_in_which_they_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (image, array) = (folder.path().join("red.png"), folder.path().join("rows.safetensors"));
        RgbImage::from_pixel(5, 3, image::Rgb([255, 0, 0])).save(&image).unwrap();
        let bytes: Vec<u8> = (0..24).flat_map(|value: u8| f32::from(value).to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 3, 2, 2], &bytes).unwrap();
        safetensors::serialize_to_file([("x", view)], None, &array).unwrap();
        let preprocess = Preprocess::from_toml("resize = { width = 2, height = 2 }").unwrap();
        let files = InputFiles::open(&[array, image], Some(preprocess), &TAKES).unwrap();
        assert_eq!((0..files.len()).map(|index| files.name(index)).collect::<Vec<_>>(), ["rows-0", "rows-1", "red"]);
        let inputs = files.load(1..9).unwrap();
        assert_eq!(inputs.batch.shape(), [2, 3, 2, 2]);
        assert_eq!(inputs.batch.row(0)[0], 12.0);
        assert_eq!(inputs.batch.row(1), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(inputs.views.iter().flatten().all(|view| view.dimensions() == (2, 2)));
    }

    #[test]
    fn images_need_preprocessing_that_fits() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("red.png");
        RgbImage::new(5, 3).save(&image).unwrap();
        let open = |preprocess| InputFiles::open(std::slice::from_ref(&image), preprocess, &TAKES);
        assert!(matches!(open(None).unwrap_err().kind(), LoadErrorKind::NoPreprocess { .. }));
        let crop = Preprocess::from_toml("crop = { width = 4, height = 2 }").unwrap();
        assert!(matches!(open(Some(crop)).unwrap_err().kind(), LoadErrorKind::Preprocess(_)));
        let as_it_is = open(Some(Preprocess::default())).unwrap();
        assert!(matches!(as_it_is.load(0..1).unwrap_err().kind(), LoadErrorKind::Shape { .. }));
    }
}
