//! What is printed: the edges of the graph, or all of it as a document.

use std::path::Path as FilePath;

use glocal::flow::{AttributionGraph, FlowRequest, Node, Order, Path};
use glocal::search::Entry;
use serde_json::{Value, json};

use super::Plan;
use crate::predictions::Predictions;
use crate::stored::class_name;
use crate::table::{Align, printable, table};

/// All that was found.
pub struct Summary<'a> {
    pub plan: &'a Plan,
    pub graph: &'a AttributionGraph,
    pub request: &'a FlowRequest,
    /// What the model says: at most one element.
    pub predictions: Vec<Predictions>,
    /// The class whose relevance is followed.
    pub target: Option<usize>,
    /// The best reference samples of each node.
    pub references: &'a [Vec<Entry>],
    /// Where the graph is written.
    pub out: Option<&'a FilePath>,
}

impl Summary<'_> {
    /// What a class is called.
    pub fn class(&self, class: usize) -> String {
        let names = self.plan.classes.as_ref().map(|names| names.as_slice());
        class_name(names.or(self.plan.stored_classes.as_deref()), class)
    }

    /// What a concept is called, with its layer elsewhere.
    pub fn concept(&self, node: &Node) -> String {
        let model = &self.plan.loaded.model;
        match model.layer(&node.layer) {
            Ok(layer) if layer == model.explained() => self.class(node.concept),
            _ => format!("channel {}", node.concept),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", printable(&self.plan.sample.0));
        text += &self.predictions.iter().map(Predictions::text).collect::<String>();
        let name = |node: &Node| format!("{} {}", node.layer, self.concept(node));
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        if let Some(root) = self.graph.nodes.first() {
            let from = match self.target {
                Some(class) => format!("for {}", self.class(class)),
                None => "from its own activation".to_owned(),
            };
            text += &format!("\n{}, {}: share {}\n\n", printable(&name(root)), printable(&from), percent(root.share));
        }
        let rows: Vec<[String; 4]> = self
            .graph
            .edges
            .iter()
            .map(|edge| {
                let [from, to] =
                    [edge.from, edge.to].map(|node| self.graph.nodes.get(node).map(name).unwrap_or_default());
                [from, to, percent(edge.share), format!("{:.4e}", edge.relevance)]
            })
            .collect();
        let header = [("from", Align::Left), ("to", Align::Left), ("share", Align::Right), ("relevance", Align::Right)];
        text += &if rows.is_empty() { "no relevance flows from it\n".to_owned() } else { table(header, &rows) };
        if let Some(out) = self.out {
            text += &format!("\nwrote {}\n", out.display());
        }
        text
    }

    /// For machines.
    pub fn document(&self) -> Value {
        let layers = self.graph.layers.iter().map(|layer| json!({ "layer": layer.name, "channels": layer.concepts }));
        let nodes = self.graph.nodes.iter().enumerate().map(|(index, node)| {
            let references = self.references.get(index).map(|found| found.iter().map(|entry| entry.sample.0));
            let references: Vec<_> = references.into_iter().flatten().collect();
            let Node { layer, concept, step, relevance, share } = node;
            json!({ "layer": layer, "channel": concept, "step": step, "relevance": relevance, "share": share,
                    "references": references })
        });
        let edges =
            self.graph.edges.iter().map(
                |edge| json!({ "from": edge.from, "to": edge.to, "relevance": edge.relevance, "share": edge.share }),
            );
        json!({
            "model": self.plan.loaded.hash.to_string(),
            "composite": self.plan.attributor.composite().name(),
            "sample": self.plan.sample.0,
            "predictions": self.predictions.first().map(Predictions::document),
            "target": self.target,
            "path": match self.request.path {
                Path::Whole => "whole",
                Path::RootAndCurrent => "root",
                Path::Masked => "masked",
            },
            "order": match self.request.order { Order::Relevance => "relevance", Order::Size => "size" },
            "layers": layers.collect::<Vec<_>>(),
            "nodes": nodes.collect::<Vec<_>>(),
            "edges": edges.collect::<Vec<_>>(),
            "output": self.out,
        })
    }
}
