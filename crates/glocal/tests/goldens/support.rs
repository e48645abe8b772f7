//! Reads the oracle's files and turns its descriptions into ours.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use glocal::canonizer::{canonize, recognize_activations};
use glocal::composite::{Composite, Selector};
use glocal::model::{Graph, ImportOptions, Model, Node};
use glocal::op::batch_normalization::BatchNormalization;
use glocal::op::{OpClass, OpKind};
use glocal::rule::{AlphaBeta, Bound, Epsilon, Flat, Gamma, Gradient, Norm, Pass, Stabilizer, WSquare, ZBox, ZPlus};
use glocal_compute::{CpuBackend, Tensor};
use safetensors::SafeTensors;
use serde_json::Value;

/// All models of the oracle.
pub const MODELS: [&str; 10] = [
    "mlp",
    "vgg_tiny",
    "resnet_tiny",
    "inception_tiny",
    "mobile_tiny",
    "conv1d_tiny",
    "conv3d_tiny",
    "conv_zoo",
    "unet_tiny",
    "parallel_linear",
];

/// One model of the oracle.
pub struct Oracle {
    pub name: String,
    pub model: Arc<Model>,
    /// The model with its batch normalisations merged.
    pub merged: Arc<Model>,
    /// `layers.json`
    pub layers: Value,
    pub inputs: Tensor,
    cases: Vec<Value>,
    files: BTreeMap<String, Vec<u8>>,
}

pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens").join(name)
}

