//! Every rule is linear in the relevance that it is given.

use glocal::rule::{AlphaBeta, Bound, Epsilon, Flat, Gamma, Gradient, Norm, Rule, Stabilizer, WSquare, ZBox, ZPlus};
use glocal_compute::{CpuBackend, Rows, Tensor};

use proptest::prelude::*;

use crate::case::Case;
use crate::random::Random;

/// What one number of the result is made of is of one sign, or at most four times its size: ZBox takes the share of a
/// bound, twice the largest input, from that of the input.
const CANCELLATION: f64 = 4.0;

/// The operations beside a sum: division, products with the input and the coefficient.
const SINGLE_OPERATIONS: usize = 8;

fn rules() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(Epsilon::default()),
        Box::new(Epsilon { zero_bias: true, ..Epsilon::default() }),
        Box::new(ZPlus::default()),
        Box::new(AlphaBeta::two_one(Stabilizer::default(), false)),
        Box::new(Gamma::default()),
        Box::new(ZBox::new(Bound::All(-2.0), Bound::All(2.0))),
        Box::new(WSquare::default()),
        Box::new(Flat::default()),
        Box::new(Norm::default()),
        Box::new(Gradient),
    ]
}

proptest! {
    #![proptest_config(crate::config(256))]

    /// Sums: within what single precision may be off, which is relative to the sizes of what each output hands down, taken
    /// from the rule itself one output at a time. Multiples by powers of two: to the bit.
    #[test]
    fn rules_are_linear_in_relevance(choices in crate::choices(), seed in 0u64..1000) {
        let backend = CpuBackend::new();
        let case = Case::drawn(choices);
        let output = case.op.forward(&backend, &[&case.x]).unwrap();
        let mut random = Random::new(seed);
        let (a, b) = (random.tensor(output.shape()), random.tensor(output.shape()));
        let (samples, width, inputs) = (case.x.batch(), output.row_len(), case.x.row_len());
        let rows = Rows::identity(samples);
        for rule in rules() {
            let prepared = rule.prepare(&backend, case.op.as_ref(), &[&case.x], &output).unwrap();
            let down = |relevance: &Tensor| prepared.propagate(&backend, relevance.clone(), &rows).unwrap().remove(0);
            let (of_a, of_b, of_sum) = (down(&a), down(&b), down(&combined(&a, &b, |a, b| a + b)));
            let what = format!("{}, {}", case.name, rule.describe());

            let doubled = down(&combined(&a, &a, |a, _| -2.0 * a));
            let expected = combined(&of_a, &of_a, |a, _| -2.0 * a);
            prop_assert_eq!(doubled.data(), expected.data(), "{}", what);

            let mut sizes = vec![0.0f64; samples * inputs];
            let mut one = Tensor::zeros([&[samples], output.sample_shape()].concat()).unwrap();
            for unit in 0..width {
                (0..samples).for_each(|sample| one.data_mut()[sample * width + unit] = 1.0);
                let share = down(&one);
                (0..samples).for_each(|sample| one.data_mut()[sample * width + unit] = 0.0);
                for (index, (size, share)) in sizes.iter_mut().zip(share.data()).enumerate() {
                    let at = index / inputs * width + unit;
                    *size += f64::from(share.abs()) * f64::from(a.data()[at].abs() + b.data()[at].abs());
                }
            }
            let factor = CANCELLATION * (width + SINGLE_OPERATIONS) as f64 * f64::from(f32::EPSILON);
            for (index, size) in sizes.into_iter().enumerate() {
                let off = f64::from(of_a.data()[index]) + f64::from(of_b.data()[index]) - f64::from(of_sum.data()[index]);
                prop_assert!(off.abs() <= factor * size, "{what}: input {index} is {off:e} off, of {size:e}");
            }
        }
    }
}

fn combined(a: &Tensor, b: &Tensor, function: impl Fn(f32, f32) -> f32) -> Tensor {
    let data = a.data().iter().zip(b.data()).map(|(&a, &b)| function(a, b)).collect();
    Tensor::new(a.shape(), data).unwrap()
}
