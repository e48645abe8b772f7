//! Charts of curves: golden files in `tests/pictures` (`GLOCAL_REGENERATE_GOLDENS=1` writes them anew), and hostile numbers.

#![allow(clippy::unwrap_used, reason = "a golden that cannot be read is a failed test")]

use std::path::PathBuf;

use glocal_kit::picture::{ChartLine, ChartPanel, ChartPoint, LineChart, LineStyle, encode_png};

const STYLES: [LineStyle; 5] =
    [LineStyle::Vermilion, LineStyle::Blue, LineStyle::Green, LineStyle::Purple, LineStyle::Grey];

fn line(index: usize, style: LineStyle) -> ChartLine {
    // Products of whole numbers, which are the same on every machine.
    let value = |step: usize| -((step * (20 + 4 * index - step)) as f64) / (16.0 + index as f64);
    let point = |step: usize| ChartPoint {
        at: step as f64 / 8.0,
        value: value(step),
        interval: Some((value(step) - 0.1 * step as f64, value(step) + 0.25)),
    };
    let (name, note) =
        (format!("order <{index}>"), format!("area {index} & more than there is room for in a line of a legend"));
    ChartLine { name, note, style, points: (0..=8).map(point).collect() }
}

fn chart() -> LineChart {
    let lines: Vec<ChartLine> = STYLES.into_iter().enumerate().map(|(index, style)| line(index, style)).collect();
    let panel = |title: &str, lines: &[ChartLine]| ChartPanel {
        title: title.to_owned(),
        subtitle: "The faster it falls".to_owned(),
        across: "Channels replaced, of 64".to_owned(),
        lines: lines.to_vec(),
    };
    LineChart {
        title: "Concepts of <layer>, replaced by zero".to_owned(),
        facts: vec!["Model model.onnx\u{1b}[31m".to_owned(), "Target: the label".to_owned()],
        up: "Change of the logit".to_owned(),
        panels: vec![panel("Flipping", &lines), panel("Insertion", &lines[..2])],
        notes: vec!["Means over samples, with intervals. ".repeat(5)],
    }
}

fn golden(name: &str, bytes: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/pictures").join(name);
    if std::env::var_os("GLOCAL_REGENERATE_GOLDENS").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(bytes == std::fs::read(path).unwrap(), "{name} differs");
}

#[test]
fn a_chart_is_drawn_as_ever() {
    golden("chart.svg", chart().to_svg().unwrap().as_bytes());
    golden("chart.png", &encode_png(&chart().draw().unwrap()).unwrap());
}

#[test]
fn names_are_text_and_nothing_is_loaded() {
    let svg = chart().to_svg().unwrap();
    assert!(svg.contains("Concepts of &lt;layer&gt;") && svg.contains("order &lt;1&gt;") && !svg.contains("<layer>"));
    assert!(!svg.contains('\u{1b}') && !svg.contains("href") && !svg.contains("<script"));
}

#[test]
fn the_band_is_behind_the_line_and_both_have_its_color() {
    let mut chart = chart();
    chart.panels.truncate(1);
    chart.panels[0].lines.truncate(1);
    let picture = chart.draw().unwrap();
    let count = |color: [u8; 3]| picture.pixels().filter(|pixel| pixel.0 == color).count();
    let shaded = [0xd5u8, 0x5e, 0x00].map(|part| (255.0 + (f64::from(part) - 255.0) * 0.18).round() as u8);
    assert!(count([0xd5, 0x5e, 0x00]) > 1000 && count(shaded) > 1000);
}

#[test]
fn any_numbers_and_nothing_at_all_make_a_chart() {
    let sizes = [chart().draw().unwrap().dimensions(), LineChart::default().draw().unwrap().dimensions()];
    assert!(sizes[0].0 > sizes[1].0, "{sizes:?}");
    for value in [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, 1e-310, -0.0] {
        let mut chart = chart();
        for line in chart.panels.iter_mut().flat_map(|panel| &mut panel.lines) {
            line.points[3] = ChartPoint { at: 0.4, value, interval: Some((value, 1.0)) };
            line.points[5] = ChartPoint { at: value, value: 1.0, interval: Some((0.0, value)) };
        }
        let svg = chart.to_svg().unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{value}");
        assert_eq!(chart.draw().unwrap().dimensions(), sizes[0]);
    }
    let many = LineChart { panels: vec![ChartPanel::default(); 200], ..chart() };
    assert!(many.draw().is_err() && many.to_svg().is_ok());
}
