//! Drawn pictures against golden files in `tests/pictures`: run with `GLOCAL_REGENERATE_GOLDENS=1` to write them anew,
//! and look at them before committing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a golden that cannot be read is a failed test")]

use std::path::PathBuf;

use glocal_kit::picture::{
    Block, Cell, ColorMap, ContactSheet, Heatmap, HeatmapStyle, LocalConcept, LocalPicture, LocalRow, OpaqueMask,
    OverlayStyle, Row, SeriesPicture, SheetStyle, encode_png, enlarge, overlay, reference_sheet,
};
use glocal_kit::region::Region;
use image::{Rgb, RgbImage};

/// Letters, reductions and exponents are computed in f32, whose rounding may differ between processors.
const PIXEL_TOLERANCE: u8 = 2;

const SIDE: usize = 28;

fn check(name: &str, drawn: &RgbImage) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/pictures").join(name);
    if std::env::var_os("GLOCAL_REGENERATE_GOLDENS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, encode_png(drawn).unwrap()).unwrap();
    }
    let golden = image::load_from_memory(&std::fs::read(&path).unwrap()).unwrap().to_rgb8();
    assert_eq!(drawn.dimensions(), golden.dimensions(), "{name}");
    let difference = drawn.iter().zip(golden.iter()).map(|(got, want)| got.abs_diff(*want)).max();
    assert!(difference <= Some(PIXEL_TOLERANCE), "{name} differs by {difference:?}");
}

/// A disc on a slope, in color.
fn sample(seed: u32) -> RgbImage {
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let distance = (x as i32 - 12).pow(2) + (y as i32 - 10 - seed as i32).pow(2);
        Rgb(if distance < 60 { [230, 180 - 20 * seed as u8, 40] } else { [(x * 4) as u8, (y * 5) as u8, 90] })
    })
}

/// Relevance for the upper half of the disc and, weaker, against its lower half.
fn relevance(seed: f32) -> Vec<f32> {
    let at = |index: usize| ((index % SIDE) as f32 - 12.0, (index / SIDE) as f32 - 10.0 - seed);
    (0..SIDE * SIDE)
        .map(|index| {
            let (x, y) = at(index);
            -y * (-(x * x + y * y) / 40.0).exp() * if y > 0.0 { 0.6 } else { 1.0 }
        })
        .collect()
}

fn drawn(seed: f32, color_map: &str) -> RgbImage {
    let style = HeatmapStyle { color_map: color_map.parse().unwrap(), ..HeatmapStyle::default() };
    Heatmap::new(&relevance(seed), SIDE, SIDE).unwrap().draw(&style)
}

#[test]
fn heatmap_overlay_and_mask() {
    let values = relevance(0.0);
    let heatmap = Heatmap::new(&values, SIDE, SIDE).unwrap();
    let image = sample(0);
    check("heatmap.png", &enlarge(&drawn(0.0, "bwr"), 4).unwrap());
    check("overlay.png", &enlarge(&overlay(&image, &heatmap, &OverlayStyle::default()).unwrap(), 4).unwrap());
    let masked = OpaqueMask::for_side(SIDE as u32).apply(&image, &heatmap).unwrap();
    check("opaque_mask.png", &enlarge(&masked, 4).unwrap());
}

#[test]
fn color_maps() {
    let ramp: Vec<f32> = (0..12).flat_map(|_| (0..256).map(|position| position as f32 - 127.5)).collect();
    let heatmap = Heatmap::new(&ramp, 256, 12).unwrap();
    let rows = ColorMap::NAMES.map(|name| {
        let style = HeatmapStyle { color_map: name.parse().unwrap(), ..HeatmapStyle::default() };
        Row { title: name.to_owned(), cells: vec![Cell::new(heatmap.draw(&style), "")], ..Row::default() }
    });
    let blocks = vec![Block { rows: rows.into(), ..Block::default() }];
    let style = SheetStyle { cell: 256, ..SheetStyle::default() };
    let sheet = ContactSheet { title: "Color maps".into(), blocks, style, ..ContactSheet::default() };
    check("color_maps.png", &sheet.draw().unwrap());
}

