//! The conservation report, summed over the samples of all batches.

use std::collections::BTreeMap;

use glocal::attribution::{Attributions, Pairing, Target, Trace};
use glocal::conservation::{Account, report};
use glocal_compute::Tensor;
use serde_json::{Value, json};

use super::plan::{Named, Plan};
use crate::failure::Failure;
use crate::table::{Align, table};

/// The accounts of all layers, by target.
#[derive(Debug, Default)]
pub struct Conservation(Vec<(String, BTreeMap<usize, Account>)>);

impl Conservation {
    /// Adds the accounts of a batch that was run under `conditions`, whose results are `found`.
    ///
    /// Conditions with equal targets have one account: masks are left out of it.
    pub fn add(
        &mut self,
        trace: &Trace<'_>,
        conditions: &[Named],
        found: &Attributions,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let mut targets: Vec<&Target> = Vec::new();
        for (index, Named { text, condition }) in conditions.iter().enumerate() {
            let (label, rows) = match plan.request.pairing {
                // Each sample has its own target.
                Pairing::Zip if index > 0 => break,
                Pairing::Zip => ("the targets of the pairs".to_owned(), (0..found.items.len()).collect::<Vec<_>>()),
                Pairing::Product if targets.contains(&&condition.target) => continue,
                Pairing::Product => {
                    targets.push(&condition.target);
                    (target_text(text), (index..found.items.len()).step_by(conditions.len()).collect())
                }
            };
            let mut initial = Vec::with_capacity(trace.prediction().len());
            for item in rows.iter().filter_map(|&row| found.items.get(row)) {
                initial.extend_from_slice(item.layers.get(&plan.start).map_or(&[], Tensor::data));
            }
            let initial = Tensor::new(trace.prediction().shape(), initial).map_err(Failure::work)?;
            self.sum(&label, report(trace, initial, &plan.request.cancel)?);
        }
        Ok(())
    }

    fn sum(&mut self, label: &str, accounts: Vec<Account>) {
        let known = self.0.iter().position(|(known, _)| known == label);
        let place = known.unwrap_or_else(|| {
            self.0.push((label.to_owned(), BTreeMap::new()));
            self.0.len() - 1
        });
        let Some((_, sums)) = self.0.get_mut(place) else { return };
        for account in accounts {
            match sums.get_mut(&account.node.index()) {
                Some(sum) => {
                    sum.relevance_in += account.relevance_in;
                    sum.relevance_out += account.relevance_out;
                    sum.bias += account.bias;
                    sum.stabilizer += account.stabilizer;
                    sum.definition += account.definition;
                    sum.magnitude += account.magnitude;
                }
                None => {
                    sums.insert(account.node.index(), account);
                }
            }
        }
    }

    /// A table a target, from the output down.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (label, accounts) in &self.0 {
            let rows = accounts.values().rev().map(|account| {
                let numbers = [
                    account.relevance_in,
                    account.relevance_out,
                    account.bias,
                    account.stabilizer,
                    account.definition,
                    account.unexplained(),
                ];
                let [r_in, r_out, bias, stabilizer, definition, unexplained] = numbers.map(|n| format!("{n:.3e}"));
                [account.layer.clone(), account.rule.clone(), r_in, r_out, bias, stabilizer, definition, unexplained]
            });
            let header = [
                ("layer", Align::Left),
                ("rule", Align::Left),
                ("in", Align::Right),
                ("out", Align::Right),
                ("bias", Align::Right),
                ("stabilizer", Align::Right),
                ("definition", Align::Right),
                ("unexplained", Align::Right),
            ];
            text += &format!("\nConservation of relevance, {label}, summed over samples\n");
            text += &table(header, &rows.collect::<Vec<_>>());
        }
        text
    }

    /// The same numbers for machines.
    pub fn document(&self) -> Value {
        let entry = |account: &Account| {
            json!({
                "layer": account.layer, "rule": account.rule,
                "relevance_in": account.relevance_in, "relevance_out": account.relevance_out,
                "bias": account.bias, "stabilizer": account.stabilizer, "definition": account.definition,
                "unexplained": account.unexplained(), "magnitude": account.magnitude,
            })
        };
        let of_target = |(label, accounts): &(String, BTreeMap<usize, Account>)| json!({ "target": label, "layers": accounts.values().rev().map(entry).collect::<Vec<_>>() });
        self.0.iter().map(of_target).collect()
    }
}

/// The part of a condition's text that names its target.
fn target_text(text: &str) -> String {
    let target = text.split(';').map(str::trim).find(|part| part.starts_with("target"));
    target.unwrap_or("the default target").to_owned()
}
