//! Data sets of every kind on disk, and files that lie about themselves.

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ImageFormat, Rgb, RgbImage};
use safetensors::SafeTensors;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

mod archive;
mod by_name;
mod labelled;
mod parquet_files;
mod table;

/// How far the color of a JPEG file may be from Pillow's, in levels of 255: the decoders differ in the inverse
/// transform, in how they enlarge the color channels and in rounding.
const LOSSY_LEVELS: i32 = 3;

fn path(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = path(folder, name);
    fs::write(&path, bytes).unwrap();
    path
}

fn png(red: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(2, 3, Rgb([red, 20, 30])).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx(axes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, axes.len() as u8];
    axes.iter().for_each(|axis| bytes.extend(axis.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn npy_text(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy_text(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"), data)
}

fn npz(entries: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn kind(result: Result<Box<dyn DataSet>, DataError>) -> DataErrorKind {
    match result {
        Ok(set) => panic!("opened: {}", set.describe()),
        Err(error) => error.kind().clone(),
    }
}

fn array(set: &dyn DataSet, index: usize) -> (Vec<usize>, Vec<f32>) {
    match set.load(index).unwrap() {
        Content::Array(tensor) => (tensor.shape().to_vec(), tensor.data().to_vec()),
        Content::Image(_) => panic!("an image"),
    }
}

fn grey(set: &dyn DataSet, index: usize) -> Vec<u8> {
    match set.load(index).unwrap() {
        Content::Image(image) => image.as_luma8().unwrap().as_raw().clone(),
        Content::Array(_) => panic!("an array"),
    }
}

#[test]
fn class_folders_are_numbered_and_ordered_by_name() {
    let folder = tempfile::tempdir().unwrap();
    // Written in another order than they are read.
    for (name, red) in [("b/2.png", 4), ("a-b/z.PNG", 3), ("a/deep/0.png", 2), ("b/10.png", 5), ("a/Z.png", 1)] {
        write(&folder, name, &png(red));
    }
    for name in ["a/notes.txt", "readme.md", ".hidden/x.png", "a/.x.png"] {
        write(&folder, name, b"text");
    }
    let set = open(folder.path()).unwrap();
    let keys: Vec<String> = (0..set.len()).map(|index| set.key(index)).collect();
    assert_eq!(keys, ["a/Z.png", "a/deep/0.png", "a-b/z.PNG", "b/10.png", "b/2.png"]);
    let labels: Vec<&[u32]> = (0..set.len()).map(|index| set.labels(index)).collect();
    assert_eq!(labels, [[0], [0], [1], [2], [2]]);
    assert_eq!(set.class_names().unwrap(), ["a", "a-b", "b"]);
    assert_eq!(set.describe(), "5 images in 3 classes; 2 other files skipped");
    for (index, red) in [1, 2, 3, 5, 4].into_iter().enumerate() {
        let Content::Image(image) = set.load(index).unwrap() else { panic!("an array") };
        assert_eq!(image.as_rgb8().unwrap().get_pixel(1, 2).0, [red, 20, 30]);
    }
    let error = set.load(5).unwrap_err();
    assert_eq!(error.kind(), &DataErrorKind::Index { index: 5, len: 5 });
    assert!(set.labels(5).is_empty() && set.key(5).is_empty());
}

#[test]
fn fingerprints_follow_the_data_and_not_the_place() {
    let make = |names: &[(&str, u8)]| {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|(name, red)| drop(write(&folder, name, &png(*red))));
        open(folder.path()).unwrap().fingerprint()
    };
    let first = make(&[("a/1.png", 1), ("b/2.png", 2)]);
    assert_eq!(first, make(&[("b/2.png", 2), ("a/1.png", 1)]));
    assert_eq!(first.to_string().len(), 64);
    for other in [
        &[("a/1.png", 1), ("b/2.png", 3)][..],
        &[("a/1.png", 1), ("b/3.png", 2)],
        &[("a/1.png", 1), ("c/2.png", 2)],
        &[("a/1.png", 1)],
        &[("1.png", 1), ("2.png", 2)],
    ] {
        assert_ne!(first, make(other), "{other:?}");
    }
}

#[test]
fn flat_folders_have_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "2.png", &png(2));
    write(&folder, "1.png", &png(1));
    write(&folder, "notes/a.txt", b"text");
    let set = open(folder.path()).unwrap();
    assert_eq!((set.len(), set.key(0), set.labels(0).len(), set.class_names()), (2, "1.png".to_owned(), 0, None));
    assert_eq!(set.describe(), "2 images without labels; 1 other file skipped");
}

#[test]
fn unclear_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(kind(open(folder.path())), DataErrorKind::NoImages { skipped: 0 });
    write(&folder, "class/a.txt", b"text");
    assert_eq!(kind(open(folder.path())), DataErrorKind::NoImages { skipped: 1 });
    let message = open(folder.path()).err().unwrap().to_string();
    assert!(message.contains(folder.path().to_str().unwrap()) && message.contains("png"), "{message}");
    write(&folder, "other/a.png", &png(1));
    let error = open(folder.path()).err().unwrap();
    assert_eq!((error.kind(), error.path()), (&DataErrorKind::EmptyClass, folder.path().join("class").as_path()));
    write(&folder, "b.png", &png(1));
    assert_eq!(kind(open(folder.path())), DataErrorKind::MixedFolder { images: 1, nested: 1 });
    assert_eq!(kind(open(&folder.path().join("absent"))), DataErrorKind::Read);
}

#[cfg(unix)]
#[test]
fn a_folder_that_contains_itself_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "class/a.png", &png(1));
    std::os::unix::fs::symlink(folder.path(), folder.path().join("class/again")).unwrap();
    assert_eq!(kind(open(folder.path())), DataErrorKind::Read);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_unicode_and_files_that_are_no_images() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for name in ["README.txt", ".DS_Store", "a/Thumbs.db", "a/.DS_Store", "a/._1.png"] {
        write(&folder, name, b"text");
    }
    write(&folder, "a/1.png", &png(1));
    fs::write(folder.path().join("a").join(OsStr::from_bytes(b"caf\xe9.png")), png(2)).unwrap();
    let set = open(folder.path()).unwrap();
    assert_eq!((set.key(0), set.key(1)), ("a/1.png".to_owned(), "a/caf\u{fffd}.png".to_owned()));
    assert!(set.load(0).is_ok() && set.load(1).is_ok());
    assert_eq!(set.describe(), "2 images in 1 class; 2 other files skipped");
}

