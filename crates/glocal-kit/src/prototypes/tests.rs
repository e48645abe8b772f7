//! Vectors of a store by class, and the same vectors made anew.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glocal::attribution::{Attributor, Cancel};
use glocal::prototype::PrototypeOptions;
use glocal::search::{Scan, ScanOptions};
use glocal_compute::{CpuBackend, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::*;
use crate::loading;
use crate::preprocess::Preprocess;
use crate::scan::{self, Analysis, RunOptions, Source, Targets, VectorFormat};
use crate::store::StoreError;

const LAYERS: [&str; 2] = ["features.4", "features.8"];
const SAMPLES: usize = 24;

/// A store of noise, and what it was made with.
struct Setting {
    _folder: TempDir,
    store: Store,
    attributor: Attributor,
    inputs: Tensor,
}

fn setting(vectors: Option<VectorFormat>) -> Setting {
    let folder = TempDir::new().unwrap();
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens/vgg_tiny/model.onnx");
    let loaded = loading::load_model(&onnx, &Default::default(), Arc::new(CpuBackend::new())).unwrap();
    let attributor = Attributor::new(Arc::clone(&loaded.model), "epsilon-plus-flat".parse().unwrap()).unwrap();
    let mut state = 7_u32;
    let mut next = || {
        // The constants of Numerical Recipes.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..SAMPLES * 3 * 16 * 16).map(|_| next()).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let path: PathBuf = folder.path().join("noise.safetensors");
    let view = TensorView::new(Dtype::F32, vec![SAMPLES, 3, 16, 16], &bytes).unwrap();
    safetensors::serialize_to_file([("x", view)], None, &path).unwrap();
    let data = crate::data::open(&path).unwrap();
    let scan =
        Scan::new(attributor.clone(), &LAYERS.map(str::to_owned), ScanOptions { top_k: 2, ..ScanOptions::default() });
    let source = Source {
        model: onnx,
        model_hash: loaded.hash.to_string(),
        canonized: true,
        composite: "epsilon-plus-flat".to_owned(),
        data: path,
        class_names: None,
    };
    let batch = NonZeroUsize::new(5).unwrap();
    let options = RunOptions { vectors, targets: Targets::Predicted, batch, ..RunOptions::default() };
    let analysis = Analysis {
        scan: &scan.unwrap(),
        data: data.as_ref(),
        preprocess: &Preprocess::default(),
        source: &source,
        options: &options,
    };
    let store = folder.path().join("store");
    scan::run(&analysis, &store, &|_| (), &Cancel::default()).unwrap();
    let inputs = Tensor::new([SAMPLES, 3, 16, 16], values).unwrap();
    Setting { store: Store::open(store).unwrap(), _folder: folder, attributor, inputs }
}

#[test]
fn samples_are_judged_by_the_vectors_that_the_store_keeps_of_them() {
    for (format, within) in [(VectorFormat::F32, 0.0), (VectorFormat::F16, 2_f32.powi(-11))] {
        let Setting { store, attributor, inputs, .. } = &setting(Some(format));
        for layer in LAYERS {
            let probes = Prober::new(store, attributor.clone(), layer).unwrap();
            let probes = probes.probe(inputs, &Cancel::default()).unwrap();
            let mut stored = Vec::new();
            let mut keep = |vector| -> Result<(), StoreError> {
                stored.push(vector);
                Ok(())
            };
            store.vectors(layer, &mut keep).unwrap().unwrap();
            assert_eq!((probes.len(), stored.len()), (SAMPLES, SAMPLES));
            for (probe, stored) in probes.iter().zip(&stored) {
                assert_eq!(probe.predicted, stored.target);
                let near = |(a, b): (&f32, &f32)| (a - b).abs() <= within * a.abs() + within * f32::MIN_POSITIVE;
                // Sizes below the least normal number of half precision lose more.
                let tiny = |value: &f32| within > 0.0 && value.abs() < 6.2e-5;
                assert!(probe.relevance.iter().zip(&stored.relevance).all(|pair| near(pair) || tiny(pair.0)));
            }
        }
    }
}

#[test]
fn vectors_are_read_by_class() {
    let setting = setting(Some(VectorFormat::F32));
    let store = &setting.store;
    let all = read_vectors(store, LAYERS[0], None, usize::MAX).unwrap();
    assert_eq!(all.values().map(ClassVectors::len).sum::<usize>(), SAMPLES);
    let concepts = store.layers().iter().find(|layer| layer.layer == LAYERS[0]).unwrap().concepts.len();
    assert!(all.iter().all(|(class, vectors)| vectors.class() == *class && vectors.concepts() == concepts));
    let (&class, vectors) = all.iter().max_by_key(|(_, vectors)| vectors.len()).unwrap();
    let one = read_vectors(store, LAYERS[0], Some(&BTreeSet::from([class, 99])), usize::MAX).unwrap();
    assert_eq!(one.iter().collect::<Vec<_>>(), [(&class, vectors)]);
    let found = vectors.fit(&PrototypeOptions::default(), &Cancel::default()).unwrap().unwrap();
    assert_eq!(found.samples(), vectors.len());
}

#[test]
fn too_little_memory_is_an_error_that_says_how_much_is_needed() {
    let setting = setting(Some(VectorFormat::F32));
    let store = &setting.store;
    let concepts = store.layers()[0].concepts.len();
    let needed = SAMPLES * (concepts * 4 + 8);
    assert!(read_vectors(store, LAYERS[0], None, needed).is_ok());
    let error = read_vectors(store, LAYERS[0], None, needed - 1).unwrap_err();
    let PrototypesErrorKind::Memory { needed: told, largest, given } = *error.kind() else { panic!("{error}") };
    assert_eq!((told, given), (needed, needed - 1));
    assert!(largest < needed && largest > 0);
}

#[test]
fn stores_without_vectors_or_the_layer_are_errors() {
    let setting = setting(None);
    let store = &setting.store;
    let read = |layer: &str| read_vectors(store, layer, None, usize::MAX).map(|_| ());
    for check in [&read as &dyn Fn(&str) -> Result<(), PrototypesError>, &|layer: &str| check_vectors(store, layer)] {
        let error = check(LAYERS[0]).unwrap_err();
        assert!(matches!(error.kind(), PrototypesErrorKind::NoVectors { .. }), "{error}");
        let error = check("features.5").unwrap_err();
        assert!(matches!(error.kind(), PrototypesErrorKind::Store(_)), "{error}");
    }
    let setting = self::setting(Some(VectorFormat::F16));
    assert!(check_vectors(&setting.store, LAYERS[1]).is_ok());
}
