//! The names that users know layers by, recovered from what exporters leave of them.
//!
//! Three traces, tried in this order until one gives a name that no other node has: the scope in the node's name
//! (PyTorch's TorchScript exporter: `/layer1/layer1.0/conv1/Conv` is `layer1.0.conv1`), the scopes in the node's
//! metadata (its newer exporter), and the names of the node's weights (`features.40.weight` is `features.40`). For
//! affine ops the weights go before the metadata: folding a batch normalisation moves its scope to the convolution.

use std::collections::BTreeMap;
use std::fmt;

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
    /// The ONNX op type.
    pub(crate) op_type: &'a str,
    /// The node's `pkg.torch.onnx.name_scopes` metadata.
    pub(crate) scopes: Option<&'a str>,
    /// The names of its initializers, the weight first.
    pub(crate) parameters: Vec<&'a str>,
    /// Whether the weights tell more than the scopes.
    pub(crate) affine: bool,
}

/// The layer name of each node; `None` where no trace gives one of its own.
pub(crate) fn recover(nodes: &[Traces<'_>]) -> Vec<Option<LayerName>> {
    let candidates: Vec<Vec<String>> = nodes.iter().map(Traces::candidates).collect();
    let mut claims: BTreeMap<&str, usize> = BTreeMap::new();
    for names in &candidates {
        let mut distinct: Vec<&str> = names.iter().map(String::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        for name in distinct {
            *claims.entry(name).or_default() += 1;
        }
    }
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let chosen: Vec<Option<&String>> = candidates
        .iter()
        .map(|names| {
            let unique = names.iter().find(|name| claims.get(name.as_str()) == Some(&1));
            if let Some(name) = unique {
                *taken.entry(name).or_default() += 1;
            }
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
        let name = chosen[index].or_else(|| {
            names.first().filter(|name| last.get(name.as_str()) == Some(&index) && !taken.contains_key(name.as_str()))
        });
        name.map(|name| LayerName(name.clone()))
    };
    candidates.iter().enumerate().map(of).collect()
}

impl Traces<'_> {
    /// The names that the traces suggest, best first.
    fn candidates(&self) -> Vec<String> {
        let scope = self.scope_of_name();
        let metadata = self.scopes.and_then(|scopes| self.scope_of_metadata(scopes));
        let weight = self.parameters.first().and_then(|name| module_of_parameter(name));
        let ordered = if self.affine { [scope, weight, metadata] } else { [scope, metadata, weight] };
        ordered.into_iter().flatten().collect()
    }

    /// `/layer1/layer1.0/conv1/Conv` → `layer1.0.conv1`: a component that repeats the one before it and goes on
    /// (`layer1`, `layer1.0`) is the child of a sequence under its full name. An op that stands directly in the
    /// forward function of a module with layers of its own has no module, and is named for what it does.
    fn scope_of_name(&self) -> Option<String> {
        let path = self.node_name.strip_prefix('/')?;
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
        let function = functional_name(self.op_type, last);
        match (module.is_empty(), function) {
            (true, None) => None,
            (true, Some(function)) => Some(function),
            (false, None) => Some(module),
            (false, Some(function)) => Some(format!("{module}.{function}")),
        }
    }

    /// `['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'convolution']` → `layer1.0.conv1`; an op directly in a
    /// module's forward function is named for what it does.
    fn scope_of_metadata(&self, scopes: &str) -> Option<String> {
        let names: Vec<&str> = scopes
            .trim_matches(|character| character == '[' || character == ']')
            .split(',')
            .map(|name| name.trim().trim_matches(|character| character == '\'' || character == '"'))
            .collect();
        let (call, modules) = names.split_last()?;
        let module = modules.last().copied().unwrap_or_default();
        let index = call.rsplit_once('_').filter(|(_, digits)| digits.parse::<u32>().is_ok()).map(|(_, digits)| digits);
        let function = functional_name(self.op_type, "").map(|function| match index {
            Some(index) => format!("{function}_{index}"),
            None => function,
        });
        match (module.is_empty(), function) {
            (true, function) => function,
            (false, None) => Some(module.to_owned()),
            (false, Some(function)) => Some(format!("{module}.{function}")),
        }
    }
}

/// Sums and concatenations are no modules in any framework: they are named `sum`, `concat`, with the exporter's count
/// where there are several.
fn functional_name(op_type: &str, node: &str) -> Option<String> {
    let function = match op_type {
        "Add" | "Sum" => "sum",
        "Concat" => "concat",
        _ => return None,
    };
    match node.rsplit_once('_') {
        Some((_, index)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("{function}_{index}"))
        }
        _ => Some(function.to_owned()),
    }
}

/// `features.40.weight` → `features.40`; names that exporters invent (`onnx::Conv_193`) tell nothing.
fn module_of_parameter(name: &str) -> Option<String> {
    let (module, parameter) = name.rsplit_once('.')?;
    let known = ["weight", "bias", "running_mean", "running_var", "gamma", "beta", "kernel"];
    (known.contains(&parameter) && !module.is_empty() && !module.contains("::")).then(|| module.to_owned())
}