#[test]
fn a_changed_byte_of_any_file_changes_the_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    (0..200).for_each(|index| drop(write(&folder, &format!("a/{index:03}.png"), &png(index))));
    let fingerprint = || open(folder.path()).unwrap().fingerprint();
    let before = fingerprint();
    for index in [0, 1, 77, 198, 199] {
        let file = write(&folder, &format!("a/{index:03}.png"), &png(250));
        assert_ne!(fingerprint(), before, "{}", file.display());
        write(&folder, &format!("a/{index:03}.png"), &png(index));
    }
    assert_eq!(fingerprint(), before);
}

#[test]
fn idx_pairs_are_found_raw_or_gzipped() {
    let images = idx(&[3, 1, 2], &[1, 2, 3, 4, 5, 6]);
    let labels = idx(&[3], &[7, 0, 255]);
    let mut fingerprints = Vec::new();
    for (image_name, label_name, zipped) in [
        ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", false),
        ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", true),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let encode = |bytes: &[u8]| if zipped { gzip(bytes) } else { bytes.to_vec() };
        let file = write(&folder, image_name, &encode(&images));
        write(&folder, label_name, &encode(&labels));
        for path in [file.as_path(), folder.path()] {
            let set = open(path).unwrap();
            assert_eq!((set.len(), set.key(2)), (3, "2".to_owned()));
            assert_eq!([set.labels(0), set.labels(1), set.labels(2)], [[7], [0], [255]]);
            assert_eq!(grey(set.as_ref(), 2), [5, 6]);
            assert_eq!(set.describe(), "3 grey images of 2×1 pixels with labels");
            fingerprints.push(set.fingerprint());
        }
        // Without its labels file it has no labels, and is another data set.
        fs::remove_file(folder.path().join(label_name)).unwrap();
        let set = open(&file).unwrap();
        assert!(set.labels(0).is_empty() && set.fingerprint() != fingerprints[0]);
    }
    assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
}

