//! Data sets for the tests.

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::support::{glocal, model};

/// The number of classes of the oracle's vgg_tiny.
pub const CLASSES: usize = 5;

/// Writes `count` arrays of noise with labels, for the oracle's vgg_tiny.
pub fn noise(folder: &Path, count: usize) -> String {
    let mut state = 1_u32;
    let mut next = || {
        // The constants of Numerical Recipes.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 * 4.0 - 2.0
    };
    let x: Vec<u8> = (0..count * 3 * 16 * 16).flat_map(|_| next().to_le_bytes()).collect();
    let y: Vec<u8> = (0..count).flat_map(|sample| ((sample % CLASSES) as i64).to_le_bytes()).collect();
    let x = TensorView::new(Dtype::F32, vec![count, 3, 16, 16], &x).unwrap();
    let y = TensorView::new(Dtype::I64, vec![count], &y).unwrap();
    let path = folder.join("noise.safetensors");
    safetensors::serialize_to_file([("x", x), ("y", y)], None, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A path in a folder, as text.
pub fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

/// Analyzes noise into a store, and says where data and store are.
pub fn analyzed(folder: &Path, count: usize) -> (String, String) {
    let (data, store) = (noise(folder, count), path(folder, "store"));
    glocal(&["analyze", &model(), &data, "-o", &store]).succeeded();
    (data, store)
}
