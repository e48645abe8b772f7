//! What is said about an evaluation: a table for people, a document for machines.

use std::path::PathBuf;

use glocal::faithfulness::{Direction, Estimate};
use glocal_kit::evaluate::{AreaDifference, Curves, EvaluateOptions, Explained, Findings, Subject};
use glocal_kit::store::SkippedSample;
use serde_json::{Value, json};

use crate::table::{Align, printable, table};

/// How many samples that were passed over the text names.
const SKIPPED_SHOWN: usize = 10;

/// All that is said.
pub struct Summary<'a> {
    pub model: PathBuf,
    /// The BLAKE3 hash of the model's file.
    pub model_hash: String,
    pub data: PathBuf,
    pub fingerprint: String,
    /// What identifies the labels, where they are not the data set's own.
    pub labels: Option<String>,
    /// The data set in words.
    pub description: String,
    pub composite: String,
    pub options: &'a EvaluateOptions,
    pub findings: &'a Findings,
    /// The pictures that were written: SVG and PNG.
    pub pictures: Vec<[PathBuf; 2]>,
}

/// What one picture shows: the curves of one subject and replacement, a panel for each direction.
pub type Charts<'a> = Vec<&'a Curves>;

impl<'a> Summary<'a> {
    /// The curves, by picture.
    pub fn charts(&self) -> Vec<Charts<'a>> {
        let mut charts: Vec<Charts<'a>> = Vec::new();
        for curves in &self.findings.curves {
            let same = |last: &Curves| last.subject == curves.subject && last.replacement == curves.replacement;
            match charts.last_mut().filter(|chart| chart.first().is_some_and(|last| same(last))) {
                Some(chart) => chart.push(curves),
                None => charts.push(vec![curves]),
            }
        }
        charts
    }

    /// Which logit is followed.
    pub fn target(&self) -> String {
        match self.options.explained {
            Explained::Label => "the label".to_owned(),
            Explained::Predicted => "the predicted class".to_owned(),
            Explained::Class(class) => format!("class {class}"),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let Findings { samples, skipped, curves } = self.findings;
        let mut text = format!(
            "{samples} samples of {}; target: {}; rules: {}\n",
            printable(&self.description),
            self.target(),
            printable(&self.composite)
        );
        curves.iter().for_each(|curves| text += &self.section(curves));
        text += &self.passed_over(skipped);
        if let Some([path, _]) = self.pictures.first() {
            text += &format!("\n{} holds the pictures, and all numbers in evaluation.json\n", folder_of(path));
        }
        text
    }

    fn section(&self, curves: &Curves) -> String {
        let interval = |estimate: &Estimate| match estimate.interval {
            Some(interval) => format!("{} to {}", number(interval.low), number(interval.high)),
            None => "—".to_owned(),
        };
        let Curves { parts, original, replaced, .. } = curves;
        let mut text = format!(
            "\n{}\n{parts} parts; the logit is {} on average, and changes by {} when all are replaced\n",
            heading(curves),
            number(original.value),
            number(replaced.value)
        );
        let percent = format!("{} % interval", number(self.options.bootstrap.confidence * 100.0));
        let rows: Vec<[String; 5]> = curves
            .orders
            .iter()
            .map(|curve| {
                let (area, normalized) = (&curve.area, &curve.normalized_area);
                [
                    curve.order.to_string(),
                    number(area.value),
                    interval(area),
                    number(normalized.value),
                    interval(normalized),
                ]
            })
            .collect();
        let header = [
            ("order", Align::Left),
            ("area", Align::Right),
            (percent.as_str(), Align::Right),
            ("normalised", Align::Right),
            (percent.as_str(), Align::Right),
        ];
        text += &table(header, &rows);
        let first = curves.orders.first().map(|curve| curve.order);
        for difference in curves.differences.iter().filter(|difference| Some(difference.of) == first) {
            text += &format!("{}\n", sentence(difference, curves.direction));
        }
        text
    }

    /// The samples that were passed over, the first of them with their reasons.
    fn passed_over(&self, skipped: &[SkippedSample]) -> String {
        let mut text = match skipped.len() {
            0 => return String::new(),
            1 => "\n1 sample could not be used and was passed over:\n".to_owned(),
            count => format!("\n{count} samples could not be used and were passed over:\n"),
        };
        for SkippedSample { sample, key, reason } in skipped.iter().take(SKIPPED_SHOWN) {
            text += &format!("  {sample} {}: {}\n", printable(key), printable(reason));
        }
        if let Some(more) = skipped.len().checked_sub(SKIPPED_SHOWN).filter(|more| *more > 0) {
            text += &format!("  and {more} more\n");
        }
        text
    }

    /// For machines.
    pub fn document(&self) -> Value {
        let options = self.options;
        let skipped = self.findings.skipped.iter();
        let skipped = skipped
            .map(|SkippedSample { sample, key, reason }| json!({ "sample": sample, "key": key, "reason": reason }));
        let pictures = self.pictures.iter().flatten().map(|path| path.to_string_lossy());
        json!({
            "model": self.model.to_string_lossy(),
            "model_blake3": self.model_hash,
            "data": self.data.to_string_lossy(),
            "data_fingerprint": self.fingerprint,
            "labels_fingerprint": self.labels,
            "glocal": env!("CARGO_PKG_VERSION"),
            "composite": self.composite,
            "targets": options.explained.to_string(),
            "samples": self.findings.samples,
            "skipped": skipped.collect::<Vec<_>>(),
            "draws": options.draws,
            "seed": options.bootstrap.seed,
            "resamples": options.bootstrap.resamples,
            "confidence": options.bootstrap.confidence,
            "curves": self.findings.curves.iter().map(curves_document).collect::<Vec<_>>(),
            "pictures": pictures.collect::<Vec<_>>(),
        })
    }
}