#[test]
fn several_idx_pairs_in_a_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let images = idx(&[1, 1, 1], &[1]);
    write(&folder, "t10k-images-idx3-ubyte", &images);
    write(&folder, "t10k-images-idx3-ubyte.gz", &gzip(&images));
    assert_eq!(open(folder.path()).unwrap().len(), 1);
    write(&folder, "train-images-idx3-ubyte.gz", &gzip(&images));
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error.kind(), DataErrorKind::SeveralPairs { images } if images.len() == 2));
    assert!(error.to_string().contains("train-images-idx3-ubyte.gz"));
}

#[test]
fn idx_files_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let size = |result| match kind(result) {
        DataErrorKind::DataSize { declared, actual, .. } => (declared, actual),
        other => panic!("{other:?}"),
    };
    let huge = idx(&[u32::MAX, 28, 28], &[0; 100]);
    assert_eq!(size(open(&write(&folder, "huge-idx3-ubyte", &huge))), (u64::from(u32::MAX) * 784, 100));
    assert_eq!(size(open(&write(&folder, "huge-idx3-ubyte.gz", &gzip(&huge)))).0, u64::from(u32::MAX) * 784);
    assert_eq!(size(open(&write(&folder, "short-idx3-ubyte", &idx(&[2, 1, 2], &[0; 3])))), (4, 3));
    assert_eq!(size(open(&write(&folder, "long-idx3-ubyte", &idx(&[2, 1, 2], &[0; 5])))), (4, 5));
    assert_eq!(size(open(&write(&folder, "short-idx3-ubyte.gz", &gzip(&idx(&[2, 1, 2], &[0; 3]))))), (4, 3));
    assert_eq!(size(open(&write(&folder, "long-idx3-ubyte.gz", &gzip(&idx(&[2, 1, 2], &[0; 9]))))), (4, 5));
    let noise: Vec<u8> = (0..4000u32).map(|i| ((i * i * 31) >> 3) as u8).collect();
    let zipped = gzip(&idx(&[4000, 1, 1], &noise));
    assert_eq!(kind(open(&write(&folder, "cut-idx3-ubyte.gz", &zipped[..zipped.len() / 2]))), DataErrorKind::Read);
    let mut damaged = zipped.clone();
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 1;
    assert_eq!(kind(open(&write(&folder, "damaged-idx3-ubyte.gz", &damaged))), DataErrorKind::Read);

    let overflow = idx(&[u32::MAX; 3], &[]);
    assert!(matches!(kind(open(&write(&folder, "overflow", &overflow))), DataErrorKind::Shape { .. }));
    assert!(matches!(kind(open(&write(&folder, "empty", &idx(&[0, 28, 28], &[])))), DataErrorKind::Shape { .. }));
    assert!(matches!(kind(open(&write(&folder, "labels", &idx(&[2], &[1, 2])))), DataErrorKind::Malformed { .. }));
    assert!(matches!(kind(open(&write(&folder, "flat", &idx(&[2, 2], &[0; 4])))), DataErrorKind::Shape { .. }));
    assert!(matches!(kind(open(&write(&folder, "floats", &[0, 0, 13, 3]))), DataErrorKind::Malformed { .. }));
    assert!(matches!(kind(open(&write(&folder, "cut", &[0, 0, 8, 3, 0, 0]))), DataErrorKind::Malformed { .. }));
    assert!(matches!(kind(open(&write(&folder, "many", &[0, 0, 8, 255, 0]))), DataErrorKind::Malformed { .. }));

    write(&folder, "a-labels-idx1-ubyte", &idx(&[3], &[1, 2, 3]));
    let images = write(&folder, "a-images-idx3-ubyte", &idx(&[2, 1, 1], &[0; 2]));
    assert_eq!(kind(open(&images)), DataErrorKind::LabelCount { samples: 2, labels: 3 });
}

