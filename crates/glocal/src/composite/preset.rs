//! The composites that the field knows by name.

use std::str::FromStr;

use crate::composite::{Composite, Selector};
use crate::error::{RequestError, RequestErrorKind, nearest};
use crate::op::{OpClass, OpKind};
use crate::rule::{
    AlphaBeta, BetaSmooth, Bound, DeconvNet, Epsilon, Flat, Gamma, Gradient, GuidedBackprop, Norm, Pass, Stabilizer,
    ZBox, ZPlus,
};

/// A composite that the field knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// ZPlus for convolutions, Epsilon for dense layers. Source of this and the next three: Kohlbrenner et al. 2020, arXiv
    /// 1910.09840.
    EpsilonPlus,
    /// The same, with Flat for the first convolution or dense layer.
    EpsilonPlusFlat,
    /// AlphaBeta(2, 1) for convolutions, Epsilon for dense layers.
    EpsilonAlpha2Beta1,
    /// The same, with Flat for the first convolution or dense layer.
    EpsilonAlpha2Beta1Flat,
    /// Gamma for convolutions, Epsilon for dense layers, ZBox for the first convolution. Source: Montavon et al. 2019, doi
    /// 10.1007/978-3-030-28954-6_10.
    EpsilonGammaBox,
    /// ZPlus for convolutions and dense layers, the gradient elsewhere. Source: Zhang et al. 2018, arXiv 1608.00507.
    ExcitationBackprop,
    /// The gradient, with GuidedBackprop for ReLUs. Source: Springenberg et al. 2015, arXiv 1412.6806.
    GuidedBackprop,
    /// The gradient, with DeconvNet for ReLUs. Source: Zeiler and Fergus 2014, doi 10.1007/978-3-319-10590-1_53.
    DeconvNet,
    /// The gradient, with BetaSmooth for ReLUs. Source: Dombrowski et al. 2019, arXiv 1906.07983.
    BetaSmooth,
    /// The gradient of the model itself. Source: Simonyan et al. 2014, arXiv 1312.6034.
    Gradient,
}

/// The numbers of a preset.
#[derive(Debug, Clone, PartialEq)]
pub struct PresetParameters {
    /// ε of the Epsilon rule of dense layers. Default: 1e-6.
    pub epsilon: f32,
    /// ε of all other denominators. Default: 1e-6.
    pub stabilizer: f32,
    /// Whether biases are left out of the denominators. Default: false.
    pub zero_bias: bool,
    /// γ of the Gamma rule. Default: 0.25.
    pub gamma: f32,
    /// The smallest input. Default: none; the box presets need it.
    pub low: Option<f32>,
    /// The largest input. Default: none; the box presets need it.
    pub high: Option<f32>,
    /// β of the BetaSmooth rule. Default: 10.
    pub beta: f32,
}

