//! Preprocessing against goldens of Pillow, and its text forms.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image::{GrayImage, Luma, Rgba, RgbaImage};
use safetensors::SafeTensors;

use super::*;

/// The golden inputs are in f64, ours in f32: of values up to 2.7 that is half a unit in the last place.
const F32_ROUNDING: f64 = 1.2e-7;

struct Goldens(Vec<u8>);

impl Goldens {
    fn read() -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/preprocess/goldens.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    /// The arrays under `prefix`: the rest of the name, the shape and the bytes.
    fn under(&self, prefix: &str) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let matching = tensors.iter().filter_map(|(name, tensor)| {
            Some((name.strip_prefix(prefix)?.to_owned(), (tensor.shape().to_vec(), tensor.data().to_vec())))
        });
        matching.collect()
    }
}

fn image((shape, bytes): &(Vec<usize>, Vec<u8>)) -> DynamicImage {
    let (height, width) = (shape[0] as u32, shape[1] as u32);
    match shape.len() {
        2 => DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, bytes.clone()).unwrap()),
        _ => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, bytes.clone()).unwrap()),
    }
}

fn raw() -> Preprocess {
    Preprocess { scale: 1.0, ..Preprocess::default() }
}

#[test]
fn resizing_equals_pillow() {
    let goldens = Goldens::read();
    let sources = goldens.under("source/");
    let cases = goldens.under("resize/");
    assert!(cases.len() >= 70, "{} cases", cases.len());
    let mut failures = Vec::new();
    for (case, (_, expected)) in &cases {
        let [source, size, filter] = case.split('/').collect::<Vec<_>>().try_into().unwrap();
        let (width, height) = size.split_once('x').unwrap();
        let text = format!("resize = {{ width = {width}, height = {height}, filter = \"{filter}\" }}\nscale = 1");
        let preprocess = Preprocess::from_toml(&text).unwrap();
        let grey = sources[source].0.len() == 2;
        let prepared = preprocess.apply(&image(&sources[source])).unwrap();
        let given: Vec<u8> = if grey {
            prepared.view.pixels().map(|pixel| pixel.0[0]).collect()
        } else {
            prepared.view.as_raw().clone()
        };
        assert_eq!(given.len(), expected.len(), "{case}");
        let difference = given.iter().zip(expected).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap();
        if difference > 0 {
            failures.push(format!("{case}: {difference} levels"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn grey_equals_pillow() {
    let goldens = Goldens::read();
    let sources = goldens.under("source/");
    let preprocess = Preprocess { color: Color::Grey, ..raw() };
    for (name, (_, expected)) in goldens.under("grey/") {
        let prepared = preprocess.apply(&image(&sources[&name])).unwrap();
        let expected: Vec<f32> = expected.into_iter().map(f32::from).collect();
        assert_eq!(prepared.input.data(), expected, "{name}");
    }
}

#[test]
fn whole_preprocessing_equals_pillow_and_numpy() {
    let goldens = Goldens::read();
    let sources = goldens.under("source/");
    let preprocess = Preprocess {
        resize: Some(Resize::Shortest { size: 16, filter: Filter::Bicubic }),
        crop: Some(Crop { width: 11, height: 11 }),
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        ..Preprocess::default()
    };
    let cases = goldens.under("input/");
    assert_eq!(cases.len(), 2);
    for (name, (shape, bytes)) in cases {
        let prepared = preprocess.apply(&image(&sources[&name])).unwrap();
        assert_eq!(prepared.input.shape(), shape, "{name}");
        let (expected, _) = bytes.as_chunks();
        for (given, expected) in prepared.input.data().iter().zip(expected) {
            let difference = (f64::from(*given) - f64::from_le_bytes(*expected)).abs();
            assert!(difference <= F32_ROUNDING, "{name}: {difference}");
        }
    }
}

#[test]
fn channels_are_ordered_scaled_and_normalised() {
    let image = DynamicImage::ImageRgb8(RgbImage::from_raw(2, 1, vec![10, 20, 30, 40, 50, 60]).unwrap());
    let preprocess = Preprocess { mean: vec![1.0, 2.0, 3.0], std: vec![2.0], ..raw() };
    let rgb = preprocess.apply(&image).unwrap();
    assert_eq!(rgb.input.shape(), [3, 1, 2]);
    assert_eq!(rgb.input.data(), [4.5, 19.5, 9.0, 24.0, 13.5, 28.5]);
    let bgr = Preprocess { color: Color::Bgr, ..preprocess }.apply(&image).unwrap();
    assert_eq!(bgr.input.data(), [14.5, 29.5, 9.0, 24.0, 3.5, 18.5]);
    assert_eq!(bgr.view.as_raw(), &[10, 20, 30, 40, 50, 60]);
    let grey = DynamicImage::ImageLuma8(GrayImage::from_pixel(1, 1, Luma([7])));
    assert_eq!(raw().apply(&grey).unwrap().input.data(), [7.0, 7.0, 7.0]);
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(1, 1, Rgba([0, 0, 0, 0])));
    assert_eq!(raw().apply(&clear).unwrap().input.data(), [255.0, 255.0, 255.0]);
}

#[test]
fn efficientnet_lite_is_expressible() {
    let text = "resize = { shortest = 256, filter = \"bicubic\" }\ncrop = { width = 224, height = 224 }\nscale = 1\nmean = [127]\n\
                std = [128]\n";
    let preprocess = Preprocess::from_toml(text).unwrap();
    preprocess.check(&[3, 224, 224]).unwrap();
    for (width, height) in [(500, 375), (1, 1), (10, 300)] {
        let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(width, height, image::Rgb([255, 127, 0])));
        let prepared = preprocess.apply(&image).unwrap();
        assert_eq!(prepared.input.shape(), [3, 224, 224]);
        assert_eq!(prepared.view.dimensions(), (224, 224));
        assert_eq!(
            (prepared.input.row(0)[0], prepared.input.row(1)[0], prepared.input.row(2)[0]),
            (1.0, 0.0, -127.0 / 128.0)
        );
    }
}

#[test]
fn elongated_images_are_refused_before_they_are_resized() {
    let preprocess =
        Preprocess { resize: Some(Resize::Shortest { size: 256, filter: Filter::Bilinear }), ..Preprocess::default() };
    let image = DynamicImage::ImageLuma8(GrayImage::new(1, 50_000_000));
    let error = preprocess.apply(&image).unwrap_err();
    assert_eq!(error.kind(), &PreprocessErrorKind::TooLarge { width: 1, height: 50_000_000 });
    let exact = Resize::Exact { width: 224, height: 224, filter: Filter::Bilinear };
    let error = Preprocess { resize: Some(exact), ..Preprocess::default() }.apply(&image).unwrap_err();
    assert!(matches!(error.kind(), PreprocessErrorKind::TooLarge { .. }));
}

#[test]
fn shapes_are_checked_as_far_as_they_are_known() {
    let fixed = Preprocess { color: Color::Grey, crop: Some(Crop { width: 20, height: 28 }), ..Preprocess::default() };
    fixed.check(&[1, 28, 20]).unwrap();
    for expected in [&[3, 28, 20][..], &[1, 20, 28], &[1, 28], &[1, 28, 20, 1]] {
        let error = fixed.check(expected).unwrap_err();
        let given = [Some(1), Some(28), Some(20)];
        assert_eq!(error.kind(), &PreprocessErrorKind::Shape { given, expected: expected.to_vec() });
    }
    let open = Preprocess::default();
    open.check(&[3, 7, 9]).unwrap();
    assert!(open.check(&[1, 7, 9]).unwrap_err().to_string().contains("[3, ?, ?]"));
    assert_eq!(
        Preprocess { resize: Some(Resize::Shortest { size: 8, filter: Filter::Box }), ..open }.output_shape(),
        [Some(3), None, None]
    );
}

#[test]
fn toml_is_read_and_written_alike() {
    let text = "color = \"grey\"\nscale = 0.5\nmean = [0.286]\nstd = [0.353]\n[resize]\nwidth = 28\nheight = 29\nfilter = \"lanczos\"\n\
                [crop]\nwidth = 5\nheight = 6\n";
    let preprocess = Preprocess::from_toml(text).unwrap();
    let expected = Preprocess {
        color: Color::Grey,
        resize: Some(Resize::Exact { width: 28, height: 29, filter: Filter::Lanczos }),
        crop: Some(Crop { width: 5, height: 6 }),
        scale: 0.5,
        mean: vec![0.286],
        std: vec![0.353],
    };
    assert_eq!(preprocess, expected);
    assert_eq!(Preprocess::from_toml(&toml::to_string(&expected).unwrap()).unwrap(), expected);
    assert_eq!(Preprocess::from_toml("").unwrap(), Preprocess::default());
}

#[test]
fn wrong_toml_is_refused_with_the_key() {
    for (text, mentioned) in [
        ("colour = \"grey\"", "colour"),
        ("color = \"gray\"", "gray"),
        ("mean = 0.5", "mean"),
        ("mean = [0.1, 0.2]", "`mean`"),
        ("mean = [nan]", "`mean`"),
        ("std = [0.0]", "`std`"),
        ("std = []", "`std`"),
        ("scale = 0", "`scale`"),
        ("scale = inf", "`scale`"),
        ("crop = { width = 0, height = 3 }", "`crop`"),
        ("crop = { width = 3 }", "height"),
        ("crop = { width = 100000, height = 100000 }", "`crop`"),
        ("resize = { width = 3, filter = \"box\" }", "`resize`"),
        ("resize = { width = 3, height = 3, shortest = 3 }", "`resize`"),
        ("resize = { shortest = 0 }", "`resize`"),
        ("resize = { shortest = 3, filter = \"cubic\" }", "cubic"),
        ("resize = { shortest = 3, longest = 3 }", "longest"),
        ("resize = { shortest = -3 }", "-3"),
        ("mean = [", "mean"),
    ] {
        let error = Preprocess::from_toml(text).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {source}").contains(mentioned), "{text}: {error}: {source}");
    }
}

#[test]
fn files_are_told_apart_by_extension_and_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    assert_eq!(Preprocess::read(&write("a.toml", "scale = 2")).unwrap().scale, 2.0);
    assert_eq!(Preprocess::read(&write("a.json", "{\"do_rescale\": false}")).unwrap().scale, 1.0);
    for path in [write("bad.toml", "scale = \"x\""), write("bad.json", "[]"), folder.path().join("absent.toml")] {
        let error = Preprocess::read(&path).unwrap_err();
        assert_eq!(error.path(), Some(path.as_path()));
        assert!(error.to_string().contains(path.file_name().unwrap().to_str().unwrap()));
    }
    let large = write("large.toml", &" ".repeat((1 << 20) + 1));
    assert_eq!(Preprocess::read(&large).unwrap_err().kind(), &PreprocessErrorKind::Read);
}

#[test]
fn hugging_face_files_are_read() {
    let vit = r#"{"do_normalize": true, "do_resize": true, "feature_extractor_type": "ViTFeatureExtractor",
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 224}"#;
    let expected = Preprocess {
        resize: Some(Resize::Exact { width: 224, height: 224, filter: Filter::Bilinear }),
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
        ..Preprocess::default()
    };
    assert_eq!(Preprocess::from_hugging_face(vit).unwrap(), expected);

    let clip = r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "do_convert_rgb": true, "do_normalize": true,
        "do_rescale": true, "do_resize": true, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28],
        "image_processor_type": "CLIPImageProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
        "size": {"shortest_edge": 224}, "do_pad": false, "return_tensors": null}"#;
    let expected = Preprocess {
        resize: Some(Resize::Shortest { size: 224, filter: Filter::Bicubic }),
        crop: Some(Crop { width: 224, height: 224 }),
        mean: vec![0.48, 0.46, 0.41],
        std: vec![0.27, 0.26, 0.28],
        ..Preprocess::default()
    };
    assert_eq!(Preprocess::from_hugging_face(clip).unwrap(), expected);

    let resnet = r#"{"crop_pct": 0.875, "do_normalize": false, "do_resize": true, "feature_extractor_type":
        "ConvNextFeatureExtractor", "resample": 3, "size": 224}"#;
    let expected = Preprocess {
        resize: Some(Resize::Shortest { size: 256, filter: Filter::Bicubic }),
        crop: Some(Crop { width: 224, height: 224 }),
        ..Preprocess::default()
    };
    assert_eq!(Preprocess::from_hugging_face(resnet).unwrap(), expected);
    let large = resnet.replace("224", "384");
    let squeezed = Resize::Exact { width: 384, height: 384, filter: Filter::Bicubic };
    assert_eq!(
        Preprocess::from_hugging_face(&large).unwrap(),
        Preprocess { resize: Some(squeezed), ..Preprocess::default() }
    );

    let flipped = r#"{"do_flip_channel_order": true, "do_resize": false, "do_normalize": false, "do_center_crop": true, "crop_size": 256}"#;
    let expected =
        Preprocess { color: Color::Bgr, crop: Some(Crop { width: 256, height: 256 }), ..Preprocess::default() };
    assert_eq!(Preprocess::from_hugging_face(flipped).unwrap(), expected);
}