pub fn load_model(path: &std::path::Path) -> Model {
    let onnx = glocal_onnx::Model::read(path).unwrap();
    Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Oracle {
    pub fn load(name: &str) -> Self {
        let folder = folder(name);
        let json =
            |file: &str| -> Value { serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap() };
        let mut files = BTreeMap::new();
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            if name.ends_with(".safetensors") {
                files.insert(name, std::fs::read(file.path()).unwrap());
            }
        }
        // The reference sees modules, never the ops that an exporter makes of one.
        let model = Arc::new(recognize_activations(&load_model(&folder.join("model.onnx"))).unwrap());
        let mut oracle = Self {
            name: name.to_owned(),
            merged: Arc::clone(&model),
            model,
            layers: json("layers.json"),
            inputs: Tensor::zeros([0]).unwrap(),
            cases: json("cases.json")["cases"].as_array().unwrap().clone(),
            files,
        };
        oracle.merged = Arc::new(oracle.as_the_reference_merges());
        let (shape, data) = oracle.tensor("inputs.safetensors", "x");
        oracle.inputs = Tensor::new(shape, data).unwrap();
        oracle
    }

    /// The merged model with the flaw that merging has in the reference library: the emptied batch normalisation stays
    /// with variance 1 and its ε, and divides by √(1 + ε) (item 1 of the oracle's README). Ours is exact.
    fn as_the_reference_merges(&self) -> Model {
        let onnx = glocal_onnx::Model::read(folder(&self.name).join("model.onnx")).unwrap();
        let merged = canonize(&self.model).unwrap();
        let mut residues = BTreeMap::new();
        for pair in self.layers["batch_norm"]["merged"].as_array().into_iter().flatten() {
            let layer = pair[1].as_str().unwrap();
            let name = self.layers["layers"][layer]["onnx_node"].as_str().unwrap();
            let node = onnx.graph.nodes.iter().find(|node| node.name == name).unwrap();
            let glocal_onnx::Attribute::Float(epsilon) = node.attributes["epsilon"] else { panic!("no epsilon") };
            residues.insert(merged.layer(&self.node_of(layer)).unwrap(), (layer, 1.0 / (1.0 + epsilon).sqrt()));
        }
        let input = merged.graph().node(merged.graph().input());
        let mut graph = Graph::new(&input.name, input.shape.clone());
        let mut moved = vec![graph.input()];
        for (id, node) in merged.graph().nodes().skip(1) {
            let mut node = node.clone();
            node.inputs = node.inputs.iter().map(|input| moved[input.index()]).collect();
            let (names, values, channels) = (node.layers.clone(), node.values.clone(), node.shape[0]);
            let residue = residues.get(&id);
            if let Some((layer, _)) = residue {
                node.layers.retain(|name| name.as_str() != *layer);
            }
            let mut last = graph.push(node.clone()).unwrap();
            if let Some((layer, factor)) = residue {
                let scale = Tensor::full([channels], *factor).unwrap();
                let op = BatchNormalization { scale, shift: Tensor::zeros([channels]).unwrap() };
                let layers = names.into_iter().filter(|name| name.as_str() == *layer).collect();
                let name = format!("{layer} emptied");
                let residue = Node { op: Arc::new(op), inputs: vec![last], name, layers, values, ..node };
                last = graph.push(residue).unwrap();
            }
            moved.push(last);
        }
        Model::new(graph, moved[merged.output().index()], Arc::new(CpuBackend::new())).unwrap()
    }

    pub fn cases<'a>(&'a self, suite: &'a str) -> impl Iterator<Item = &'a Value> {
        self.cases.iter().filter(move |case| case["suite"] == suite)
    }

    /// Shape and elements of a tensor of one of the model's files.
    pub fn tensor(&self, file: &str, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensors = SafeTensors::deserialize(&self.files[file]).unwrap();
        let tensor = tensors.tensor(name).unwrap_or_else(|error| panic!("{} {name}: {error}", self.name));
        let bytes = tensor.data();
        let data = match tensor.dtype() {
            safetensors::Dtype::F32 => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            safetensors::Dtype::I64 => {
                bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            safetensors::Dtype::I32 => {
                bytes.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            other => panic!("{other:?}"),
        };
        (tensor.shape().to_vec(), data)
    }

    /// A name by which our model knows a torch module: its own, or that of a node that computes the same value where
    /// the module left no trace in the ONNX file.
    pub fn node_of(&self, layer: &str) -> String {
        if self.model.layer(layer).is_ok() {
            return layer.to_owned();
        }
        self.layers["layers"][layer]["onnx_output"].as_str().unwrap_or(layer).to_owned()
    }

    pub fn merged_batch_norms(&self, case: &Value) -> usize {
        match case["canonizers"].as_array().map(Vec::as_slice) {
            Some([]) => 0,
            _ => self.layers["batch_norm"]["merged"].as_array().map_or(0, Vec::len),
        }
    }
}

/// `max|a − b| ≤ max|b| · (2e-5 + 10 · rel_err_f64.worst)`, plus 5e-6 a merged batch normalisation where the reference
/// keeps the merged one with its epsilon: the rule of the oracle's README.
pub fn tolerance(case: &Value, merged_batch_norms: usize) -> f32 {
    let worst = case["rel_err_f64"]["worst"].as_f64().unwrap_or(0.0);
    (2e-5 + 10.0 * worst + 5e-6 * merged_batch_norms as f64) as f32
}

/// What is wrong with `ours`, if it is not within `tolerance` of `golden`, relative to its largest element.
pub fn differ(ours: &[f32], golden: &[f32], tolerance: f32) -> Option<String> {
    if ours.len() != golden.len() {
        return Some(format!("{} elements instead of {}", ours.len(), golden.len()));
    }
    let scale = golden.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    let worst = ours.iter().zip(golden).fold(0.0f32, |max, (a, b)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f32::INFINITY } else { max.max(difference) }
    });
    (worst > scale * tolerance)
        .then(|| format!("off by {:.2e} of the maximum {scale:.3e}, {tolerance:.2e} allowed", worst / scale))
}

/// Some rows of a batch.
pub fn rows(batch: &Tensor, rows: &[usize]) -> Tensor {
    let data = rows.iter().flat_map(|&row| batch.row(row).to_vec()).collect();
    Tensor::new([&[rows.len()], batch.sample_shape()].concat(), data).unwrap()
}

