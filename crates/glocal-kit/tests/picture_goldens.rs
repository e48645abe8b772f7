//! Color maps, heatmaps, blur and opaque masks against the reference libraries' own pictures (`tests/oracle`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a golden that cannot be read is a failed test")]

use std::path::PathBuf;

use glocal_kit::picture::{
    ColorMap, Heatmap, HeatmapStyle, Limits, OpaqueMask, PixelBox, ValueRange, draw_channels, gaussian_blur, tile,
};
use image::{Rgb, RgbImage};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Blur sums in f64 here and in f32 there.
const BLUR_TOLERANCE: f32 = 2e-6;

/// A folder of the oracle: its cases and, by file name, its arrays.
struct Oracle {
    cases: Vec<Value>,
    files: Vec<(&'static str, Vec<u8>)>,
}

struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
    is_integer: bool,
}

impl Oracle {
    fn load() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens/image");
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let document: Value = serde_json::from_slice(&read("cases.json")).unwrap();
        let names = ["palettes.safetensors", "imgify.safetensors", "crp_image.safetensors"];
        let files = names.map(|name| (name, read(name))).into();
        Self { cases: document["cases"].as_array().unwrap().clone(), files }
    }

    /// The cases of a suite; their number is checked so that none gets lost.
    fn suite(&self, name: &str, count: usize) -> Vec<&Value> {
        let cases: Vec<&Value> = self.cases.iter().filter(|case| case["suite"] == name).collect();
        assert_eq!(cases.len(), count, "{name}");
        cases
    }

    fn array(&self, file: &Value, tensor: &Value) -> Array {
        let (_, bytes) = self.files.iter().find(|(name, _)| *name == file.as_str().unwrap()).unwrap();
        let tensors = SafeTensors::deserialize(bytes).unwrap();
        let view = tensors.tensor(tensor.as_str().unwrap()).unwrap();
        let values = match view.dtype() {
            Dtype::U8 => view.data().iter().map(|&byte| f32::from(byte)).collect(),
            Dtype::F32 => {
                view.data().chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
            }
            other => panic!("{other:?}"),
        };
        Array { shape: view.shape().to_vec(), values, is_integer: view.dtype() == Dtype::U8 }
    }

    fn named(&self, reference: &Value) -> Array {
        self.array(&reference["file"], &reference["tensor"])
    }
}

impl Array {
    /// The sub-arrays along the first axis.
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.shape[1..].iter().product())
    }

    fn as_picture(&self) -> RgbImage {
        assert_eq!(self.shape[2], 3);
        let bytes = self.values.iter().map(|&value| value as u8).collect();
        RgbImage::from_raw(self.shape[1] as u32, self.shape[0] as u32, bytes).unwrap()
    }
}

fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|value| value as f32)
}

/// Every case has a test below, which counts its suite.
#[test]
fn no_suite_is_left_out() {
    let suites = ["palette", "imgify", "gaussian_blur", "crop_range", "vis_opaque_img", "vis_img_heatmap"];
    let oracle = Oracle::load();
    assert!(
        oracle.cases.len() == 48 && oracle.cases.iter().all(|case| suites.iter().any(|suite| case["suite"] == *suite))
    );
}

#[test]
fn palettes() {
    let oracle = Oracle::load();
    for case in oracle.suite("palette", 20) {
        let map: ColorMap = case["cmap"].as_str().unwrap().parse().unwrap();
        let palette = map.palette(number(&case["level"]).unwrap());
        let expected: Vec<u8> = oracle.named(&case["expected"]).values.iter().map(|&value| value as u8).collect();
        assert_eq!(palette.as_flattened(), expected, "{}", case["id"]);
    }
}

