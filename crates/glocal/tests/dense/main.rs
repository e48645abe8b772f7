//! Every rule against its equation, evaluated over the op's written-out matrix in double precision: the op and its
//! vector-Jacobian product are explicit sums here, without any of the crate's kernels, packing or sharing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the properties, which use more of it")]
mod case;
/// The example's rules, which are made of public traits alone.
#[path = "../../examples/custom_rule.rs"]
mod custom_rule;
mod linear;
mod naive;
mod products;
#[allow(dead_code, reason = "shared with the properties, which use more of it")]
mod random;

use case::{Case, Kind, Matrix};
use glocal::rule::{AlphaBeta, Bound, Epsilon, Flat, Gamma, Gradient, Norm, Rule, Stabilizer, WSquare, ZBox, ZPlus};
use glocal_compute::{CpuBackend, Rows, Tensor};
use naive::{Relevance, Term};
use random::Random;

/// How many random ops of each kind each rule is checked on.
const CASES: u64 = 210;

fn bits(x: &Tensor) -> Vec<u32> {
    x.data().iter().map(|value| value.to_bits()).collect()
}

/// Single precision rounds every product and every partial sum: a sum of `n` products is off by at most about `n` times
/// this precision times the sum of their sizes, in any order. The denominator's error adds up with the numerator's, and
/// the handful of operations between them are covered by the factor. See [`naive::Relevance::bounds`] for the sizes.
const ROUNDING: f64 = 2.0 * f32::EPSILON as f64;

/// The operations of a rule that are no sums: division, products with the input and the coefficient, the stabilizer.
const SINGLE_OPERATIONS: usize = 8;

/// What the equations of one rule are evaluated with.
struct Setting<'a> {
    matrix: &'a Matrix,
    /// One sample.
    x: Vec<f64>,
    /// The positions of one channel of the input, for bounds per channel.
    plane: usize,
    stabilizer: naive::Stabilizer,
    zero_bias: bool,
}

type Evaluate = Box<dyn Fn(&Setting<'_>, &[f64]) -> Relevance>;
type Conditioned = Box<dyn Fn(&Setting<'_>) -> Vec<bool>>;

/// A rule with the equation that it stands for.
struct Equation {
    rule: Box<dyn Rule>,
    /// What each input gets of the relevance.
    evaluate: Evaluate,
    /// The outputs that may hold relevance.
    conditioned: Conditioned,
    stabilizer: naive::Stabilizer,
    zero_bias: bool,
}

fn positive(value: f64) -> f64 {
    value.max(0.0)
}

fn negative(value: f64) -> f64 {
    value.min(0.0)
}

fn whole(value: f64) -> f64 {
    value
}

impl Setting<'_> {
    fn term<'a>(
        &self,
        x: Vec<f64>,
        weight: &'a dyn Fn(f64) -> f64,
        bias: Option<&'a dyn Fn(f64) -> f64>,
        sign: f64,
    ) -> Term<'a> {
        Term { x, weight, bias: bias.filter(|_| !self.zero_bias), times_x: true, sign }
    }

    fn part(&self, part: fn(f64) -> f64) -> Vec<f64> {
        self.x.iter().map(|&value| part(value)).collect()
    }

    fn everywhere(&self) -> Vec<bool> {
        vec![true; self.matrix.outputs]
    }

    fn hand_down(&self, terms: &[Term<'_>], coefficient: f64, gate: &[bool], relevance: &[f64]) -> Relevance {
        self.matrix.hand_down(terms, self.stabilizer, (coefficient, gate), relevance)
    }

    fn conditioned(&self, terms: &[Term<'_>]) -> Vec<bool> {
        self.matrix.well_conditioned(&self.matrix.denominators(terms), self.stabilizer)
    }

    /// `x · fᵀ(R / s(z); W)`, `z = f(x; W, b)`
    fn epsilon(&self) -> Vec<Term<'static>> {
        vec![self.term(self.x.clone(), &whole, Some(&whole), 1.0)]
    }

    /// `f(x⁺; W⁺, b⁺) + f(x⁻; W⁻, 0)`
    fn raising(&self) -> Vec<Term<'static>> {
        vec![
            self.term(self.part(positive), &positive, Some(&positive), 1.0),
            self.term(self.part(negative), &negative, None, 1.0),
        ]
    }

    /// `f(x⁺; W⁻, b⁻) + f(x⁻; W⁺, 0)`
    fn lowering(&self) -> Vec<Term<'static>> {
        vec![
            self.term(self.part(positive), &negative, Some(&negative), 1.0),
            self.term(self.part(negative), &positive, None, 1.0),
        ]
    }

    /// `z` of the op itself, with its bias whatever the rule does with it.
    fn output(&self) -> naive::Denominators {
        let term = Term { x: self.x.clone(), weight: &whole, bias: Some(&whole), times_x: true, sign: 1.0 };
        self.matrix.denominators(&[term])
    }

    fn constant(&self, bound: &Bound) -> Vec<f64> {
        let of = |index: usize| match bound {
            Bound::All(value) => f64::from(*value),
            Bound::Channels(values) => f64::from(values[index / self.plane]),
        };
        (0..self.x.len()).map(of).collect()
    }
}

