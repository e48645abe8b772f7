//! Round numbers along an axis.

/// The most steps between numbers.
const MOST: f64 = 8.0;

/// An axis from one round number to another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    step: f64,
}

impl Axis {
    /// One that holds all finite `values`, and 0.
    pub(super) fn holding(values: impl Iterator<Item = f64>) -> Self {
        /// Axes are neither longer nor shorter, so that nothing overflows.
        const LONGEST: f64 = 1e300;
        let ends = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = values.filter(|value| value.is_finite()).fold((0.0, 0.0), ends);
        let (low, high) = if low == high { (0.0, 1.0) } else { (low.max(-LONGEST), high.min(LONGEST)) };
        let span = ((high - low) / MOST).max(1.0 / LONGEST);
        let ten = 10_f64.powf(span.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|digit| digit * ten).into_iter().find(|step| *step >= span);
        let step = step.unwrap_or(10.0 * ten);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self { low, high, step }
    }

    /// Where a value lies: 0 at the low end, 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The round numbers, ascending, with their texts.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let digits = (-self.step.log10().floor()).clamp(0.0, 12.0) as usize;
        let count = ((self.high - self.low) / self.step).round();
        if !count.is_finite() || count > 4.0 * MOST {
            return Vec::new();
        }
        let tick = |index: usize| {
            let value = self.low + index as f64 * self.step;
            let is_zero = value.abs() < self.step / 2.0;
            let text = if is_zero { "0".to_owned() } else { text(value, digits) };
            (if is_zero { 0.0 } else { value }, text)
        };
        (0..=count as usize).map(tick).collect()
    }
}

fn text(value: f64, digits: usize) -> String {
    /// Longer numbers are written with a power of ten.
    const LONGEST: f64 = 1e6;
    let text = if value.abs() >= LONGEST { format!("{value:e}") } else { format!("{value:.digits$}") };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[f64]) -> Vec<String> {
        Axis::holding(values.iter().copied()).ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn numbers_are_round_and_hold_all_values() {
        assert_eq!(texts(&[-4.46, -1.0]), ["−5", "−4", "−3", "−2", "−1", "0"]);
        assert_eq!(texts(&[-0.13, 0.31]), ["−0.2", "−0.1", "0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(texts(&[]), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(&[f64::NAN, 30.0]), ["0", "5", "10", "15", "20", "25", "30"]);
        assert_eq!(texts(&[2.5e9]), ["0", "5e8", "1e9", "1.5e9", "2e9", "2.5e9"]);
    }

    #[test]
    fn extreme_values_make_an_axis() {
        for values in [[f64::MAX, f64::MIN], [f64::MIN_POSITIVE, 0.0], [1e-300, -1e-300]] {
            let axis = Axis::holding(values.into_iter());
            assert!(values.iter().all(|&value| !axis.place(value).is_nan()) && axis.ticks().len() < 30, "{axis:?}");
        }
    }
}
