//! Every rule is linear in the relevance that it is given.

use glocal::rule::{AlphaBeta, Bound, Epsilon, Flat, Gamma, Gradient, Norm, Rule, Stabilizer, WSquare, ZBox, ZPlus};
use glocal_compute::{CpuBackend, Rows, Tensor};

use crate::case::{Case, Kind};
use crate::random::Random;

/// A sum of at most some 150 products rounds each of them and each partial sum, relative to the largest; the three sums
/// that are compared round differently.
const SUM_TOLERANCE: f32 = 150.0 * 3.0 * f32::EPSILON;

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

#[test]
fn rules_are_linear_in_relevance() {
    let backend = CpuBackend::new();
    for (kind, seed) in Kind::ALL.into_iter().flat_map(|kind| (0..60).map(move |seed| (kind, seed))) {
        let case = Case::random(kind, seed);
        let output = case.op.forward(&backend, &[&case.x]).unwrap();
        let mut random = Random::new(seed + 500);
        let (a, b) = (random.tensor(output.shape()), random.tensor(output.shape()));
        let rows = Rows::identity(case.x.batch());
        for rule in rules() {
            let prepared = rule.prepare(&backend, case.op.as_ref(), &[&case.x], &output).unwrap();
            let down = |relevance: &Tensor| prepared.propagate(&backend, relevance, &rows).unwrap().remove(0);
            let (of_a, of_b, of_sum) = (down(&a), down(&b), down(&combined(&a, &b, |a, b| a + b)));
            let what = format!("case {seed}, {}, {}", case.name, rule.describe());

            // Powers of two scale without rounding.
            let doubled = down(&combined(&a, &a, |a, _| -2.0 * a));
            assert_eq!(doubled.data(), combined(&of_a, &of_a, |a, _| -2.0 * a).data(), "{what}");

            let largest = of_a.data().iter().chain(of_b.data()).fold(0.0f32, |largest, value| largest.max(value.abs()));
            let sum = combined(&of_a, &of_b, |a, b| a + b);
            let off = sum.data().iter().zip(of_sum.data()).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(off <= SUM_TOLERANCE * largest, "{what}: off by {off:e} of {largest:e}");
        }
    }
}

fn combined(a: &Tensor, b: &Tensor, function: impl Fn(f32, f32) -> f32) -> Tensor {
    let data = a.data().iter().zip(b.data()).map(|(&a, &b)| function(a, b)).collect();
    Tensor::new(a.shape(), data).unwrap()
}