/// The rules with random parameters, each with its equation.
fn equations(random: &mut Random, channels: usize) -> Vec<Equation> {
    let epsilon = random.pick(&[1e-6f32, 1e-3, 0.25]);
    let stabilizer = Stabilizer { epsilon, clip: random.flip(), norm_scale: random.within(0, 3) == 0 };
    let naive_stabilizer = naive::Stabilizer::from(stabilizer);
    let zero_bias = random.flip();
    let (alpha, gamma) = (random.pick(&[1.0f32, 2.0, 3.5]), random.pick(&[0.0f32, 0.25, 10.0]));
    let mut alpha_beta = AlphaBeta::new(alpha, alpha - 1.0).unwrap();
    (alpha_beta.stabilizer, alpha_beta.zero_bias) = (stabilizer, zero_bias);
    let bound = |random: &mut Random, offset: f32| match random.flip() {
        true => Bound::All(random.number() + offset),
        false => Bound::Channels((0..channels).map(|_| random.number() + offset).collect()),
    };
    let (low, high) = (bound(random, -2.0), bound(random, 2.0));
    let z_box = ZBox { stabilizer, zero_bias, ..ZBox::new(low.clone(), high.clone()) };

    let equation = |rule: Box<dyn Rule>, evaluate: Evaluate, conditioned: Conditioned| Equation {
        rule,
        evaluate,
        conditioned,
        stabilizer: naive_stabilizer,
        zero_bias,
    };
    let of_epsilon: fn(&Setting<'_>, &[f64]) -> Relevance =
        |setting, r| setting.hand_down(&setting.epsilon(), 1.0, &setting.everywhere(), r);
    let squared = |value: f64| value * value;
    let w_square = move |setting: &Setting<'_>, r: &[f64]| {
        let ones = vec![1.0; setting.x.len()];
        let terms = [Term { times_x: false, ..setting.term(ones, &squared, Some(&squared), 1.0) }];
        setting.hand_down(&terms, 1.0, &setting.everywhere(), r)
    };
    let flat = |setting: &Setting<'_>, r: &[f64]| {
        let ones = vec![1.0; setting.x.len()];
        let terms = [Term { times_x: false, ..setting.term(ones, &|_| 1.0, None, 1.0) }];
        setting.hand_down(&terms, 1.0, &setting.everywhere(), r)
    };
    let of_alpha_beta = move |setting: &Setting<'_>, r: &[f64]| {
        let (alpha, everywhere) = (f64::from(alpha), setting.everywhere());
        let lowered = setting.hand_down(&setting.lowering(), 1.0 - alpha, &everywhere, r);
        setting.hand_down(&setting.raising(), alpha, &everywhere, r).plus(&lowered)
    };
    // Where z > 0, x⁺ goes with Wp and x⁻ with Wn; where z < 0 the other way round.
    let gamma_terms = move |setting: &Setting<'_>, r: Option<&[f64]>| -> (Vec<bool>, Option<Relevance>) {
        let gamma = f64::from(gamma);
        let more = |value: f64| value + gamma * positive(value);
        let less = |value: f64| value + gamma * negative(value);
        let raising = [
            setting.term(setting.part(positive), &more, Some(&more), 1.0),
            setting.term(setting.part(negative), &less, None, 1.0),
        ];
        let lowering = [
            setting.term(setting.part(positive), &less, Some(&less), 1.0),
            setting.term(setting.part(negative), &more, None, 1.0),
        ];
        let output = setting.output();
        let above: Vec<bool> = output.z.iter().map(|&z| z > 0.0).collect();
        let below: Vec<bool> = output.z.iter().map(|&z| z < 0.0).collect();
        let certain = setting
            .matrix
            .well_conditioned(&output, naive::Stabilizer { epsilon: 0.0, clip: false, norm_scale: false });
        let (raised, lowered) = (setting.conditioned(&raising), setting.conditioned(&lowering));
        let fits = (0..above.len()).map(|i| certain[i] && if above[i] { raised[i] } else { lowered[i] });
        let relevance = r.map(|r| {
            let lowered = setting.hand_down(&lowering, 1.0, &below, r);
            setting.hand_down(&raising, 1.0, &above, r).plus(&lowered)
        });
        (fits.collect(), relevance)
    };
    fn z_box_terms(setting: &Setting<'_>, low: &Bound, high: &Bound) -> Vec<Term<'static>> {
        vec![
            setting.term(setting.x.clone(), &whole, Some(&whole), 1.0),
            setting.term(setting.constant(low), &positive, Some(&positive), -1.0),
            setting.term(setting.constant(high), &negative, Some(&negative), -1.0),
        ]
    }
    let (bounds, same_bounds) = ((low.clone(), high.clone()), (low, high));
    let any: fn(&Setting<'_>) -> Vec<bool> = |setting| setting.everywhere();
    let by_output: fn(&Setting<'_>) -> Vec<bool> = |setting| setting.conditioned(&setting.epsilon());
    let with_bias: fn(&Setting<'_>) -> Vec<bool> =
        |setting| setting.matrix.well_conditioned(&setting.output(), setting.stabilizer);
    vec![
        equation(Box::new(Epsilon { stabilizer, zero_bias }), Box::new(of_epsilon), Box::new(by_output)),
        equation(
            Box::new(ZPlus { stabilizer, zero_bias }),
            Box::new(|setting, r| setting.hand_down(&setting.raising(), 1.0, &setting.everywhere(), r)),
            Box::new(any),
        ),
        equation(Box::new(alpha_beta), Box::new(of_alpha_beta), Box::new(any)),
        equation(
            Box::new(Gamma { gamma, stabilizer, zero_bias }),
            Box::new(move |setting, r| gamma_terms(setting, Some(r)).1.unwrap()),
            Box::new(move |setting| gamma_terms(setting, None).0),
        ),
        equation(
            Box::new(z_box),
            Box::new(move |setting, r| {
                let terms = z_box_terms(setting, &bounds.0, &bounds.1);
                setting.hand_down(&terms, 1.0, &setting.everywhere(), r)
            }),
            Box::new(move |setting| setting.conditioned(&z_box_terms(setting, &same_bounds.0, &same_bounds.1))),
        ),
        equation(Box::new(WSquare { stabilizer, zero_bias }), Box::new(w_square), Box::new(any)),
        equation(Box::new(Flat { stabilizer }), Box::new(flat), Box::new(any)),
        Equation {
            zero_bias: false,
            ..equation(Box::new(Norm { stabilizer }), Box::new(of_epsilon), Box::new(with_bias))
        },
        Equation {
            zero_bias: false,
            ..equation(
                Box::new(custom_rule::Magnitude { stabilizer }),
                Box::new(move |setting, r| {
                    let terms = [setting.term(setting.part(f64::abs), &f64::abs, Some(&f64::abs), 1.0)];
                    setting.hand_down(&terms, 1.0, &setting.everywhere(), r)
                }),
                Box::new(any),
            )
        },
        Equation {
            zero_bias: false,
            ..equation(
                Box::new(custom_rule::SquaredShares { stabilizer }),
                Box::new(move |setting, r| {
                    let terms = [setting.term(setting.part(|x| x * x), &squared, Some(&squared), 1.0)];
                    setting.hand_down(&terms, 1.0, &setting.everywhere(), r)
                }),
                Box::new(any),
            )
        },
        equation(Box::new(Gradient), Box::new(|setting, r| setting.matrix.gradient(r)), Box::new(any)),
    ]
}

/// The cases with their seeds.
fn cases() -> impl Iterator<Item = (Case, u64)> {
    Kind::ALL.into_iter().flat_map(|kind| (0..CASES).map(move |seed| (Case::random(kind, seed), seed)))
}

#[test]
fn rules_equal_their_equations_over_the_matrix() {
    let backend = CpuBackend::new();
    let mut failures = Vec::new();
    let (mut compared, mut given) = (0, 0);
    for (case, seed) in cases() {
        let mut random = Random::new(seed + 1_000_000);
        let [samples, channels, ..] = *case.x.shape() else { panic!("an input without channels") };
        let output = case.op.forward(&backend, &[&case.x]).unwrap();
        // More relevances than samples, out of order: what conditions do.
        let rows: Vec<usize> = (0..samples + 2).map(|_| random.within(0, samples - 1)).collect();
        for equation in equations(&mut random, channels) {
            let settings: Vec<Setting<'_>> = (0..samples)
                .map(|sample| Setting {
                    matrix: &case.matrix,
                    x: case.x.row(sample).iter().map(|&value| f64::from(value)).collect(),
                    plane: case.x.row_len() / channels,
                    stabilizer: equation.stabilizer,
                    zero_bias: equation.zero_bias,
                })
                .collect();
            let mut relevance = random.tensor(&[&[rows.len()], output.sample_shape()].concat());
            let width = relevance.row_len();
            for (row, &sample) in rows.iter().enumerate() {
                let conditioned = (equation.conditioned)(&settings[sample]);
                let values = &mut relevance.data_mut()[row * width..(row + 1) * width];
                // No relevance where the denominator is the small rest of large terms: its error is no fault.
                values.iter_mut().zip(conditioned).filter(|(_, fits)| !fits).for_each(|(value, _)| *value = 0.0);
            }
            let prepared = equation.rule.prepare(&backend, case.op.as_ref(), &[&case.x], &output).unwrap();
            let of_rows = Rows::new(rows.as_slice());
            let ours = prepared.propagate(&backend, relevance.clone(), &of_rows).unwrap().remove(0);
            // relevance that nobody else holds, and what a rule has prepared, may be overwritten
            let alone = Tensor::new(relevance.shape(), relevance.data().to_vec()).unwrap();
            let once = prepared.propagate_once(&backend, alone, &of_rows).unwrap().remove(0);
            assert_eq!(bits(&once), bits(&ours), "{}, {}", case.name, equation.rule.describe());
            for (row, &sample) in rows.iter().enumerate() {
                let from: Vec<f64> = relevance.row(row).iter().map(|&value| f64::from(value)).collect();
                let expected = (equation.evaluate)(&settings[sample], &from);
                given += width;
                compared += from.iter().filter(|value| **value != 0.0).count();
                failures.extend(
                    differ(&case.matrix, ours.row(row), &expected)
                        .map(|what| format!("case {seed}, {}, {}: {what}", case.name, equation.rule.describe())),
                );
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures[..failures.len().min(20)].join("\n"));
    let share = compared as f64 / given as f64;
    assert!(compared > 100_000 && share > 0.8, "only {compared} relevances of {given} could be compared");
}

/// What is wrong with `ours`, if an element is off by more than rounding explains.
fn differ(matrix: &Matrix, ours: &[f32], expected: &Relevance) -> Option<String> {
    let factor = ROUNDING * (matrix.longest_sum() + SINGLE_OPERATIONS) as f64;
    let wrong = ours.iter().zip(expected.values.iter().zip(&expected.bounds)).enumerate().find(
        |(_, (ours, (expected, bound)))| {
            let off = (f64::from(**ours) - **expected).abs();
            off.is_nan() || off > factor * **bound
        },
    )?;
    let (index, (ours, (expected, bound))) = wrong;
    Some(format!("input {index} gets {ours:e} instead of {expected:e}, {:e} off is allowed", factor * bound))
}

#[test]
fn the_example_of_custom_rules_conserves_relevance() {
    custom_rule::main().unwrap();
}

#[test]
fn the_cases_cover_what_affine_ops_can_be() {
    let count =
        |kind: Kind, what: &str| (0..CASES).filter(|&seed| Case::random(kind, seed).name.contains(what)).count();
    let of_convolutions =
        ["group: 1", "group: 2", "group: 3", "strides: [2, 1]", "strides: [2, 1, 1]", "dilations: [2]"];
    for what in of_convolutions {
        for kind in [Kind::Convolution, Kind::ConvolutionTranspose] {
            assert!(count(kind, what) > 0, "no {kind:?} with {what}");
        }
    }
    for what in ["output_padding: [1]", "output_padding: [0, 1]", "output_padding: [0, 2, 1]"] {
        assert!(count(Kind::ConvolutionTranspose, what) > 0, "none with {what}");
    }
    for what in ["on []", "on [3]", "on [2, 4]", "bias: true", "bias: false"] {
        assert!(count(Kind::Dense, what) > 0, "no dense layer {what}");
    }
    let rows: usize = cases().map(|(case, _)| case.x.batch()).sum();
    assert!(rows > 3 * CASES as usize, "all cases have one sample");
    for kind in [Kind::Convolution, Kind::ConvolutionTranspose] {
        let depthwise = (0..CASES).map(|seed| Case::random(kind, seed)).filter(|case| {
            let channels = case.x.shape()[1];
            channels > 1 && case.name.contains(&format!("group: {channels} "))
        });
        assert!(depthwise.count() > 5, "{kind:?}");
    }
}

/// The relevance of an output that nothing contributes to goes nowhere and is not a NaN.
#[test]
fn relevance_of_nothing_is_zero() {
    let backend = CpuBackend::new();
    let case = Case::random(Kind::Convolution, 1);
    let x = Tensor::zeros(case.x.shape()).unwrap();
    let output = case.op.forward(&backend, &[&x]).unwrap();
    let relevance = Tensor::full(output.shape(), 1.0).unwrap();
    for rule in [&Epsilon::default() as &dyn Rule, &ZPlus::default(), &AlphaBeta::two_one(Stabilizer::default(), false)]
    {
        let prepared = rule.prepare(&backend, case.op.as_ref(), &[&x], &output).unwrap();
        let handed = prepared.propagate(&backend, relevance.clone(), &Rows::identity(x.batch())).unwrap().remove(0);
        assert!(handed.data().iter().all(|&value| value == 0.0), "{}", rule.describe());
    }
}
