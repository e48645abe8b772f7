//! `glocal inspect`: what a model consists of, and the rule of each node.

use clap::Args;
use glocal::composite::{Composite, Origin, Resolved};
use glocal::model::{LayerName, Node, NodeId};
use glocal::op::OpKind;
use glocal_kit::loading::{LoadedModel, parameter_count};
use serde_json::{Value, json};

use crate::args::{ModelArguments, read_composite};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Align, printable, table};
use crate::unused::UnusedEntry;

/// List a model's layers with ops, shapes and, on request, rules
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  glocal inspect model.onnx --composite epsilon-plus-flat

Each row is a node of the graph that is explained: the names of the layers whose output it is (any of them can be
used in other commands, as can the ONNX name), the ONNX node, the op, the output's shape for one sample and the number
of weights and biases; with --composite also its rule, and the entry of the composite that it comes from. Entries of
your own that give no node its rule are listed: a layer's name in them may be misspelt.")]
pub struct Inspect {
    #[command(flatten)]
    model: ModelArguments,
    /// Show the rule that these rules give to each node: NAME or NAME:KEY=VALUE,..., or a FILE.toml
    #[arg(long, value_name = "NAME")]
    composite: Option<String>,
    /// A rule before those, as an entry of a composite's TOML: 'layer = "features.0", rule = "flat"'; repeatable
    #[arg(long = "rule", value_name = "ENTRY", requires = "composite")]
    rules: Vec<String>,
}

impl Inspect {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let composite =
            self.composite.as_deref().map(|composite| read_composite(composite, &self.rules)).transpose()?;
        let loaded = self.model.load()?;
        let rules = match composite {
            Some((composite, _)) => Some(Rules { resolved: composite.resolve(&loaded.model)?, composite }),
            None => None,
        };
        let listing = Listing { loaded: &loaded, rules };
        session.print(|| listing.text(), || listing.document())
    }
}

/// A composite, and what it gives to each node.
struct Rules {
    composite: Composite,
    resolved: Resolved,
}

/// What a node does with relevance.
struct Rule {
    text: String,
    /// The index of the composite's entry, and its selector; `None` for a default rule.
    entry: Option<(usize, String)>,
}

impl Rules {
    /// `None` for the input and for what lies above the explained output.
    fn of(&self, id: NodeId) -> Option<Rule> {
        let assignment = self.resolved.get(id)?;
        let entry = match assignment.origin {
            Origin::Entry(index) => {
                self.composite.entries().get(index).map(|entry| (index, entry.selector.to_string()))
            }
            Origin::Default => None,
        };
        Some(Rule { text: assignment.rule.describe(), entry })
    }
}

/// Everything that is shown.
struct Listing<'a> {
    loaded: &'a LoadedModel,
    rules: Option<Rules>,
}

