//! The text form of rules: `rule`, and the parameters of that rule.

use std::sync::Arc;

use super::fields::{Fields, expected, unknown};
use crate::error::RequestError;
use crate::rule::{
    AlphaBeta, BetaSmooth, DeconvNet, Epsilon, Flat, Gamma, Gradient, GuidedBackprop, Halves, Norm, Pass, Rule,
    SignalTakesAll, WSquare, ZBox, ZPlus,
};

const RULES: [&str; 15] = [
    "epsilon",
    "z-plus",
    "alpha-beta",
    "gamma",
    "z-box",
    "w-square",
    "flat",
    "norm",
    "halves",
    "signal-takes-all",
    "pass",
    "gradient",
    "guided-backprop",
    "deconvnet",
    "beta-smooth",
];

/// Takes the keys of a rule from those of an entry.
pub(super) fn rule(fields: &Fields) -> Result<Arc<dyn Rule>, RequestError> {
    let name = fields.string("rule")?.ok_or_else(|| expected("rule", "given in every entry, as in rule = \"flat\""))?;
    let zero_bias = || fields.flag("zero_bias");
    Ok(match name.as_str() {
        "epsilon" => Arc::new(Epsilon { stabilizer: fields.stabilizer()?, zero_bias: zero_bias()? }),
        "z-plus" => Arc::new(ZPlus { stabilizer: fields.stabilizer()?, zero_bias: zero_bias()? }),
        "alpha-beta" => {
            let (alpha, beta) = (fields.number("alpha", 2.0)?, fields.number("beta", 1.0)?);
            let wrong = || expected("alpha and beta", "not negative, with alpha − beta = 1");
            let mut rule = AlphaBeta::new(alpha, beta).ok_or_else(wrong)?;
            (rule.stabilizer, rule.zero_bias) = (fields.stabilizer()?, zero_bias()?);
            Arc::new(rule)
        }
        "gamma" => {
            let gamma = fields.number("gamma", 0.25)?;
            if gamma < 0.0 {
                return Err(expected("gamma", "a number of at least 0"));
            }
            Arc::new(Gamma { gamma, stabilizer: fields.stabilizer()?, zero_bias: zero_bias()? })
        }
        "z-box" => {
            let (low, high) = (fields.bound("low")?, fields.bound("high")?);
            if !low.encloses_zero_with(&high) {
                return Err(expected("low and high", "low ≤ 0 ≤ high, not both 0, in every channel"));
            }
            Arc::new(ZBox { low, high, stabilizer: fields.stabilizer()?, zero_bias: zero_bias()? })
        }
        "w-square" => Arc::new(WSquare { stabilizer: fields.stabilizer()?, zero_bias: zero_bias()? }),
        "flat" => {
            // It has no bias in any case.
            let _ = zero_bias()?;
            Arc::new(Flat { stabilizer: fields.stabilizer()? })
        }
        "norm" => Arc::new(Norm { stabilizer: fields.stabilizer()? }),
        "halves" => Arc::new(Halves { stabilizer: fields.stabilizer()? }),
        "signal-takes-all" => {
            let signal = fields.count("signal")?.filter(|&signal| signal < 2);
            Arc::new(SignalTakesAll { signal: signal.ok_or_else(|| expected("signal", "0 or 1: which factor it is"))? })
        }
        "pass" => Arc::new(Pass),
        "gradient" => Arc::new(Gradient),
        "guided-backprop" => Arc::new(GuidedBackprop),
        "deconvnet" => Arc::new(DeconvNet),
        "beta-smooth" => Arc::new(BetaSmooth { beta: fields.positive("beta", 10.0)? }),
        name => return Err(unknown("rule", name, RULES.into_iter())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_read_by_its_name() {
        for name in RULES {
            let parameters = match name {
                "z-box" => "low = -1\nhigh = 1",
                "signal-takes-all" => "signal = 1",
                _ => "",
            };
            let table = toml::from_str(&format!("rule = \"{name}\"\n{parameters}")).unwrap();
            let fields = Fields::new(table);
            let described = rule(&fields).unwrap().describe().to_lowercase();
            assert!(described.starts_with(&name.replace('-', "")), "{name}: {described}");
            assert!(fields.is_empty(), "{name}");
        }
    }
}