fn folder_of(path: &std::path::Path) -> String {
    path.parent().map_or_else(String::new, |folder| folder.display().to_string())
}

/// What curves are of, as in "features.40: flipping, replaced by zero".
fn heading(curves: &Curves) -> String {
    format!(
        "{}: {}, replaced by {}",
        printable(&curves.subject.to_string()),
        curves.direction.name(),
        curves.replacement.name()
    )
}

/// What a difference says.
pub fn sentence(difference: &AreaDifference, direction: Direction) -> String {
    let AreaDifference { of, minus, area, apart, .. } = difference;
    let (verb, faster) = match direction {
        Direction::Flipping => ("falls", area.value < 0.0),
        Direction::Insertion => ("rises", area.value > 0.0),
    };
    let faster = if faster { "faster" } else { "slower" };
    match (apart, difference.is_clear()) {
        (true, _) => format!("{of} {verb} {faster} than {minus}: intervals apart"),
        (false, true) => {
            format!(
                "{of} {verb} {faster} than {minus}: intervals overlap, but paired by sample the difference is clear"
            )
        }
        (false, false) => format!("{of} and {minus}: no clear difference"),
    }
}

/// A number with four significant digits.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if !size.is_finite() => return "—".to_owned(),
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    // No number is minus nothing.
    let text = if text.trim_start_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { text };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').replace('-', "−"),
        false => text.replace('-', "−"),
    }
}

fn estimate(estimate: &Estimate) -> Value {
    let interval = estimate.interval;
    json!({
        "value": estimate.value,
        "low": interval.map(|interval| interval.low),
        "high": interval.map(|interval| interval.high),
    })
}

fn curves_document(curves: &Curves) -> Value {
    let subject = match &curves.subject {
        Subject::Concepts { layer } => json!({ "kind": "concepts", "layer": layer }),
        Subject::Pixels { side } => json!({ "kind": "pixels", "patch": side }),
    };
    let all = |estimates: &[Estimate]| estimates.iter().map(estimate).collect::<Vec<_>>();
    let orders = curves.orders.iter().map(|curve| {
        json!({
            "order": curve.order.name(),
            "change": all(&curve.change),
            "logit": all(&curve.logit),
            "area": estimate(&curve.area),
            "normalized_area": estimate(&curve.normalized_area),
        })
    });
    let differences = curves.differences.iter().map(|difference| {
        json!({
            "of": difference.of.name(),
            "minus": difference.minus.name(),
            "area": estimate(&difference.area),
            "normalized_area": estimate(&difference.normalized_area),
            "intervals_apart": difference.apart,
            "clear": difference.is_clear(),
        })
    });
    json!({
        "subject": subject,
        "shape": curves.shape,
        "parts": curves.parts,
        "replacement": curves.replacement.name(),
        "direction": curves.direction.name(),
        "counts": curves.counts,
        "original_logit": estimate(&curves.original),
        "change_with_all_replaced": estimate(&curves.replaced),
        "orders": orders.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
    })
}