#[test]
fn arrays_of_every_element_type_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let cases: &[(&str, Vec<u8>)] = &[
        ("|b1", vec![0, 1]),
        ("|u1", vec![0, 1]),
        ("|i1", vec![0, 1]),
        ("<u2", vec![0, 0, 1, 0]),
        (">i2", vec![0, 0, 0, 1]),
        ("<i4", vec![0, 0, 0, 0, 1, 0, 0, 0]),
        (">u4", vec![0, 0, 0, 0, 0, 0, 0, 1]),
        ("<i8", [0i64.to_le_bytes(), 1i64.to_le_bytes()].concat()),
        (">u8", [0u64.to_be_bytes(), 1u64.to_be_bytes()].concat()),
        ("<f2", vec![0, 0, 0, 0x3c]),
        ("<f4", floats(&[0.0, 1.0])),
        (">f4", [0f32.to_be_bytes(), 1f32.to_be_bytes()].concat()),
        ("<f8", [0f64.to_le_bytes(), 1f64.to_le_bytes()].concat()),
    ];
    for (descr, data) in cases {
        let path = write(&folder, "a.npy", &npy(descr, "(2, 1)", data));
        let tensor = load_arrays(&path).unwrap();
        assert_eq!((tensor.shape(), tensor.data()), (&[2, 1][..], &[0.0, 1.0][..]), "{descr}");
        let set = open(&path).unwrap();
        assert_eq!(array(set.as_ref(), 1), (vec![1], vec![1.0]), "{descr}");
        assert!(set.labels(0).is_empty());
    }
    let negative = write(&folder, "a.npy", &npy(">i2", "(1, 1)", &[0xff, 0xfe]));
    assert_eq!(load_arrays(&negative).unwrap().data(), [-2.0]);
}

#[test]
fn rows_are_those_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    // More than is read at a time, in rows that do not divide it.
    let values: Vec<f32> = (0..3 * 149_999).map(|index| index as f32).collect();
    let path = write(&folder, "a.npy", &npy("<f4", "(149999, 3)", &floats(&values)));
    assert_eq!(load_arrays(&path).unwrap().data(), values);
    let set = open(&path).unwrap();
    assert_eq!(array(set.as_ref(), 149_998), (vec![3], values[values.len() - 3..].to_vec()));
    assert_eq!(set.load(149_999).unwrap_err().kind(), &DataErrorKind::Index { index: 149_999, len: 149_999 });
}

