//! Entries of a composite that give no node of the model its rule: worth telling, as a layer's name may be misspelt.

use std::sync::Arc;

use glocal::attribution::Attributor;
use glocal::composite::{Composite, Entry, Resolved, Unused};
use glocal::model::Model;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The model with the rules of `composite`; entries that no node takes are warned of on stderr.
pub fn attributor(model: impl Into<Arc<Model>>, composite: Composite) -> Result<Attributor, Failure> {
    let attributor = Attributor::new(model, composite)?;
    for unused in UnusedEntry::all(attributor.composite(), attributor.resolved(), attributor.model()) {
        eprintln!("warning: an entry of the composite gives no layer its rule: {}", unused.text());
    }
    Ok(attributor)
}

/// An entry that gives no node its rule.
pub struct UnusedEntry<'a> {
    unused: Unused,
    entry: &'a Entry,
    /// The names that come nearest to those of its layers that the model does not have.
    nearest: Vec<String>,
}

impl<'a> UnusedEntry<'a> {
    /// All of them but those of presets, which have entries for ops that many models do not have.
    pub fn all(composite: &'a Composite, resolved: &Resolved, model: &Model) -> Vec<Self> {
        let of = |unused: &Unused| {
            let entry = composite.entries().get(unused.entry).filter(|entry| !entry.of_preset)?;
            let patterns = entry.selector.patterns().into_iter().filter(|_| unused.matches_nothing);
            let unknown = patterns.filter_map(|pattern| model.layer(pattern.as_str()).err());
            let nearest = unknown.flat_map(|error| error.nearest().to_vec()).collect();
            Some(Self { unused: *unused, entry, nearest })
        };
        resolved.unused().iter().filter_map(of).collect()
    }

    /// A line for people.
    pub fn text(&self) -> String {
        let reason = match (self.unused.matches_nothing, self.nearest.as_slice()) {
            (false, _) => "earlier entries match all that it does".to_owned(),
            (true, []) => "matches no node".to_owned(),
            (true, nearest) => format!("matches no node; the nearest names are {}", nearest.join(", ")),
        };
        format!("{}: {reason}", self.entry)
    }

    /// The same for machines.
    pub fn document(&self) -> Value {
        json!({
            "entry": self.unused.entry,
            "selector": self.entry.selector.to_string(),
            "rule": self.entry.rule.describe(),
            "matches_nothing": self.unused.matches_nothing,
            "nearest": self.nearest,
        })
    }
}