/// The oracle's description of a composite as ours; what is missing otherwise.
pub fn composite(spec: &Value, layers: &Value) -> Result<Composite, String> {
    let all_gradient = |composite: Composite| composite.with(Selector::Any, Gradient);
    if spec.is_null() {
        return Ok(all_gradient(Composite::new("gradient")));
    }
    match spec["kind"].as_str().unwrap() {
        "builtin" => builtin(spec),
        "layer_map" => Ok(all_gradient(layer_map(Composite::new("layers"), &spec["layer_map"], false)?)),
        "special_first" => {
            let composite = layer_map(Composite::new("first"), &spec["first_map"], true)?;
            Ok(all_gradient(layer_map(composite, &spec["layer_map"], false)?))
        }
        "name_map" => Ok(all_gradient(name_map(Composite::new("names"), &spec["name_map"], layers)?)),
        "mixed" => {
            let mut composite = Composite::new("mixed");
            for part in spec["composites"].as_array().unwrap() {
                composite = match part["kind"].as_str().unwrap() {
                    "name_map" => name_map(composite, &part["name_map"], layers)?,
                    "layer_map" => layer_map(composite, &part["layer_map"], false)?,
                    "special_first" => {
                        layer_map(layer_map(composite, &part["first_map"], true)?, &part["layer_map"], false)?
                    }
                    "builtin" => composite.followed_by(builtin(part)?),
                    other => return Err(format!("mixed with {other}")),
                };
            }
            Ok(all_gradient(composite))
        }
        other => Err(format!("composite {other}")),
    }
}

fn builtin(spec: &Value) -> Result<Composite, String> {
    let class = spec["class"].as_str().unwrap();
    let name = match class {
        "EpsilonPlus" => "epsilon-plus",
        "EpsilonPlusFlat" => "epsilon-plus-flat",
        "EpsilonAlpha2Beta1" => "epsilon-alpha2-beta1",
        "EpsilonAlpha2Beta1Flat" => "epsilon-alpha2-beta1-flat",
        "EpsilonGammaBox" => "epsilon-gamma-box",
        "ExcitationBackprop" => "excitation-backprop",
        "GuidedBackprop" => "guided-backprop",
        "DeconvNet" => "deconvnet",
        "BetaSmooth" => "beta-smooth",
        _ => return Err(class.to_owned()),
    };
    let mut settings = Vec::new();
    for (key, value) in spec["params"].as_object().unwrap() {
        match (key.as_str(), value) {
            ("zero_params", Value::String(which)) if which == "bias" => settings.push("zero_bias=true".to_owned()),
            ("zero_params", Value::Array(which)) if which == &[Value::from("bias")] => {
                settings.push("zero_bias=true".to_owned());
            }
            ("beta_smooth", Value::Number(number)) => settings.push(format!("beta={number}")),
            ("epsilon" | "stabilizer" | "gamma" | "low" | "high", Value::Number(number)) => {
                settings.push(format!("{key}={number}"));
            }
            _ => return Err(format!("{class} with {key}={value}")),
        }
    }
    format!("{name}:{}", settings.join(",")).parse().map_err(|error| format!("{class}: {error}"))
}

fn layer_map(mut composite: Composite, map: &Value, first: bool) -> Result<Composite, String> {
    for entry in map.as_array().unwrap() {
        for kind in entry[0].as_array().unwrap() {
            let mut selectors: Vec<Selector> = match kind.as_str().unwrap() {
                "types.Activation" => vec![Selector::Class(OpClass::Activation)],
                "types.AvgPool" => vec![Selector::Class(OpClass::AveragePool)],
                "types.BatchNorm" => vec![Selector::Class(OpClass::Normalization)],
                "types.Convolution" => vec![Selector::Class(OpClass::Convolution)],
                "types.Linear" => vec![Selector::Class(OpClass::Linear)],
                "nn.Linear" => vec![Selector::Kind(OpKind::Dense)],
                "nn.ReLU" => vec![Selector::Kind(OpKind::Relu)],
                "layer.Sum" => vec![Selector::Kind(OpKind::Sum)],
                other => return Err(format!("type {other}")),
            };
            for selector in selectors.drain(..) {
                let selector = if first { Selector::First(Box::new(selector)) } else { selector };
                composite = with_rule(composite, selector, &entry[1])?;
            }
        }
    }
    Ok(composite)
}