#[test]
fn archives_have_samples_and_labels_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let x = npy("<f4", "(2, 1, 2)", &floats(&[1.0, 2.0, 3.0, 4.0]));
    let y = npy("<i8", "(2,)", &[5i64.to_le_bytes(), 6i64.to_le_bytes()].concat());
    let mut fingerprints = Vec::new();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        for (samples, labels) in [("x", "y"), ("images", "labels"), ("anything", "targets")] {
            let entries = [(format!("{labels}.npy"), y.clone()), (format!("{samples}.npy"), x.clone())];
            let entries = entries.each_ref().map(|(name, bytes)| (name.as_str(), bytes.clone()));
            let set = open(&write(&folder, "a.npz", &npz(&entries, method))).unwrap();
            assert_eq!(array(set.as_ref(), 1), (vec![1, 2], vec![3.0, 4.0]));
            assert_eq!([set.labels(0), set.labels(1)], [[5], [6]]);
            assert_eq!(set.describe(), "2 arrays of shape [1, 2] with labels");
            fingerprints.push(set.fingerprint());
        }
    }
    let tensors = [
        ("x", (safetensors::Dtype::F32, vec![2, 1, 2], floats(&[1.0, 2.0, 3.0, 4.0]))),
        ("y", (safetensors::Dtype::U8, vec![2, 1], vec![5, 6])),
    ];
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (*name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let path = write(&folder, "a.safetensors", &safetensors::serialize(views, None).unwrap());
    let set = open(&path).unwrap();
    assert_eq!(array(set.as_ref(), 0), (vec![1, 2], vec![1.0, 2.0]));
    assert_eq!(set.labels(1), [6]);
    assert_eq!(load_arrays(&path).unwrap().shape(), [2, 1, 2]);
    fingerprints.push(set.fingerprint());
    assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let x = || npy("<f4", "(2, 1)", &floats(&[1.0, 2.0]));
    let archive = |entries: &[(&str, Vec<u8>)]| npz(entries, CompressionMethod::Deflated);
    let open_npz = |entries: &[(&str, Vec<u8>)]| kind(open(&write(&folder, "a.npz", &archive(entries))));
    let names =
        |names: &[&str]| DataErrorKind::Samples { arrays: names.iter().map(|name| (*name).to_owned()).collect() };
    assert_eq!(open_npz(&[]), names(&[]));
    assert_eq!(open_npz(&[("a.npy", x()), ("b.npy", x())]), names(&["a", "b"]));
    assert_eq!(open_npz(&[("y.npy", x())]), names(&["y"]));
    assert_eq!(
        open_npz(&[("x.npy", x()), ("y.npy", npy("|u1", "(3,)", &[0; 3]))]),
        DataErrorKind::LabelCount { samples: 2, labels: 3 }
    );
    for bad in [-1.0, 0.5, f32::NAN, 5e9] {
        let y = npy("<f4", "(2,)", &floats(&[0.0, bad]));
        assert!(matches!(open_npz(&[("x.npy", x()), ("y.npy", y)]), DataErrorKind::Label { index: 1, .. }), "{bad}");
    }
    let y = npy("|u1", "(2, 2)", &[0; 4]);
    assert!(matches!(open_npz(&[("x.npy", x()), ("y.npy", y)]), DataErrorKind::Shape { .. }));

    let open_npy = |bytes: &[u8]| kind(open(&write(&folder, "a.npy", bytes)));
    assert!(matches!(open_npy(&npy("<c8", "(2, 1)", &[0; 16])), DataErrorKind::ElementType { .. }));
    assert!(matches!(open_npy(&npy("|O", "(2, 1)", &[0; 16])), DataErrorKind::ElementType { .. }));
    assert!(matches!(open_npy(&npy("|u1", "(2,)", &[0; 2])), DataErrorKind::Shape { .. }));
    assert!(matches!(open_npy(&npy("|u1", "(0, 2)", &[])), DataErrorKind::Shape { .. }));
    assert!(matches!(open_npy(&npy("|u1", "(2, 4611686018427387904, 4)", &[])), DataErrorKind::Shape { .. }));
    assert_eq!(
        open_npy(&npy("<f4", "(1000000000, 1000)", &[0; 8])),
        DataErrorKind::DataSize { format: ArrayFormat::Npy, declared: 4_000_000_000_000, actual: 8 }
    );
    let fortran = npy_text("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }", &[0; 4]);
    assert!(matches!(open_npy(&fortran), DataErrorKind::FortranOrder { .. }));
    for bytes in [&b""[..], b"text", b"\x93NUMPY", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", b"\x93NUMPY\x09\x00\x00\x00"] {
        assert!(matches!(open_npy(bytes), DataErrorKind::Malformed { .. }), "{bytes:?}");
    }
    let nested = npy_text(&"(".repeat(9_000), &[]);
    assert!(matches!(open_npy(&nested), DataErrorKind::Malformed { .. }));
}

