//! What is printed: what the model says about each sample, and how much relevance each condition lets through.

use std::path::{Path, PathBuf};

use glocal::attribution::Attribution;
use glocal_compute::Tensor;
use serde_json::{Value, json};

use super::conservation::Conservation;
use super::plan::Plan;
use crate::predictions::Predictions;
use crate::table::{Align, printable, table};

/// What is known so far.
#[derive(Debug, Default)]
pub struct Summary {
    /// Of each sample.
    pub predictions: Vec<Predictions>,
    rows: Vec<Row>,
}

/// One result.
#[derive(Debug)]
struct Row {
    sample: usize,
    condition: usize,
    /// The sum of the relevance that started; `None` where the method reports no part of it.
    started: Option<f64>,
    /// The sum of the attribution: of the relevance that arrived at the input, `None` where none can.
    arrived: Option<f64>,
    files: Vec<PathBuf>,
}

impl Row {
    /// How much of what started arrived.
    fn share(&self) -> Option<f64> {
        Some(self.arrived? / self.started.filter(|started| *started != 0.0)?)
    }
}

impl Summary {
    /// Adds a result, of which `start` is the layer where its relevance started, and the pictures of it.
    pub fn add(&mut self, item: &Attribution, start: &str, files: Vec<PathBuf>) {
        let (started, arrived) = (item.layers.get(start).map(sum), item.input.as_ref().map(sum));
        self.rows.push(Row { sample: item.sample, condition: item.condition, started, arrived, files });
    }

    /// For people.
    pub fn text(&self, plan: &Plan, conservation: Option<&Conservation>, out: Option<&Path>) -> String {
        let mut text = String::new();
        for (sample, predictions) in self.predictions.iter().enumerate() {
            text += &format!("{}\n{}", printable(plan.files.name(sample)), predictions.text());
        }
        text.push('\n');
        let number = |number: Option<f64>| number.map_or("-".to_owned(), decimal);
        let rows = self.rows.iter().map(|row| {
            let condition = plan.conditions.get(row.condition).map_or("", |named| &named.text);
            let share = row.share().map_or("-".to_owned(), |share| format!("{} %", decimal(share * 100.0)));
            let sample = plan.files.name(row.sample).to_owned();
            [sample, condition.to_owned(), number(row.started), number(row.arrived), share]
        });
        let header = [
            ("sample", Align::Left),
            ("condition", Align::Left),
            ("relevance started", Align::Right),
            ("at the input", Align::Right),
            ("share", Align::Right),
        ];
        text += &table(header, &rows.collect::<Vec<_>>());
        text += &conservation.map(Conservation::text).unwrap_or_default();
        let pictures: usize = self.rows.iter().map(|row| row.files.len()).sum();
        match out {
            Some(out) if pictures > 0 => text += &format!("\nwrote {pictures} pictures into {}\n", out.display()),
            Some(out) => text += &format!("\nwrote {}\n", out.display()),
            None => {}
        }
        text
    }

    /// For machines.
    pub fn document(&self, plan: &Plan, conservation: Option<&Conservation>, out: Option<&Path>) -> Value {
        let sample = |(index, predictions): (usize, &Predictions)| json!({ "name": plan.files.name(index), "predictions": predictions.document() });
        let row = |row: &Row| {
            json!({
                "sample": row.sample, "condition": row.condition,
                "started": row.started, "arrived": row.arrived, "share": row.share(), "files": row.files,
            })
        };
        json!({
            "model": plan.loaded.hash.to_string(),
            "composite": plan.attributor.composite().name(),
            "method": plan.request.method.to_string(),
            "samples": self.predictions.iter().enumerate().map(sample).collect::<Vec<_>>(),
            "conditions": plan.conditions.iter().map(|named| &named.text).collect::<Vec<_>>(),
            "attributions": self.rows.iter().map(row).collect::<Vec<_>>(),
            "conservation": conservation.map(Conservation::document),
            "output": out,
        })
    }
}

/// The sum of all elements, in double precision.
fn sum(tensor: &Tensor) -> f64 {
    tensor.data().iter().map(|&value| f64::from(value)).sum()
}

/// A number in four digits or so, whatever its size.
fn decimal(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        100.0..1e6 => format!("{number:.1}"),
        0.1..100.0 => format!("{number:.3}"),
        _ => format!("{number:.3e}"),
    }
}
