//! The names that users know layers by, recovered from what exporters leave of them.
//!
//! Three traces, tried in this order until one gives a name that no other node has: the scope in the node's name
//! (PyTorch's TorchScript exporter: `/layer1/layer1.0/conv1/Conv` is `layer1.0.conv1`), the scopes in the node's
//! metadata (its newer exporter), and the names of the node's weights (`features.40.weight` is `features.40`). For
//! affine ops the weights go before the metadata: folding a batch normalisation moves its scope to the convolution.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Traces of more bytes are passed over: no framework makes such names, and sizes of a file are not to be trusted.
const LONGEST_TRACE: usize = 1 << 12;

/// A layer's name in the framework that the model came from, such as `layer1.0.conv1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerName(String);

impl LayerName {
    /// The name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of a node that may tell its layer.
#[derive(Debug, Default)]
pub(crate) struct Traces<'a> {
    /// The ONNX node's name.
    pub(crate) node_name: &'a str,
    /// What it does, for sums and concatenations of activations: they are no modules in any framework, and are named
    /// `sum`, `concat` in the module whose forward function they stand in, with a count where there are several.
    pub(crate) function: Option<&'static str>,
    /// The node's `pkg.torch.onnx.name_scopes` metadata.
    pub(crate) scopes: Option<&'a str>,
    /// The name of its first initializer: the weight.
    pub(crate) parameter: Option<&'a str>,
    /// Whether the weights tell more than the scopes.
    pub(crate) affine: bool,
}

/// The layer names of each node: its own, and, where an exporter folded a normalisation into it, the name of that. Empty
/// where no trace gives one of its own.
pub(crate) fn recover(nodes: &[Traces<'_>]) -> Vec<Vec<LayerName>> {
    let candidates = candidates(nodes);
    let mut claims: BTreeMap<&str, usize> = BTreeMap::new();
    for names in &candidates {
        let mut distinct: Vec<&str> = names.iter().map(String::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        for name in distinct {
            *claims.entry(name).or_default() += 1;
        }
    }
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let chosen: Vec<Option<&String>> = candidates
        .iter()
        .map(|names| {
            let unique = names.iter().find(|name| claims.get(name.as_str()) == Some(&1));
            taken.extend(unique.map(String::as_str));
            unique
        })
        .collect();
    // Several nodes of one module (a decomposed activation, a shared weight): the last of them is the module's output.
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, names) in candidates.iter().enumerate() {
        if let (None, Some(name)) = (chosen[index], names.first()) {
            last.insert(name, index);
        }
    }
    let of = |(index, names): (usize, &Vec<String>)| {
        let own = chosen[index].or_else(|| {
            names.first().filter(|name| last.get(name.as_str()) == Some(&index) && !taken.contains(name.as_str()))
        });
        let Some(own) = own else { return Vec::new() };
        let folded = names.iter().filter(|name| *name != own && claims.get(name.as_str()) == Some(&1));
        let folded = folded.take(usize::from(nodes[index].affine));
        std::iter::once(own).chain(folded).map(|name| LayerName(name.clone())).collect()
    };
    candidates.iter().enumerate().map(of).collect()
}

/// The names that the traces of each node suggest, best first, without those that cannot be.
fn candidates(nodes: &[Traces<'_>]) -> Vec<Vec<String>> {
    let mut functions: BTreeMap<String, usize> = BTreeMap::new();
    let mut all: Vec<Vec<String>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        all.push(node.candidates(&mut functions));
    }
    // A module's output is computed last. What its forward function does before a layer inside it is not its output.
    // Only prefixes that are candidates are kept: those of a long name take the square of its length.
    let known: BTreeSet<String> = all.iter().flatten().cloned().collect();
    let mut inner: BTreeSet<&str> = BTreeSet::new();
    for names in all.iter_mut().rev() {
        names.retain(|name| !inner.contains(name.as_str()));
        for name in names.iter() {
            inner.extend(name.match_indices('.').filter_map(|(dot, _)| known.get(&name[..dot])).map(String::as_str));
        }
    }
    all
}

impl Traces<'_> {
    /// The names that the traces suggest, best first. `functions` counts the functions of each module so far.
    fn candidates(&self, functions: &mut BTreeMap<String, usize>) -> Vec<String> {
        let short = |trace: &&str| trace.len() <= LONGEST_TRACE;
        let scope = Some(self.node_name).filter(short).and_then(|name| self.scope_of_name(name));
        let metadata = self.scopes.filter(short).and_then(|scopes| self.scope_of_metadata(scopes, functions));
        let weight = self.parameter.filter(short).and_then(module_of_parameter);
        let ordered = if self.affine { [scope, weight, metadata] } else { [scope, metadata, weight] };
        ordered.into_iter().flatten().collect()
    }

    /// `/layer1/layer1.0/conv1/Conv` → `layer1.0.conv1`: a component that repeats the one before it and goes on
    /// (`layer1`, `layer1.0`) is the child of a sequence under its full name. An op that stands directly in the
    /// forward function of a module with layers of its own has no module, and is named for what it does.
    fn scope_of_name(&self, name: &str) -> Option<String> {
        let path = name.strip_prefix('/')?;
        let (scope, last) = path.rsplit_once('/').unwrap_or(("", path));
        let mut modules: Vec<&str> = Vec::new();
        for component in scope.split('/').filter(|component| !component.is_empty()) {
            let continues = |above: &&str| component.strip_prefix(*above).is_some_and(|rest| rest.starts_with('.'));
            if modules.last().is_some_and(continues) {
                modules.pop();
            }
            modules.push(component);
        }
        let module = modules.join(".");
        let function = self.function.map(|function| match last.rsplit_once('_') {
            Some((_, index)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{function}_{index}")
            }
            _ => function.to_owned(),
        });
        match (module.is_empty(), function) {
            (true, None) => None,
            (true, Some(function)) => Some(function),
            (false, None) => Some(module),
            (false, Some(function)) => Some(format!("{module}.{function}")),
        }
    }

    /// `['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'convolution']` → `layer1.0.conv1`; an op directly in a
    /// module's forward function is named for what it does. The last scope is the call, which the exporter counts over
    /// the whole model: here it is counted inside its module.
    fn scope_of_metadata(&self, scopes: &str, functions: &mut BTreeMap<String, usize>) -> Option<String> {
        let names: Vec<&str> = scopes
            .trim_matches(|character| character == '[' || character == ']')
            .split(',')
            .map(|name| name.trim().trim_matches(|character| character == '\'' || character == '"'))
            .collect();
        let (_, modules) = names.split_last()?;
        // What the exporter added itself stands in no module.
        let module = modules.last().copied().filter(|module| !module.starts_with("_empty_nn_module_stack"))?;
        let Some(function) = self.function else {
            return (!module.is_empty()).then(|| module.to_owned());
        };
        let name = if module.is_empty() { function.to_owned() } else { format!("{module}.{function}") };
        let count = functions.entry(name.clone()).or_default();
        *count += 1;
        Some(if *count == 1 { name } else { format!("{name}_{}", *count - 1) })
    }
}

/// `features.40.weight` → `features.40`; names that exporters invent (`onnx::Conv_193`) tell nothing.
fn module_of_parameter(name: &str) -> Option<String> {
    let (module, parameter) = name.rsplit_once('.')?;
    let known = ["weight", "bias", "running_mean", "running_var", "gamma", "beta", "kernel"];
    (known.contains(&parameter) && !module.is_empty() && !module.contains("::")).then(|| module.to_owned())
}