fn name_map(mut composite: Composite, map: &Value, layers: &Value) -> Result<Composite, String> {
    for entry in map.as_array().unwrap() {
        for name in entry[0].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let node = layers["layers"][name]["onnx_node"].as_str().unwrap_or(name);
            composite = with_rule(composite, Selector::layer(name), &entry[1])?;
            composite = with_rule(composite, Selector::layer(node), &entry[1])?;
        }
    }
    Ok(composite)
}

fn with_rule(composite: Composite, selector: Selector, spec: &Value) -> Result<Composite, String> {
    let name = spec["rule"].as_str().unwrap();
    let number = |key: &str, default: f32| spec[key].as_f64().map_or(default, |value| value as f32);
    let stabilizer = |key: &str| -> Result<Stabilizer, String> {
        match &spec[key] {
            Value::Null => Ok(Stabilizer::default()),
            Value::Number(number) => Ok((number.as_f64().unwrap() as f32).into()),
            settings => {
                let settings = &settings["stabilizer"];
                let epsilon = settings["epsilon"].as_f64().unwrap_or(1e-6) as f32;
                Ok(Stabilizer { epsilon, clip: settings["clip"] == true, norm_scale: settings["norm_scale"] == true })
            }
        }
    };
    let zero_bias = match &spec["zero_params"] {
        Value::Null => false,
        Value::String(which) if which == "bias" => true,
        Value::Array(which) if which == &[Value::from("bias")] => true,
        other => return Err(format!("zero_params {other}")),
    };
    let of_denominator = stabilizer("stabilizer")?;
    Ok(match name {
        "Epsilon" => composite.with(selector, Epsilon { stabilizer: stabilizer("epsilon")?, zero_bias }),
        "ZPlus" => composite.with(selector, ZPlus { stabilizer: of_denominator, zero_bias }),
        "AlphaBeta" => {
            let mut rule = AlphaBeta::new(number("alpha", 2.0), number("beta", 1.0)).ok_or("alpha, beta")?;
            (rule.stabilizer, rule.zero_bias) = (of_denominator, zero_bias);
            composite.with(selector, rule)
        }
        "Gamma" => {
            composite.with(selector, Gamma { gamma: number("gamma", 0.25), stabilizer: of_denominator, zero_bias })
        }
        "ZBox" => {
            let bound = |value: &Value| match value.as_f64() {
                Some(value) => Bound::All(value as f32),
                None => {
                    let channels = value[0].as_array().unwrap();
                    let of = |channel: &Value| {
                        let mut value = channel;
                        while value.is_array() {
                            value = &value[0];
                        }
                        value.as_f64().unwrap() as f32
                    };
                    Bound::Channels(channels.iter().map(of).collect())
                }
            };
            let mut rule = ZBox::new(bound(&spec["low"]), bound(&spec["high"]));
            (rule.stabilizer, rule.zero_bias) = (of_denominator, zero_bias);
            composite.with(selector, rule)
        }
        "WSquare" => composite.with(selector, WSquare { stabilizer: of_denominator, zero_bias }),
        "Flat" => composite.with(selector, Flat { stabilizer: of_denominator }),
        "Norm" => composite.with(selector, Norm { stabilizer: of_denominator }),
        "Pass" => composite.with(selector, Pass),
        other => return Err(format!("rule {other}")),
    })
}