/// The reference chooses one of several drawings by the shape of the array; here the caller does.
#[test]
fn heatmaps_and_arrays() {
    let oracle = Oracle::load();
    for case in oracle.suite("imgify", 19) {
        let array = oracle.named(&case["array"]);
        let parameters = &case["params"];
        let name = parameters["cmap"].as_str().unwrap_or("bwr");
        let style = HeatmapStyle {
            color_map: name.parse().unwrap(),
            level: number(&parameters["level"]).unwrap_or(1.0),
            ..HeatmapStyle::default()
        };
        let range = range(&array, parameters);
        let drawn = match array.shape[..] {
            [height, width] => heatmap(&array.values, width, height, range, &style),
            [1, height, width] => heatmap(&array.values, width, height, range, &style),
            [3, height, width] => draw_channels(&array.values, 3, width, height, range).unwrap(),
            [height, width, 3] => {
                let planes: Vec<f32> =
                    (0..3).flat_map(|channel| array.values.iter().skip(channel).step_by(3).copied()).collect();
                draw_channels(&planes, 3, width, height, range).unwrap()
            }
            [_, height, width] => {
                let cells: Vec<RgbImage> = array
                    .rows()
                    .map(|values| heatmap(values, width, height, own_range(values, parameters), &style))
                    .collect();
                let palette = style.color_map.palette(style.level);
                let fill = match parameters["gridfill"].as_u64() {
                    Some(index) => palette[index as usize],
                    None => lowest(&array, parameters, &style),
                };
                tile(&cells, columns(parameters), fill).unwrap()
            }
            [_, 3, height, width] => {
                let cells: Vec<RgbImage> = array
                    .rows()
                    .map(|values| draw_channels(values, 3, width, height, ValueRange::Extremes).unwrap())
                    .collect();
                tile(&cells, 1, [0; 3]).unwrap()
            }
            _ => panic!("{:?}", array.shape),
        };
        let expected = oracle.array(&case["expected"]["file"], &case["expected"]["rgb"]).as_picture();
        assert_eq!(drawn, expected, "{}", case["id"]);
    }
}

fn heatmap(values: &[f32], width: usize, height: usize, range: ValueRange, style: &HeatmapStyle) -> RgbImage {
    Heatmap::new(values, width, height).unwrap().draw(&HeatmapStyle { range, ..style.clone() })
}

/// Bytes are positions in the palette; a given end replaces the one that the range would have.
fn range(array: &Array, parameters: &Value) -> ValueRange {
    if array.is_integer {
        ValueRange::Given(Limits::new(0.0, 255.0).unwrap())
    } else {
        own_range(&array.values, parameters)
    }
}

fn own_range(values: &[f32], parameters: &Value) -> ValueRange {
    let symmetric = parameters["symmetric"] == true;
    let (low, high) = (number(&parameters["vmin"]), number(&parameters["vmax"]));
    if low.is_none() && high.is_none() {
        return if symmetric { ValueRange::Symmetric } else { ValueRange::Extremes };
    }
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let lowest = values.iter().fold(f32::INFINITY, |lowest, &value| lowest.min(value));
    let highest = values.iter().fold(f32::NEG_INFINITY, |highest, &value| highest.max(value));
    let ends = if symmetric { (-largest, largest) } else { (lowest, highest) };
    ValueRange::Given(Limits::new(low.unwrap_or(ends.0), high.unwrap_or(ends.1)).unwrap())
}

/// The color of the lowest position that any cell uses: what the reference fills empty cells with.
fn lowest(array: &Array, parameters: &Value, style: &HeatmapStyle) -> [u8; 3] {
    let gray = HeatmapStyle { color_map: "gray".parse().unwrap(), ..HeatmapStyle::default() };
    let positions = array.rows().flat_map(|values| {
        let positions = heatmap(values, values.len(), 1, own_range(values, parameters), &gray);
        positions.pixels().map(|pixel| pixel.0[0]).collect::<Vec<u8>>()
    });
    style.color_map.palette(style.level)[usize::from(positions.min().unwrap())]
}

/// Five cells in the grid that the reference chooses by itself have two columns.
fn columns(parameters: &Value) -> usize {
    parameters["grid"][1].as_u64().unwrap_or(2) as usize
}

#[test]
fn blur() {
    let oracle = Oracle::load();
    for case in oracle.suite("gaussian_blur", 2) {
        let (input, expected) = (oracle.named(&case["input"]), oracle.named(&case["expected"]));
        let kernel = case["kernel_size"].as_u64().unwrap() as usize;
        for (values, expected) in input.rows().zip(expected.rows()) {
            let blurred = gaussian_blur(values, 32, 32, kernel).unwrap();
            let error = blurred.iter().zip(expected).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
            assert!(error <= BLUR_TOLERANCE, "{}: {error}", case["id"]);
        }
    }
}