impl Listing<'_> {
    fn text(&self) -> String {
        let LoadedModel { model, hash, opset, producer } = self.loaded;
        let output = model.graph().node(model.output());
        let explained = model.graph().node(model.explained());
        let mut text = format!("model       blake3 {hash}\n");
        text += &format!("opset       {opset}");
        text += &if producer.is_empty() { "\n".to_owned() } else { format!(", written by {producer}\n") };
        text +=
            &format!("input       {} {}\n", model.graph().node(model.graph().input()).name, sizes(model.input_shape()));
        text += &format!("output      {} {}\n", output.display_name(), sizes(&output.shape));
        if model.explained() != model.output() {
            let (what, logits) = (output.op.kind(), explained.display_name());
            text += &format!("explained   {logits} {}: ", sizes(&explained.shape));
            text += &format!("the {what} at the end is not explained, the logits below it are\n");
        }
        text += &format!("layers      {}, {} parameters\n", self.nodes().count(), self.parameters());
        if let Some(rules) = &self.rules {
            text += &format!("composite   {}\n", rules.composite.name());
        }
        for unused in self.unused() {
            text += &format!("unused      {}\n", printable(&unused.text()));
        }
        text.push('\n');
        text + &self.table()
    }

    fn table(&self) -> String {
        let columns = |node: &Node| {
            let layers: Vec<&str> = node.layers.iter().map(LayerName::as_str).collect();
            let parameters = match parameter_count(node) {
                0 => String::new(),
                count => count.to_string(),
            };
            [layers.join(", "), node.name.clone(), node.op.kind().to_string(), sizes(&node.shape), parameters]
        };
        let header = [
            ("layer", Align::Left),
            ("ONNX node", Align::Left),
            ("op", Align::Left),
            ("shape", Align::Left),
            ("parameters", Align::Right),
        ];
        let Some(rules) = &self.rules else {
            return table(header, &self.nodes().map(|(_, node)| columns(node)).collect::<Vec<_>>());
        };
        let [layer, name, op, shape, parameters] = header;
        let rows: Vec<[String; 7]> = self
            .nodes()
            .map(|(id, node)| {
                let [layer, name, op, shape, parameters] = columns(node);
                let (rule, origin) = match rules.of(id) {
                    Some(Rule { text, entry: Some((_, selector)) }) => (text, selector),
                    Some(Rule { text, entry: None }) => (text, "default".to_owned()),
                    None => ("not explained".to_owned(), String::new()),
                };
                [layer, name, op, shape, parameters, rule, origin]
            })
            .collect();
        table([layer, name, op, shape, parameters, ("rule", Align::Left), ("entry", Align::Left)], &rows)
    }

    /// The entries that the user wrote and that give no node its rule.
    fn unused(&self) -> Vec<UnusedEntry<'_>> {
        match &self.rules {
            Some(Rules { composite, resolved }) => UnusedEntry::all(composite, resolved, &self.loaded.model),
            None => Vec::new(),
        }
    }

    fn document(&self) -> Value {
        let LoadedModel { model, hash, opset, producer } = self.loaded;
        let graph = model.graph();
        let output = graph.node(model.output());
        let explained = graph.node(model.explained());
        let nodes = self.nodes().map(|(id, node)| {
            let mut entry = json!({
                "layers": node.layers.iter().map(LayerName::as_str).collect::<Vec<_>>(),
                "node": node.name,
                "op": node.op.kind().name(),
                "onnx_op": node.op_type,
                "shape": node.shape,
                "parameters": parameter_count(node),
                "inputs": node.inputs.iter().map(|input| graph.node(*input).display_name()).collect::<Vec<_>>(),
            });
            if let Some(rules) = &self.rules {
                let rule = rules.of(id);
                entry["rule"] = json!(rule.as_ref().map(|rule| &rule.text));
                entry["rule_is_default"] = json!(rule.as_ref().map(|rule| rule.entry.is_none()));
                let (index, selector) = rule.and_then(|rule| rule.entry).unzip();
                entry["rule_entry"] = json!(index);
                entry["rule_selector"] = json!(selector);
            }
            entry
        });
        json!({
            "model": { "blake3": hash.to_string(), "opset": opset, "producer": producer },
            "input": { "name": graph.node(graph.input()).name, "shape": model.input_shape() },
            "output": { "layer": output.display_name(), "shape": output.shape, "op": output.op.kind().name() },
            "explained": { "layer": explained.display_name(), "shape": explained.shape },
            "composite": self.rules.as_ref().map(|rules| rules.composite.name()),
            "unused_entries": self.rules.as_ref().map(|_| self.unused().iter().map(UnusedEntry::document).collect::<Vec<_>>()),
            "parameters": self.parameters(),
            "layers": nodes.collect::<Vec<_>>(),
        })
    }

    /// All nodes but the input.
    fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.loaded.model.graph().nodes().filter(|(_, node)| node.op.kind() != OpKind::Input)
    }

    fn parameters(&self) -> usize {
        self.nodes().map(|(_, node)| parameter_count(node)).sum()
    }
}

/// A shape as people write it: 64×28×28.
fn sizes(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "1".to_owned();
    }
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}