impl Default for PresetParameters {
    fn default() -> Self {
        Self { epsilon: 1e-6, stabilizer: 1e-6, zero_bias: false, gamma: 0.25, low: None, high: None, beta: 10.0 }
    }
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 10] = [
        Self::EpsilonPlus,
        Self::EpsilonPlusFlat,
        Self::EpsilonAlpha2Beta1,
        Self::EpsilonAlpha2Beta1Flat,
        Self::EpsilonGammaBox,
        Self::ExcitationBackprop,
        Self::GuidedBackprop,
        Self::DeconvNet,
        Self::BetaSmooth,
        Self::Gradient,
    ];

    /// The preset's name in kebab-case.
    pub fn name(self) -> &'static str {
        match self {
            Self::EpsilonPlus => "epsilon-plus",
            Self::EpsilonPlusFlat => "epsilon-plus-flat",
            Self::EpsilonAlpha2Beta1 => "epsilon-alpha2-beta1",
            Self::EpsilonAlpha2Beta1Flat => "epsilon-alpha2-beta1-flat",
            Self::EpsilonGammaBox => "epsilon-gamma-box",
            Self::ExcitationBackprop => "excitation-backprop",
            Self::GuidedBackprop => "guided-backprop",
            Self::DeconvNet => "deconvnet",
            Self::BetaSmooth => "beta-smooth",
            Self::Gradient => "gradient",
        }
    }

    /// The composite with the given numbers.
    ///
    /// # Errors
    /// When a number is out of its domain, or the box has no bounds.
    pub fn composite(self, parameters: &PresetParameters) -> Result<Composite, RequestError> {
        let mut composite = self.table(parameters)?;
        composite.entries.iter_mut().for_each(|entry| entry.of_preset = true);
        Ok(composite)
    }

    /// The table of selectors and rules.
    fn table(self, parameters: &PresetParameters) -> Result<Composite, RequestError> {
        let PresetParameters { epsilon, stabilizer, zero_bias, gamma, low, high, beta } = *parameters;
        let positive = |value: f32| value.is_finite() && value > 0.0;
        if !positive(epsilon) || !positive(stabilizer) {
            return Err(RequestErrorKind::Parameter { name: "epsilon", expected: "a positive number" }.into());
        }
        if !(gamma.is_finite() && gamma >= 0.0) {
            return Err(RequestErrorKind::Parameter { name: "gamma", expected: "a number of at least 0" }.into());
        }
        if !positive(beta) {
            return Err(RequestErrorKind::Parameter { name: "beta", expected: "a positive number" }.into());
        }
        let stabilizer = Stabilizer::from(stabilizer);
        let first = || Selector::Class(OpClass::Linear).first();
        let relu = Selector::Kind(OpKind::Relu);
        let composite = Composite::new(self.name());
        let composite = match self {
            Self::Gradient => return Ok(composite.with(Selector::Any, Gradient)),
            Self::GuidedBackprop => return Ok(composite.with(relu, GuidedBackprop).with(Selector::Any, Gradient)),
            Self::DeconvNet => return Ok(composite.with(relu, DeconvNet).with(Selector::Any, Gradient)),
            Self::BetaSmooth => return Ok(composite.with(relu, BetaSmooth { beta }).with(Selector::Any, Gradient)),
            Self::ExcitationBackprop => {
                return Ok(composite
                    .with(Selector::Class(OpClass::Sum), Norm { stabilizer })
                    .with(Selector::Class(OpClass::AveragePool), Norm { stabilizer })
                    .with(Selector::Class(OpClass::Linear), ZPlus { stabilizer, zero_bias })
                    .with(Selector::Any, Gradient));
            }
            Self::EpsilonPlusFlat | Self::EpsilonAlpha2Beta1Flat => composite.with(first(), Flat { stabilizer }),
            Self::EpsilonGammaBox => {
                let (Some(low), Some(high)) = (low, high) else {
                    let expected = "given: the smallest and the largest input of the model, as in low=-3,high=3";
                    return Err(RequestErrorKind::Parameter { name: "low and high", expected }.into());
                };
                if !(low <= 0.0 && 0.0 <= high && low < high && low.is_finite() && high.is_finite()) {
                    return Err(RequestErrorKind::Parameter { name: "low and high", expected: "low ≤ 0 ≤ high" }.into());
                }
                let z_box = ZBox { stabilizer, zero_bias, ..ZBox::new(Bound::All(low), Bound::All(high)) };
                composite.with(Selector::Class(OpClass::Convolution).first(), z_box)
            }
            Self::EpsilonPlus | Self::EpsilonAlpha2Beta1 => composite,
        };
        let composite = composite
            .with(Selector::Class(OpClass::Activation), Pass)
            .with(Selector::Class(OpClass::Sum), Norm { stabilizer })
            .with(Selector::Class(OpClass::AveragePool), Norm { stabilizer })
            .with(Selector::Kind(OpKind::ReduceSum), Norm { stabilizer })
            .with(Selector::Class(OpClass::Normalization), Pass);
        let convolutions = Selector::Class(OpClass::Convolution);
        let composite = match self {
            Self::EpsilonAlpha2Beta1 | Self::EpsilonAlpha2Beta1Flat => {
                composite.with(convolutions, AlphaBeta::two_one(stabilizer, zero_bias))
            }
            Self::EpsilonGammaBox => composite.with(convolutions, Gamma { gamma, stabilizer, zero_bias }),
            _ => composite.with(convolutions, ZPlus { stabilizer, zero_bias }),
        };
        Ok(composite.with(Selector::Kind(OpKind::Dense), Epsilon { stabilizer: epsilon.into(), zero_bias }))
    }
}

impl FromStr for Preset {
    type Err = RequestError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(|| {
            let nearest = nearest(name, Self::ALL.into_iter().map(Self::name), 3);
            RequestErrorKind::UnknownName { what: "composite", name: name.to_owned(), nearest }.into()
        })
    }
}

impl FromStr for Composite {
    type Err = RequestError;

    /// Reads `NAME` or `NAME:KEY=VALUE,...`, as in `epsilon-gamma-box:low=-3,high=3,gamma=0.25`; text with quotes or
    /// brackets or of several lines is the [text form](Composite::from_toml).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['\n', '"', '\'', '[', '{']) {
            return Self::from_toml(text);
        }
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let preset: Preset = name.trim().parse()?;
        let mut parameters = PresetParameters::default();
        for setting in settings.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, "true"));
            parameters.set(key.trim(), value.trim())?;
        }
        preset.composite(&parameters)
    }
}

impl PresetParameters {
    /// Sets one number by its name.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), RequestError> {
        const NAMES: [&str; 7] = ["epsilon", "stabilizer", "zero_bias", "gamma", "low", "high", "beta"];
        let Some(name) = NAMES.into_iter().find(|name| *name == key) else {
            let nearest = nearest(key, NAMES.into_iter(), 3);
            return Err(RequestErrorKind::UnknownName { what: "parameter", name: key.to_owned(), nearest }.into());
        };
        if name == "zero_bias" {
            let expected = RequestErrorKind::Parameter { name, expected: "true or false" };
            self.zero_bias = value.parse().map_err(|_| RequestError::from(expected))?;
            return Ok(());
        }
        let expected = RequestErrorKind::Parameter { name, expected: "a number" };
        let number: f32 = value.parse().map_err(|_| RequestError::from(expected))?;
        match name {
            "epsilon" => self.epsilon = number,
            "stabilizer" => self.stabilizer = number,
            "gamma" => self.gamma = number,
            "beta" => self.beta = number,
            "low" => self.low = Some(number),
            _ => self.high = Some(number),
        }
        Ok(())
    }
}