#[test]
fn archives_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = npy("|u1", "(1000, 100)", &[0; 100_000]);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let bytes = npz(&[("x.npy", zeros.clone())], method);
        assert!(open(&write(&folder, "a.npz", &bytes)).is_ok());
        assert!(matches!(
            kind(open(&write(&folder, "a.npz", &bytes[..bytes.len() / 2]))),
            DataErrorKind::Malformed { .. }
        ));
        let claims = npz(&[("x.npy", npy("|u1", "(1000, 1000)", &[0; 1000]))], method);
        assert!(matches!(kind(open(&write(&folder, "a.npz", &claims))), DataErrorKind::DataSize { .. }));
        let huge = npz(&[("x.npy", npy("<f8", "(100000000, 100000)", &[0; 1000]))], method);
        let refused = kind(open(&write(&folder, "a.npz", &huge)));
        assert!(matches!(refused, DataErrorKind::DataSize { .. } | DataErrorKind::ArrayTooLarge { .. }));
        let text = npz(&[("x.npy", b"text".to_vec())], method);
        assert!(matches!(kind(open(&write(&folder, "a.npz", &text))), DataErrorKind::Malformed { .. }));
    }
    // A byte that only the checksum knows of.
    let mut damaged = npz(&[("x.npy", zeros)], CompressionMethod::Stored);
    damaged[50_000] = 1;
    assert_eq!(kind(open(&write(&folder, "a.npz", &damaged))), DataErrorKind::Read);
    for bytes in [&b""[..], b"text", &[0xff; 100]] {
        assert!(matches!(kind(open(&write(&folder, "a.npz", bytes))), DataErrorKind::Malformed { .. }));
        assert!(matches!(kind(open(&write(&folder, "a.safetensors", bytes))), DataErrorKind::Malformed { .. }));
    }
    let tensors = |header: &str, data: &[u8]| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        kind(open(&write(&folder, "a.safetensors", &bytes)))
    };
    let short = tensors(r#"{"x": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 4000000]}}"#, &[0; 8]);
    assert_eq!(short, DataErrorKind::DataSize { format: ArrayFormat::Safetensors, declared: 4_000_000, actual: 8 });
    let wrong = tensors(r#"{"x": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 8]}}"#, &[0; 8]);
    assert!(matches!(wrong, DataErrorKind::Malformed { .. }));
    let eight_bits = tensors(r#"{"x": {"dtype": "F8_E4M3", "shape": [2, 4], "data_offsets": [0, 8]}}"#, &[0; 8]);
    assert!(matches!(eight_bits, DataErrorKind::ElementType { .. }));
    assert_eq!(tensors("{}", &[]), DataErrorKind::Samples { arrays: Vec::new() });
}

#[test]
fn files_that_are_no_data_set_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(kind(open(&write(&folder, "a.png", &png(1)))), DataErrorKind::SingleImage);
    assert_eq!(kind(open(&write(&folder, "a.xyz", b"text"))), DataErrorKind::UnknownFormat);
    assert_eq!(kind(open(&write(&folder, "empty", b""))), DataErrorKind::UnknownFormat);
    assert_eq!(load_arrays(&folder.path().join("a.xyz")).unwrap_err().kind(), &DataErrorKind::UnknownFormat);
}

#[test]
fn odd_images_decode_as_in_pillow() {
    let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/preprocess");
    let bytes = fs::read(goldens.join("goldens.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (mut failures, mut cases) = (Vec::new(), 0);
    for (name, expected) in tensors.iter() {
        let Some(file) = name.strip_prefix("decoded/") else { continue };
        cases += 1;
        let image = match load_image(&goldens.join("images").join(file)) {
            Ok(image) => image,
            Err(error) => {
                failures.push(format!("{error}: {:?}", std::error::Error::source(&error)));
                continue;
            }
        };
        let shape = [image.height() as usize, image.width() as usize];
        if shape != expected.shape()[..2] {
            failures.push(format!("{file}: {shape:?} instead of {:?}", expected.shape()));
            continue;
        }
        let given =
            if expected.shape().len() == 2 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() };
        let differences = given.iter().zip(expected.data()).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs());
        let largest = differences.max().unwrap();
        let allowed = if file.ends_with(".jpg") { LOSSY_LEVELS } else { 0 };
        if largest > allowed {
            failures.push(format!("{file}: {largest} levels"));
        }
    }
    assert!(cases >= 35 && failures.is_empty(), "{cases} cases, {failures:#?}");
}

#[test]
fn damaged_images_are_refused_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let images = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/preprocess/images");
    let read = |name: &str| fs::read(images.join(name)).unwrap();
    let mut cases =
        vec![("empty.png", Vec::new()), ("text.jpg", b"some text".to_vec()), ("text.bmp", b"BMtext".to_vec())];
    for name in ["rgb.png", "rgb.jpg", "progressive.jpg", "rgb.gif", "lossless.webp", "rgb.bmp", "rgb.tiff", "rgb.ppm"]
    {
        let bytes = read(name);
        cases.push((name, bytes[..bytes.len() * 2 / 3].to_vec()));
    }
    for name in ["rgb.jpg", "grey.jpg", "cmyk.jpg", "progressive.jpg", "orientation6.jpg"] {
        let bytes = read(name);
        let cut = load_image(&write(&folder, "cut.jpg", &bytes[..bytes.len() - 2])).unwrap_err();
        assert_eq!(cut.kind(), &DataErrorKind::ImageCutOff, "{name}");
        // What follows the end does not matter.
        assert!(load_image(&write(&folder, "longer.jpg", &[&bytes[..], b"trailing"].concat())).is_ok(), "{name}");
    }
    let accepted: Vec<&str> = cases
        .into_iter()
        .filter(|(name, bytes)| match load_image(&write(&folder, name, bytes)) {
            Ok(_) => true,
            Err(error) => {
                assert!(error.to_string().contains(name), "{error}");
                false
            }
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(accepted, [""; 0]);
    assert_eq!(load_image(&folder.path().join("absent.png")).unwrap_err().kind(), &DataErrorKind::Read);
    assert!(load_image(folder.path()).is_err());
}

#[test]
fn huge_dimensions_in_a_header_allocate_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut header = b"IHDR".to_vec();
    header.extend(100_000u32.to_be_bytes());
    header.extend(100_000u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d".to_vec();
    bytes.extend(header);
    bytes.extend(crc.sum().to_be_bytes());
    bytes.extend(b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e\x00\x00\x00\x00IEND\xae\x42\x60\x82");
    let error = load_image(&write(&folder, "huge.png", &bytes)).unwrap_err();
    assert_eq!(error.kind(), &DataErrorKind::ImageTooLarge { width: 100_000, height: 100_000, limit: 1 << 30 });
    let ppm = load_image(&write(&folder, "huge.ppm", b"P6\n4000000000 4000000000\n255\n")).unwrap_err();
    assert!(matches!(ppm.kind(), DataErrorKind::ImageTooLarge { .. } | DataErrorKind::Image), "{ppm}");
}

/// Whoever opened one would wait for what is never written.
#[cfg(unix)]
#[test]
fn pipes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.npy", "a.npz", "a.safetensors", "a.csv", "a.parquet", "a.tar", "a-idx3-ubyte", "a.png"] {
        let path = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = if name == "a.png" { load_image(&path).unwrap_err() } else { open(&path).err().unwrap() };
        assert_eq!(error.kind(), &DataErrorKind::Read, "{name}");
    }
}