#[test]
fn references_by_relevance_beside_activation() {
    let cells = |first: u32| -> Vec<Cell> {
        (first..first + 4).map(|seed| Cell::new(sample(seed), format!("rank {seed}"))).collect()
    };
    let mut sheet = reference_sheet("features.3 · channel 12", cells(0), cells(3), 2);
    sheet.blocks[0].rows[0].cells[1].frame = Some([214, 39, 40]);
    check("references.png", &sheet.draw().unwrap());
}

#[test]
fn rows_and_columns_with_titles() {
    let row = |title: &str, color_map: &str| Row {
        title: title.to_owned(),
        cells: (0..3)
            .map(|seed| Cell::new(drawn(seed as f32, color_map), format!("{:.2}", 0.9 - 0.1 * f64::from(seed))))
            .collect(),
        ..Row::default()
    };
    let block = Block {
        title: "Conditional heatmaps".into(),
        columns: ["Ärmel", "шов", "a title far too long for its column"].map(String::from).into(),
        rows: vec![row("channel 3", "bwr"), row("channel 14", "balanced"), row("channel 15", "coldnhot")],
        ..Block::default()
    };
    check("rows.png", &ContactSheet { blocks: vec![block], ..ContactSheet::default() }.draw().unwrap());
}

#[test]
fn local_analysis() {
    let (sample, heatmaps) = (sample(0), [0.0, 3.0, 6.0].map(relevance));
    let disc = |place: usize| (place % SIDE).abs_diff(12).pow(2) + (place / SIDE).abs_diff(10).pow(2) < 60;
    let weights = (0..SIDE * SIDE).map(|place| f32::from(u8::from(disc(place)))).collect();
    let regions =
        [Region::mask(weights, SIDE, SIDE), Region::rectangle((0, 20, 12, 8), SIDE, SIDE)].map(Option::unwrap);
    let row = |index: usize| LocalRow {
        title: format!("I{} holds {}.0 % of the layer's relevance", index + 1, 60 - 40 * index),
        region: Some((&regions[index], format!("I{}", index + 1))),
        concepts: heatmaps
            .iter()
            .enumerate()
            .map(|(id, heatmap)| LocalConcept { label: format!("channel {id}   +{}.5 %", 30 - 9 * id), heatmap })
            .collect(),
    };
    let picture = LocalPicture {
        title: "The most relevant of 8 channels of features.4, for disc".into(),
        sample: &sample,
        sample_label: "disc.png".into(),
        heatmap: &heatmaps[0],
        heatmap_label: "heatmap of disc".into(),
        rows: (0..2).map(row).collect(),
        notes: [
            "Percentages are shares.",
            "A longer note, which takes more than one line of this sheet and is wrapped to the width of all that stands above it.",
        ]
        .map(String::from)
        .into(),
        color_map: ColorMap::default(),
    };
    check("local.png", &picture.draw().unwrap());
}

/// Two channels of two beats, of which the second mattered; then the same without colors, and the second beat alone.
#[test]
fn time_series() {
    let beat =
        |time: f32, at: f32| (-(time - at).powi(2) / 8.0).exp() - 0.4 * (-(time - at - 5.0).powi(2) / 12.0).exp();
    let times = || (0..96).map(|time| time as f32);
    let first = times().map(|time| beat(time, 20.0) + beat(time, 66.0));
    let second = times().map(|time| 40.0 + 10.0 * (time / 9.0).sin() + 30.0 * beat(time, 68.0));
    let values: Vec<f32> = first.chain(second).collect();
    let relevance = |time: f32, sign: f32| sign * (-(time - 66.0).powi(2) / 60.0).exp();
    let relevance: Vec<f32> =
        times().map(|time| relevance(time, 1.0)).chain(times().map(|time| relevance(time, -0.5))).collect();
    let plot = SeriesPicture::new(&values, 96).unwrap();
    let colored = plot.clone().colored(&relevance, &ColorMap::default());
    check("series.png", &colored.draw().unwrap());
    let shown = relevance.iter().take(96).map(|value| *value > 0.2).collect();
    check("series_masked.png", &plot.faint(shown, 0.3).draw().unwrap());
    check("series_cut.png", &colored.cut(55..80).draw().unwrap());
}
