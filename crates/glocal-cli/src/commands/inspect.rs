//! `glocal inspect`: what a model consists of, and the rule of each node.

use clap::Args;
use glocal::composite::{Assignment, Composite, Origin};
use glocal::model::{LayerName, Node, NodeId};
use glocal::op::OpKind;
use glocal_kit::loading::{LoadedModel, parameter_count};
use serde_json::{Value, json};

use crate::args::{ModelArguments, read_composite};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Align, table};

/// List a model's layers with ops, shapes and, on request, rules
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  glocal inspect model.onnx --composite epsilon-plus-flat

Each row is a node of the graph that is explained: the names of the layers whose output it is (any of them can be
used in other commands, as can the ONNX name), the ONNX node, the op, the output's shape for one sample and the number
of weights and biases.")]
pub struct Inspect {
    #[command(flatten)]
    model: ModelArguments,
    /// Show the rule that these rules give to each node: NAME or NAME:KEY=VALUE,..., or a FILE.toml
    #[arg(long, value_name = "NAME")]
    composite: Option<String>,
}

impl Inspect {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let composite = self.composite.as_deref().map(read_composite).transpose()?.map(|(composite, _)| composite);
        let loaded = self.model.load()?;
        let graph = loaded.model.graph();
        let rules = match &composite {
            Some(composite) => {
                let resolved = composite.resolve(&loaded.model)?;
                Some(graph.nodes().map(|(id, _)| Rule::of(resolved.get(id))).collect())
            }
            None => None,
        };
        let listing = Listing { loaded: &loaded, composite: composite.as_ref(), rules };
        session.print(|| listing.text(), || listing.document())
    }
}

/// What a node does with relevance.
struct Rule {
    text: String,
    is_default: bool,
}

impl Rule {
    /// `None` for the input and for what lies above the explained output.
    fn of(assignment: Option<&Assignment>) -> Option<Self> {
        let Assignment { rule, origin } = assignment?;
        Some(Self { text: rule.describe(), is_default: *origin == Origin::Default })
    }
}

/// Everything that is shown.
struct Listing<'a> {
    loaded: &'a LoadedModel,
    composite: Option<&'a Composite>,
    /// One a node, where there is a composite.
    rules: Option<Vec<Option<Rule>>>,
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
        if let Some(composite) = self.composite {
            text += &format!("composite   {}\n", composite.name());
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
        let rows: Vec<[String; 6]> = self
            .nodes()
            .map(|(id, node)| {
                let [layer, name, op, shape, parameters] = columns(node);
                let rule = match rules.get(id.index()).and_then(Option::as_ref) {
                    Some(Rule { text, is_default: true }) => format!("{text} (default)"),
                    Some(Rule { text, is_default: false }) => text.clone(),
                    None => "not explained".to_owned(),
                };
                [layer, name, op, shape, parameters, rule]
            })
            .collect();
        table([layer, name, op, shape, parameters, ("rule", Align::Left)], &rows)
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
                let rule = rules.get(id.index()).and_then(Option::as_ref);
                entry["rule"] = json!(rule.map(|rule| &rule.text));
                entry["rule_is_default"] = json!(rule.map(|rule| rule.is_default));
            }
            entry
        });
        json!({
            "model": { "blake3": hash.to_string(), "opset": opset, "producer": producer },
            "input": { "name": graph.node(graph.input()).name, "shape": model.input_shape() },
            "output": { "layer": output.display_name(), "shape": output.shape, "op": output.op.kind().name() },
            "explained": { "layer": explained.display_name(), "shape": explained.shape },
            "composite": self.composite.map(Composite::name),
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