#[test]
fn unclear_hugging_face_files_are_refused_with_the_key() {
    for (text, mentioned) in [
        (r#"{"rescale_offset": true}"#, "rescale_offset"),
        (r#"{"do_pad": true}"#, "do_pad"),
        (r#"{"size_divisor": 32}"#, "size_divisor"),
        (r#"{"size": 224, "resample": 2}"#, "size"),
        (r#"{"size": {"height": 3, "width": 3}}"#, "resample"),
        (r#"{"size": {"height": 3, "width": 3}, "resample": 9}"#, "resample"),
        (r#"{"size": {"shortest_edge": 3, "longest_edge": 9}, "resample": 2}"#, "size"),
        (r#"{"size": {"height": -3, "width": 3}, "resample": 2}"#, "size"),
        (r#"{"size": {"shortest_edge": 3}, "resample": 2, "crop_pct": 0.9}"#, "crop_pct"),
        (r#"{"do_resize": true, "resample": 2}"#, "size"),
        (r#"{"crop_size": 3}"#, "do_center_crop"),
        (r#"{"do_center_crop": true}"#, "crop_size"),
        (r#"{"do_normalize": true, "image_std": [1]}"#, "image_mean"),
        (r#"{"do_normalize": true, "image_mean": [1, 2], "image_std": [1]}"#, "mean"),
        (r#"{"do_normalize": true, "image_mean": [1], "image_std": [0]}"#, "std"),
        (r#"{"do_rescale": "yes"}"#, "do_rescale"),
        (r#"{"rescale_factor": "x"}"#, "rescale_factor"),
        (r#"{"size": 224, "resample": 3, "image_processor_type": "LevitImageProcessor"}"#, "size"),
        ("[1]", "preprocessor_config"),
    ] {
        let error = Preprocess::from_hugging_face(text).unwrap_err().to_string();
        assert!(error.contains(mentioned), "{text}: {error}");
    }
}
