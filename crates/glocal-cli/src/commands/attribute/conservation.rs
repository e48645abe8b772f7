//! The conservation report: one balance a condition, summed over its samples.

use std::collections::BTreeMap;

use glocal::conservation::{Account, Balance};
use serde_json::{Value, json};

use super::plan::Named;
use crate::table::{Align, printable, table};

/// The balances of all conditions, in the order in which they were first met; conditions of the same text share one.
#[derive(Debug, Default)]
pub struct Conservation {
    balances: Vec<(String, Balance)>,
    /// The place of each text.
    places: BTreeMap<String, usize>,
}

impl Conservation {
    /// Adds the balances of some samples under `conditions`.
    pub fn add(&mut self, conditions: &[Named], balances: Vec<Balance>) {
        for balance in balances {
            let Some(Named { text, .. }) = conditions.get(balance.condition) else { continue };
            let known = self.places.get(text).and_then(|&place| self.balances.get_mut(place));
            match known {
                Some((_, sum)) => sum.add(balance),
                None => {
                    self.places.insert(text.clone(), self.balances.len());
                    self.balances.push((text.clone(), balance));
                }
            }
        }
    }

    /// A table a condition, from where relevance starts down.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (condition, balance) in &self.balances {
            let (condition, Balance { started, arrived, .. }) = (printable(condition), balance);
            text += &format!(
                "\nConservation of relevance, {condition}, summed over samples: {started:.3e} started, {arrived:.3e} arrived at \
                 the input\n"
            );
            let header = [
                ("layer", Align::Left),
                ("rule", Align::Left),
                ("in", Align::Right),
                ("out", Align::Right),
                ("bias", Align::Right),
                ("stabilizer", Align::Right),
                ("definition", Align::Right),
                ("mask", Align::Right),
                ("beside", Align::Right),
                ("unexplained", Align::Right),
            ];
            text += &table(header, &balance.accounts.iter().map(cells).collect::<Vec<_>>());
        }
        text
    }

    /// The same numbers for machines.
    pub fn document(&self) -> Value {
        let layer = |account: &Account| {
            json!({
                "layer": account.layer, "rule": account.rule,
                "relevance_in": account.relevance_in, "relevance_out": account.relevance_out,
                "bias": account.bias, "stabilizer": account.stabilizer, "definition": account.definition,
                "masked": account.masked, "beside": account.beside,
                "unexplained": account.unexplained(), "magnitude": account.magnitude,
            })
        };
        let condition = |(text, balance): &(String, Balance)| {
            json!({
                "condition": text, "started": balance.started, "arrived": balance.arrived,
                "unexplained": balance.unexplained(), "layers": balance.accounts.iter().map(layer).collect::<Vec<_>>(),
            })
        };
        self.balances.iter().map(condition).collect()
    }
}

/// A row of the table.
fn cells(account: &Account) -> [String; 10] {
    let number = |number: f64| format!("{number:.3e}");
    [
        account.layer.clone(),
        account.rule.clone(),
        number(account.relevance_in),
        number(account.relevance_out),
        number(account.bias),
        number(account.stabilizer),
        number(account.definition),
        number(account.masked),
        number(account.beside),
        number(account.unexplained()),
    ]
}
