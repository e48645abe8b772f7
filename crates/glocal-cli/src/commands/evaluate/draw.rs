//! The curves as pictures.

use std::path::PathBuf;

use glocal::faithfulness::{Direction, Estimate, Order};
use glocal_kit::evaluate::{Curves, OrderCurve, Replacement, Subject};
use glocal_kit::picture::{ChartLine, ChartPanel, ChartPoint, LineChart, LineStyle, encode_png};

use super::summary::{Charts, Summary, number};
use crate::failure::Failure;
use crate::output::{OutputFolder, file_name_part};

/// Writes a picture as SVG and PNG.
pub fn write(charts: &Charts<'_>, summary: &Summary<'_>, folder: &mut OutputFolder) -> Result<[PathBuf; 2], Failure> {
    let Some(first) = charts.first() else { return Ok([PathBuf::new(), PathBuf::new()]) };
    let chart = chart(first, charts, summary);
    let name = match &first.subject {
        Subject::Concepts { layer } => format!("concepts__{}", file_name_part(layer)),
        Subject::Pixels { side } => format!("pixels__{side}"),
    };
    let name = format!("{name}__{}", first.replacement.name());
    let svg = folder.write(&format!("{name}.svg"), chart.to_svg()?.as_bytes())?;
    let png = folder.write(&format!("{name}.png"), &encode_png(&chart.draw()?)?)?;
    Ok([svg, png])
}

fn chart(first: &Curves, charts: &Charts<'_>, summary: &Summary<'_>) -> LineChart {
    let Curves { subject, parts, original, .. } = first;
    let unit = unit(first);
    let title = match subject {
        Subject::Concepts { layer } => format!("Concepts of {layer}, replaced by {}", words(first)),
        Subject::Pixels { .. } => format!("{unit} of the input, replaced by {}", words(first)),
    };
    let file = summary.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let samples = summary.findings.samples;
    let facts = vec![
        format!("Model {file}, rules {}; {samples} samples of {}", summary.composite, summary.description),
        format!(
            "Target: {}; its logit is {} on average before any of the {parts} {} is replaced",
            summary.target(),
            number(original.value),
            unit.to_lowercase()
        ),
    ];
    let confidence = number(summary.options.bootstrap.confidence * 100.0);
    let chance = summary.options.orders.contains(&Order::Random);
    let draws = summary.options.draws.get();
    let draws = match draws {
        _ if !chance => String::new(),
        1 => " Random: one order drawn for each sample.".to_owned(),
        draws => format!(" Random: the mean of {draws} orders drawn for each sample."),
    };
    LineChart {
        title,
        facts,
        up: "Change of the target's logit from that of the unmodified model".to_owned(),
        panels: charts.iter().map(|curves| panel(curves, &confidence)).collect(),
        notes: vec![format!(
            "Means over samples, with {confidence} % bootstrap intervals. Area: the mean height of the curve.{draws} Glocal {}",
            env!("CARGO_PKG_VERSION")
        )],
    }
}

/// What the parts are.
fn unit(curves: &Curves) -> String {
    match &curves.subject {
        Subject::Concepts { .. } => "Channels".to_owned(),
        Subject::Pixels { .. } if curves.shape.len() < 2 => "Features".to_owned(),
        Subject::Pixels { side } => {
            let pixels = if curves.shape.len() == 3 { "Pixels" } else { "Positions" };
            match side.get() {
                1 => pixels.to_owned(),
                side => format!("Patches of {}", vec![side.to_string(); curves.shape.len() - 1].join("×")),
            }
        }
    }
}

/// What takes the place of parts.
fn words(curves: &Curves) -> &'static str {
    match (curves.replacement, &curves.subject) {
        (Replacement::Zero, _) => "zero",
        (Replacement::Mean, Subject::Pixels { .. }) if curves.shape.len() > 1 => "the sample's mean",
        (Replacement::Mean, _) => "the mean over samples",
    }
}

fn panel(curves: &Curves, confidence: &str) -> ChartPanel {
    let (title, subtitle, done) = match curves.direction {
        Direction::Flipping => {
            ("Flipping: first ones replaced first", "The faster it falls, the more faithful the order", "replaced")
        }
        Direction::Insertion => {
            ("Insertion: first ones put back first", "The faster it rises, the more faithful the order", "put back")
        }
    };
    let across = format!("{} {done}, of {}", unit(curves), curves.parts);
    let lines = curves.orders.iter().map(|curve| line(curve, curves, confidence)).collect();
    ChartPanel { title: title.to_owned(), subtitle: subtitle.to_owned(), across, lines }
}

fn line(curve: &OrderCurve, curves: &Curves, confidence: &str) -> ChartLine {
    let all = curves.parts.max(1) as f64;
    let point = |(&count, estimate): (&usize, &Estimate)| ChartPoint {
        at: count as f64 / all,
        value: estimate.value,
        interval: estimate.interval.map(|interval| (interval.low, interval.high)),
    };
    let interval = match curve.area.interval {
        Some(interval) => format!(" ({confidence} %: {} to {})", number(interval.low), number(interval.high)),
        None => String::new(),
    };
    ChartLine {
        name: curve.order.name().to_owned(),
        note: format!("area {}{interval}", number(curve.area.value)),
        style: style(curve.order),
        points: curves.counts.iter().zip(&curve.change).map(point).collect(),
    }
}

/// Each order looks the same in all pictures.
fn style(order: Order) -> LineStyle {
    match order {
        Order::Relevance => LineStyle::Vermilion,
        Order::Ascending => LineStyle::Purple,
        Order::Activation => LineStyle::Blue,
        Order::Gradient => LineStyle::Green,
        Order::Random => LineStyle::Grey,
    }
}
