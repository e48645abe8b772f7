//! Methods as text: `NAME` or `NAME:KEY=VALUE,...`.

use std::fmt;
use std::str::FromStr;

use crate::attribution::Method;
use crate::attribution::method::{Baseline, Extent, Hidden, IntegratedGradients, Noise, Occlusion, SmoothGrad};
use crate::error::{RequestError, RequestErrorKind, nearest};

impl FromStr for Method {
    type Err = RequestError;

    /// Reads `NAME` or `NAME:KEY=VALUE,...`:
    ///
    /// - `plain`, `gradient-times-input`
    /// - `smooth-grad:noise=0.1,passes=20,seed=0`
    /// - `integrated-gradients:steps=20,baseline=0`
    /// - `occlusion:window=8,stride=8,fill=0,hide=outside`; a window of different sizes along the last axes is `window=4x8`, the
    ///   stride is the window unless it is given, and `hide=window` scores what is lost without the window.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let name = name.trim();
        let mut method = match name {
            "plain" => Self::Plain,
            "gradient-times-input" => Self::TimesInput,
            "smooth-grad" => Self::SmoothGrad(SmoothGrad::default()),
            "integrated-gradients" => Self::IntegratedGradients(IntegratedGradients::default()),
            "occlusion" => Self::Occlusion(Occlusion::default()),
            _ => return Err(unknown("method", name, &Self::NAMES)),
        };
        for setting in settings.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            method.set(key.trim(), value.trim())?;
        }
        Ok(method)
    }
}

impl Method {
    /// Sets one parameter by its name.
    fn set(&mut self, key: &str, value: &str) -> Result<(), RequestError> {
        match (self, key) {
            (Self::SmoothGrad(method), "noise") => {
                let expected = RequestErrorKind::Parameter { name: "noise", expected: "a number of at least 0" };
                let level = number("noise", value).ok().filter(|level| *level >= 0.0);
                method.noise_level = level.ok_or(expected)?;
            }
            (Self::SmoothGrad(method), "passes") => method.passes = count("passes", value)?,
            (Self::SmoothGrad(method), "seed") => {
                let expected = RequestErrorKind::Parameter { name: "seed", expected: "a whole number" };
                method.noise = Noise::Seeded(value.parse().map_err(|_| RequestError::from(expected))?);
            }
            (Self::IntegratedGradients(method), "steps") => method.steps = count("steps", value)?,
            (Self::IntegratedGradients(method), "baseline") => {
                method.baseline = Baseline::Constant(number("baseline", value)?);
            }
            (Self::Occlusion(method), "window") => method.window = extent("window", value)?,
            (Self::Occlusion(method), "stride") => method.stride = Some(extent("stride", value)?),
            (Self::Occlusion(method), "fill") => method.fill = number("fill", value)?,
            (Self::Occlusion(method), "hide") => {
                method.hidden = match value {
                    "outside" => Hidden::Outside,
                    "window" => Hidden::Window,
                    _ => {
                        let expected = "outside (the score is that of the window alone) or window (it is what is lost)";
                        return Err(RequestErrorKind::Parameter { name: "hide", expected }.into());
                    }
                }
            }
            (method, _) => return Err(unknown("parameter", key, method.parameters())),
        }
        Ok(())
    }

    /// The names of the method's parameters.
    fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::TimesInput => &[],
            Self::SmoothGrad(_) => &["noise", "passes", "seed"],
            Self::IntegratedGradients(_) => &["steps", "baseline"],
            Self::Occlusion(_) => &["window", "stride", "fill", "hide"],
        }
    }
}

fn unknown(what: &'static str, name: &str, known: &[&str]) -> RequestError {
    let nearest = nearest(name, known.iter().copied(), 3);
    RequestErrorKind::UnknownName { what, name: name.to_owned(), nearest }.into()
}

fn number(name: &'static str, text: &str) -> Result<f32, RequestError> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite());
    number.ok_or_else(|| RequestErrorKind::Parameter { name, expected: "a number" }.into())
}