/// The golden bounds are inclusive: the box has one row and column more than the difference.
#[test]
fn crop_ranges() {
    let oracle = Oracle::load();
    let case = oracle.suite("crop_range", 1)[0];
    let filtered = oracle.named(&case["input"]);
    let samples: Vec<&[f32]> = filtered.rows().collect();
    // The input is blurred and divided by its maximum already.
    let mask = OpaqueMask { kernel_size: 1, ..OpaqueMask::default() };
    let entries = case["expected"].as_array().unwrap();
    assert_eq!(entries.len(), 12);
    for entry in entries {
        let heatmap = Heatmap::new(samples[entry["sample"].as_u64().unwrap() as usize], 32, 32).unwrap();
        let got = mask.region(&heatmap, number(&entry["crop_th"]).unwrap()).unwrap();
        let bound = |index: usize| entry["range_inclusive"][index].as_u64().unwrap() as u32;
        let (top, bottom, left, right) = (bound(0), bound(1), bound(2), bound(3));
        let expected = PixelBox { left, top, width: right - left + 1, height: bottom - top + 1 };
        assert_eq!(got, Some(expected), "{entry}");
    }
}

/// The reference masks the float sample, cuts (one row and column short) and stretches what is left to the full range.
#[test]
fn opaque_masks() {
    let oracle = Oracle::load();
    for case in oracle.suite("vis_opaque_img", 5) {
        let parameters = &case["params"];
        let standard = OpaqueMask::default();
        let mask = OpaqueMask {
            kernel_size: parameters["kernel_size"].as_u64().map_or(standard.kernel_size, |size| size as usize),
            threshold: number(&parameters["vis_th"]).unwrap_or(standard.threshold),
            alpha: number(&parameters["alpha"]).unwrap_or(standard.alpha),
        };
        let (data, heatmaps) = (oracle.named(&case["data"]), oracle.named(&case["heatmaps"]));
        let images = case["expected"]["images"].as_array().unwrap();
        assert_eq!(images.len(), 4);
        for ((sample, heatmap), expected) in data.rows().zip(heatmaps.rows()).zip(images) {
            let heatmap = Heatmap::new(heatmap, 32, 32).unwrap();
            let shown = mask.shown(&heatmap).unwrap();
            let visible = |index: usize| if shown[index % shown.len()] { 1.0 } else { mask.alpha };
            let mut masked: Vec<f32> = sample.iter().enumerate().map(|(index, value)| value * visible(index)).collect();
            let (mut width, mut height) = (32, 32);
            if case["off_by_one"] == true {
                let area = mask.region(&heatmap, number(&parameters["crop_th"]).unwrap_or(0.1)).unwrap().unwrap();
                (width, height) = (area.width as usize - 1, area.height as usize - 1);
                let inside = |index: &usize| {
                    let (column, row) = (index % 32, index / 32 % 32);
                    let (left, top) = (area.left as usize, area.top as usize);
                    (left..left + width).contains(&column) && (top..top + height).contains(&row)
                };
                masked = (0..masked.len()).filter(inside).map(|index| masked[index]).collect();
            }
            let drawn = draw_channels(&masked, 3, width, height, ValueRange::Extremes).unwrap();
            let expected = oracle.array(&case["expected"]["file"], &expected["rgb"]).as_picture();
            assert_eq!(drawn, expected, "{}", case["id"]);
        }
    }
}

#[test]
fn samples_and_their_heatmaps() {
    let oracle = Oracle::load();
    let case = oracle.suite("vis_img_heatmap", 1)[0];
    let (data, heatmaps) = (oracle.named(&case["data"]), oracle.named(&case["heatmaps"]));
    let palette = ColorMap::default().palette(1.0);
    let images = case["expected"]["images"].as_array().unwrap();
    assert_eq!(images.len(), 4);
    for ((sample, heatmap), expected) in data.rows().zip(heatmaps.rows()).zip(images) {
        let file = &case["expected"]["file"];
        let drawn = draw_channels(sample, 3, 32, 32, ValueRange::Extremes).unwrap();
        assert_eq!(drawn, oracle.array(file, &expected["rgb"]).as_picture());
        let drawn = Heatmap::new(heatmap, 32, 32).unwrap().draw(&HeatmapStyle::default());
        let positions = oracle.array(file, &expected["heat_index"]).values;
        let colors: Vec<Rgb<u8>> = positions.iter().map(|&position| Rgb(palette[position as usize])).collect();
        assert_eq!(drawn.pixels().copied().collect::<Vec<_>>(), colors);
    }
}
