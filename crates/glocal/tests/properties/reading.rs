//! What rules say that they read: those of the crate read nothing else, and what others make of values that were dropped is an
//! error.

use std::borrow::Cow;

use glocal::attribution::{Attributor, Cancel};
use glocal::composite::{Composite, Selector};
use glocal::error::{RequestErrorKind, RunErrorKind};
use glocal::op::activation::Activation;
use glocal::op::arithmetic::Product;
use glocal::op::{Op, OpClass, Part, Propagate};
use glocal::rule::terms::{self, Branch, Gate, InputPart, Term};
use glocal::rule::{
    AlphaBeta, BetaSmooth, Bound, DeconvNet, Epsilon, Flat, Gamma, Gradient, GuidedBackprop, Halves, Norm, Pass, Reads,
    Rule, SignalTakesAll, Stabilizer, WSquare, ZBox, ZPlus,
};
use glocal::search::{SampleId, Scan, ScanOptions};
use glocal_compute::backend::Zip;
use glocal_compute::{Backend, ComputeError, CpuBackend, Rows, Tensor};

use crate::case::{Case, Kind};
use crate::random::Random;
use crate::{inputs, merged, names, support};

/// How many random ops of each kind.
const CASES: u64 = 12;

fn without_rows(x: &Tensor) -> Tensor {
    Tensor::zeros([&[0], x.sample_shape()].concat()).unwrap()
}

/// Compares what a rule hands down when it is given all values with what it does when it is given those that it reads.
fn assert_reads_no_more(rule: &dyn Rule, op: &dyn Op, inputs: &[&Tensor], random: &mut Random) {
    let backend = CpuBackend::new();
    let what = format!("{} of {op:?}", rule.describe());
    let output = op.forward(&backend, inputs).unwrap();
    let relevance = random.tensor(output.shape());
    let rows = Rows::identity(output.batch());
    let expected =
        rule.prepare(&backend, op, inputs, &output).unwrap().propagate(&backend, relevance.clone(), &rows).unwrap();
    let dropped: Vec<Tensor> = inputs.iter().map(|x| without_rows(x)).collect();
    let given: Vec<&Tensor> = match rule.reads() {
        Reads::Nothing => dropped.iter().collect(),
        Reads::Inputs | Reads::All => inputs.to_vec(),
    };
    let output = if rule.reads() == Reads::All { output } else { without_rows(&output) };
    let prepared = rule.prepare(&backend, op, &given, &output).unwrap();
    assert_eq!(prepared.propagate(&backend, relevance.clone(), &rows).unwrap(), expected, "{what}");
}

#[test]
fn rules_read_what_they_say() {
    let affine: Vec<Box<dyn Rule>> = vec![
        Box::new(Epsilon::default()),
        Box::new(ZPlus::default()),
        Box::new(AlphaBeta::two_one(Stabilizer::default(), false)),
        Box::new(Gamma::default()),
        Box::new(ZBox::new(Bound::All(-2.0), Bound::All(2.0))),
        Box::new(WSquare::default()),
        Box::new(Flat::default()),
        Box::new(Norm::default()),
        Box::new(Gradient),
    ];
    let relu: [&dyn Rule; 5] = [&Pass, &Gradient, &DeconvNet, &GuidedBackprop, &BetaSmooth::default()];
    let product: [&dyn Rule; 4] =
        [&SignalTakesAll { signal: 0 }, &SignalTakesAll { signal: 1 }, &Halves::default(), &Gradient];
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        for case in Kind::ALL.map(|kind| Case::random(kind, seed)) {
            for rule in &affine {
                assert_reads_no_more(rule.as_ref(), case.op.as_ref(), &[&case.x], &mut random);
            }
        }
        let (x, narrow) = (random.tensor(&[3, 4, 5]), random.tensor(&[3, 4, 1]));
        relu.iter().for_each(|rule| assert_reads_no_more(*rule, &Activation::Relu, &[&x], &mut random));
        product.iter().for_each(|rule| assert_reads_no_more(*rule, &Product, &[&x, &narrow], &mut random));
    }
}

/// Ways in which the rule of a dense layer breaks its word.
#[derive(Debug, Clone, Copy)]
enum Broken {
    /// It says that it reads nothing, and hands down a product with its input's first feature.
    Broadcast,
    /// The same with a table of terms.
    Terms,
    /// It hands down nothing.
    NoShare,
    /// It hands down one row too few.
    FewRows,
    /// It hands down relevance of another shape than the input's.
    OtherShape,
}

impl Rule for Broken {
    fn describe(&self) -> String {
        format!("{self:?}")
    }

    fn accepts(&self, _: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        Ok(())
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        if let Self::Terms = self {
            let term = |input, weight| Term { sign: 1.0, input, weight, bias: None };
            let terms = vec![term(InputPart::Ones, Part::Ones), term(InputPart::Positive, Part::Positive)];
            let branch = Branch { coefficient: 1.0, gate: Gate::All, terms };
            return terms::prepare(&[branch], &Stabilizer::default(), backend, op, inputs, output);
        }
        Ok(Box::new(BrokenShares { how: *self, x: inputs[0].clone() }))
    }
}

#[derive(Debug)]
struct BrokenShares {
    how: Broken,
    x: Tensor,
}

impl Propagate for BrokenShares {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let (rows, width) = (relevance.batch(), self.x.row_len());
        Ok(match self.how {
            Broken::Broadcast => vec![backend.zip(&Tensor::zeros([rows, width])?, &self.x, Zip::Multiply)?],
            Broken::Terms | Broken::NoShare => Vec::new(),
            Broken::FewRows => vec![Tensor::zeros([rows - 1, width])?],
            Broken::OtherShape => vec![Tensor::zeros([rows, width + 1])?],
        })
    }
}

#[test]
fn rules_that_break_their_word_are_errors() {
    for how in [Broken::Broadcast, Broken::Terms, Broken::NoShare, Broken::FewRows, Broken::OtherShape] {
        // ReLUs that pass relevance unchanged keep no value for the layer above.
        let composite: Composite = "epsilon-plus".parse().unwrap();
        let composite =
            Composite::new("broken").with(Selector::Class(OpClass::Linear).last(), how).followed_by(composite);
        let attributor = Attributor::new(merged("vgg_tiny"), composite).unwrap();
        let layers = names(attributor.model());
        let scan = Scan::new(attributor, &layers[1..2], ScanOptions::default()).unwrap();
        let x = support::rows(&inputs("vgg_tiny"), &[0]);
        let error = scan.observe(&x, &[SampleId(0)], &[], &Cancel::default()).unwrap_err();
        let RequestErrorKind::Run(cause) = error.kind() else { panic!("{how:?}: {error}") };
        let is_told = match how {
            Broken::Terms => matches!(cause.kind(), RunErrorKind::Node { .. }),
            _ => matches!(cause.kind(), RunErrorKind::Shares { .. }),
        };
        assert!(is_told, "{how:?}: {error}");
    }
}
