//! The text form of composites: TOML, an entry a table, first match first.

use serde::Deserialize;

use crate::composite::{Composite, Selector};
use crate::error::{RequestError, RequestErrorKind, nearest};
use crate::op::{OpClass, OpKind};
use crate::rule::{
    AlphaBeta, BetaSmooth, Bound, DeconvNet, Epsilon, Flat, Gamma, Gradient, GuidedBackprop, Norm, Pass, Rule,
    Stabilizer, WSquare, ZBox, ZPlus,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default = "unnamed")]
    name: String,
    extends: Option<String>,
    #[serde(default)]
    rules: Vec<Entry>,
}

/// The name of a composite whose text gives none.
fn unnamed() -> String {
    "custom".to_owned()
}

/// What is in none of the named fields is a parameter of the rule.
#[derive(Deserialize)]
struct Entry {
    layer: Option<String>,
    kind: Option<String>,
    class: Option<String>,
    #[serde(default)]
    first: bool,
    rule: String,
    #[serde(flatten)]
    parameters: toml::Table,
}

impl Composite {
    /// Reads the text form, as the [module](crate::composite) shows it.
    ///
    /// # Errors
    /// When the text is no TOML, an entry is incomplete, or a name or parameter is unknown.
    pub fn from_toml(text: &str) -> Result<Self, RequestError> {
        let text: Text = toml::from_str(text).map_err(|cause| RequestErrorKind::Text { message: cause.to_string() })?;
        let mut composite = Self::new(text.name);
        for entry in &text.rules {
            composite.entries.push((entry.selector()?, entry.rule()?.into()));
        }
        match text.extends {
            Some(preset) => Ok(composite.followed_by(preset.parse()?)),
            None => Ok(composite),
        }
    }
}

impl Entry {
    fn selector(&self) -> Result<Selector, RequestError> {
        let mut parts = Vec::new();
        if let Some(pattern) = &self.layer {
            parts.push(Selector::layer(pattern.as_str()));
        }
        if let Some(name) = &self.kind {
            parts.push(Selector::Kind(named("op kind", name, OpKind::ALL, OpKind::name)?));
        }
        if let Some(name) = &self.class {
            parts.push(Selector::Class(named("op class", name, OpClass::ALL, OpClass::name)?));
        }
        let selector = match parts.len() {
            0 => Selector::Any,
            1 => parts.swap_remove(0),
            _ => Selector::All(parts),
        };
        Ok(if self.first { Selector::First(Box::new(selector)) } else { selector })
    }

    fn rule(&self) -> Result<Box<dyn Rule>, RequestError> {
        let mut parameters = Parameters { table: self.parameters.clone() };
        let rule: Box<dyn Rule> = match self.rule.as_str() {
            "epsilon" => Box::new(Epsilon { stabilizer: parameters.stabilizer()?, zero_bias: parameters.zero_bias()? }),
            "z-plus" => Box::new(ZPlus { stabilizer: parameters.stabilizer()?, zero_bias: parameters.zero_bias()? }),
            "alpha-beta" => {
                let (alpha, beta) = (parameters.number("alpha", 2.0)?, parameters.number("beta", 1.0)?);
                let expected = "not negative, with alpha − beta = 1";
                let mut rule = AlphaBeta::new(alpha, beta)
                    .ok_or(RequestErrorKind::Parameter { name: "alpha and beta", expected })?;
                (rule.stabilizer, rule.zero_bias) = (parameters.stabilizer()?, parameters.zero_bias()?);
                Box::new(rule)
            }
            "gamma" => {
                let gamma = parameters.number("gamma", 0.25)?;
                if gamma < 0.0 {
                    return Err(
                        RequestErrorKind::Parameter { name: "gamma", expected: "a number of at least 0" }.into()
                    );
                }
                Box::new(Gamma { gamma, stabilizer: parameters.stabilizer()?, zero_bias: parameters.zero_bias()? })
            }
            "z-box" => {
                let (low, high) = (parameters.bound("low")?, parameters.bound("high")?);
                let (stabilizer, zero_bias) = (parameters.stabilizer()?, parameters.zero_bias()?);
                Box::new(ZBox { low, high, stabilizer, zero_bias })
            }
            "w-square" => {
                Box::new(WSquare { stabilizer: parameters.stabilizer()?, zero_bias: parameters.zero_bias()? })
            }
            "flat" => Box::new(Flat { stabilizer: parameters.stabilizer()? }),
            "norm" => Box::new(Norm { stabilizer: parameters.stabilizer()? }),
            "pass" => Box::new(Pass),
            "gradient" => Box::new(Gradient),
            "guided-backprop" => Box::new(GuidedBackprop),
            "deconvnet" => Box::new(DeconvNet),
            "beta-smooth" => Box::new(BetaSmooth { beta: parameters.positive("beta", 10.0)? }),
            name => return Err(unknown("rule", name, RULES.into_iter())),
        };
        match parameters.table.keys().next() {
            None => Ok(rule),
            Some(name) => Err(unknown("parameter of this rule or selector", name, ENTRY_KEYS.into_iter())),
        }
    }
}

const RULES: [&str; 13] = [
    "epsilon",
    "z-plus",
    "alpha-beta",
    "gamma",
    "z-box",
    "w-square",
    "flat",
    "norm",
    "pass",
    "gradient",
    "guided-backprop",
    "deconvnet",
    "beta-smooth",
];