fn count(name: &'static str, text: &str) -> Result<usize, RequestError> {
    let count = text.parse().ok().filter(|&count| count > 0);
    count.ok_or_else(|| RequestErrorKind::Parameter { name, expected: "a whole number of at least 1" }.into())
}

/// `8` along every axis, `4x8` along the last two.
fn extent(name: &'static str, text: &str) -> Result<Extent, RequestError> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok().filter(|&size| size > 0)).collect();
    match sizes.as_deref() {
        Some(&[size]) => Ok(Extent::Every(size)),
        Some(sizes) => Ok(Extent::Last(sizes.to_vec())),
        None => {
            let expected = "a whole number of at least 1, or several for the last axes as in 4x8";
            Err(RequestErrorKind::Parameter { name, expected }.into())
        }
    }
}

/// The text that it is read from again; noise and baselines that were given are only named.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Plain | Self::TimesInput => Ok(()),
            Self::SmoothGrad(SmoothGrad { noise_level, passes, noise }) => {
                write!(f, ":noise={noise_level},passes={passes},")?;
                match noise {
                    Noise::Seeded(seed) => write!(f, "seed={seed}"),
                    Noise::Given(_) => f.write_str("noise given"),
                }
            }
            Self::IntegratedGradients(IntegratedGradients { steps, baseline }) => {
                write!(f, ":steps={steps},")?;
                match baseline {
                    Baseline::Constant(value) => write!(f, "baseline={value}"),
                    Baseline::Given(_) => f.write_str("baseline given"),
                }
            }
            Self::Occlusion(Occlusion { window, stride, fill, hidden }) => {
                let hide = if *hidden == Hidden::Window { "window" } else { "outside" };
                write!(f, ":window={window},stride={},fill={fill},hide={hide}", stride.as_ref().unwrap_or(window))
            }
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(size) => write!(f, "{size}"),
            Self::Last(sizes) => f.write_str(&sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written() {
        for (text, written) in [
            ("plain", "plain"),
            ("gradient-times-input", "gradient-times-input"),
            ("smooth-grad", "smooth-grad:noise=0.1,passes=20,seed=0"),
            ("smooth-grad: noise = 0.25, seed=7", "smooth-grad:noise=0.25,passes=20,seed=7"),
            ("integrated-gradients:steps=50", "integrated-gradients:steps=50,baseline=0"),
            ("integrated-gradients:baseline=-0.5", "integrated-gradients:steps=20,baseline=-0.5"),
            ("occlusion:window=4x6", "occlusion:window=4x6,stride=4x6,fill=0,hide=outside"),
            ("occlusion:stride=2,fill=0.5,hide=window", "occlusion:window=8,stride=2,fill=0.5,hide=window"),
        ] {
            let method: Method = text.parse().unwrap();
            assert_eq!(method.to_string(), written);
            assert_eq!(written.parse::<Method>().unwrap().to_string(), written);
            assert!(Method::NAMES.contains(&method.name()));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (text, words) in [
            ("smoothgrad", "smooth-grad"),
            ("smooth-grad:samples=3", "\"samples\"; the nearest are"),
            ("plain:noise=1", "no parameter is called \"noise\""),
            ("smooth-grad:noise=much", "noise must be a number"),
            ("smooth-grad:noise=inf", "noise must be a number"),
            ("smooth-grad:noise=-1", "noise must be a number of at least 0"),
            ("occlusion:fill=NaN", "fill must be a number"),
            ("smooth-grad:passes=0", "passes must be a whole number of at least 1"),
            ("smooth-grad:seed=-1", "seed must be a whole number"),
            ("integrated-gradients:steps", "steps must be"),
            ("occlusion:window=0", "window must be"),
            ("occlusion:window=3x", "window must be"),
            ("occlusion:hide=all", "hide must be outside"),
        ] {
            let error = text.parse::<Method>().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