const ENTRY_KEYS: [&str; 13] = [
    "layer",
    "kind",
    "class",
    "first",
    "epsilon",
    "clip",
    "norm_scale",
    "zero_bias",
    "alpha",
    "beta",
    "gamma",
    "low",
    "high",
];

/// The parameters of an entry that no reader has taken yet.
struct Parameters {
    table: toml::Table,
}

impl Parameters {
    fn number(&mut self, name: &'static str, default: f32) -> Result<f32, RequestError> {
        match self.table.remove(name) {
            None => Ok(default),
            Some(value) => number(&value).ok_or_else(|| expected(name, "a number")),
        }
    }

    fn positive(&mut self, name: &'static str, default: f32) -> Result<f32, RequestError> {
        let value = self.number(name, default)?;
        if value > 0.0 { Ok(value) } else { Err(expected(name, "a positive number")) }
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, RequestError> {
        match self.table.remove(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| expected(name, "true or false")),
        }
    }

    fn zero_bias(&mut self) -> Result<bool, RequestError> {
        self.flag("zero_bias")
    }

    fn stabilizer(&mut self) -> Result<Stabilizer, RequestError> {
        let epsilon = self.positive("epsilon", Stabilizer::default().epsilon)?;
        Ok(Stabilizer { epsilon, clip: self.flag("clip")?, norm_scale: self.flag("norm_scale")? })
    }

    /// A bound of the input: one number, or one for each channel.
    fn bound(&mut self, name: &'static str) -> Result<Bound, RequestError> {
        let wrong = || expected(name, "a number, or a list of one for each channel");
        match self.table.remove(name).ok_or_else(wrong)? {
            toml::Value::Array(values) => {
                let values: Option<Vec<f32>> = values.iter().map(number).collect();
                values.map(Bound::Channels).ok_or_else(wrong)
            }
            value => number(&value).map(Bound::All).ok_or_else(wrong),
        }
    }
}

/// A finite number, written with or without a point.
fn number(value: &toml::Value) -> Option<f32> {
    let number = value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64))? as f32;
    number.is_finite().then_some(number)
}

fn expected(name: &'static str, expected: &'static str) -> RequestError {
    RequestErrorKind::Parameter { name, expected }.into()
}

/// The one of `all` that is called `name`.
fn named<T: Copy>(
    what: &'static str,
    name: &str,
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
) -> Result<T, RequestError> {
    all.iter()
        .copied()
        .find(|known| name_of(*known) == name)
        .ok_or_else(|| unknown(what, name, all.iter().map(|known| name_of(*known))))
}

fn unknown(what: &'static str, name: &str, names: impl Iterator<Item = &'static str>) -> RequestError {
    RequestErrorKind::UnknownName { what, name: name.to_owned(), nearest: nearest(name, names, 3) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_order_before_the_preset() {
        let text = r#"
            name = "mine"
            extends = "epsilon-plus"
            [[rules]]
            layer = "features.*"
            kind = "convolution"
            first = true
            rule = "z-box"
            low = [-1, -2.5]
            high = 3
            [[rules]]
            class = "linear"
            rule = "alpha-beta"
            alpha = 3
            beta = 2
            zero_bias = true
            epsilon = 1e-3
            clip = true
        "#;
        let composite = Composite::from_toml(text).unwrap();
        let expected = "first ((layer features.*) and (kind convolution)) -> ZBox(low=[-1.0, -2.5],high=3,epsilon=1e-6)\n\
                        class linear -> AlphaBeta(alpha=3,beta=2,epsilon=1e-3,clip,zero_bias)\n";
        let preset: Composite = "epsilon-plus".parse().unwrap();
        assert_eq!(composite.describe(), format!("{expected}{}", preset.describe()));
        assert_eq!(composite.name(), "mine");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let entry = |entry: &str| format!("name = \"x\"\n[[rules]]\n{entry}");
        let cases = [
            ("name = ".to_owned(), "TOML"),
            (entry("rule = \"epsilom\""), "no rule is called \"epsilom\"; the nearest are epsilon"),
            (entry("rule = \"pass\"\nkind = \"conv\""), "no op kind is called \"conv\""),
            (entry("rule = \"pass\"\nclass = \"linea\""), "nearest are linear"),
            (entry("rule = \"pass\"\nepsilon = 1.0"), "no parameter of this rule or selector is called \"epsilon\""),
            (entry("rule = \"epsilon\"\nepsilon = 0"), "epsilon must be a positive number"),
            (entry("rule = \"epsilon\"\nepsilon = inf"), "epsilon must be a number"),
            (entry("rule = \"epsilon\"\nzero_bias = 1"), "zero_bias must be true or false"),
            (entry("rule = \"alpha-beta\"\nalpha = 2\nbeta = 2"), "alpha and beta must be"),
            (entry("rule = \"z-box\"\nlow = -1"), "high must be a number, or a list"),
            ("name = \"x\"\nextends = \"epsilon-minus\"".to_owned(), "no composite is called \"epsilon-minus\""),
            ("name = \"x\"\nrule = []".to_owned(), "unknown field"),
        ];
        for (text, expected) in cases {
            let error = Composite::from_toml(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
