//! Two relevance rules from outside of the crate, used in front of a preset.
//!
//! ```text
//! cargo run --example custom_rule -- [MODEL.onnx]
//! ```
//!
//! A rule for affine ops is at its shortest a table of terms, which `rule::terms` evaluates and keeps the accounts of:
//! [`Magnitude`]. A rule that is no such table implements [`Propagate`] itself: [`SquaredShares`].

use std::borrow::Cow;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glocal::composite::Selector;
use glocal::op::{Absorbed, Affine, Budget, Op, OpClass, OpKind, Part, Propagate};
use glocal::rule::terms::{self, Branch, Gate, InputPart, Term};
use glocal::rule::{Rule, Stabilizer};
use glocal::{Attributor, Composite, ImportOptions, Model, Request, canonize, conservation};
use glocal_compute::backend::{Map, Zip};
use glocal_compute::{Backend, ComputeError, CpuBackend, Rows, Tensor};

/// Each input by the size of its contribution, whatever its sign: `R_in = |x| · fᵀ(R / s(z); |W|)` with
/// `z = f(|x|; |W|, |b|)`.
///
/// Domain: any input. Conserves relevance but for what the bias and the stabilizer take.
/// Source: that sizes count, not signs, is the idea of Vukadin et al. 2024, arXiv 2412.09311, of whose rule this is only a
/// part.
#[derive(Debug, Clone, Copy, Default)]
pub struct Magnitude {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
}

impl Rule for Magnitude {
    fn describe(&self) -> String {
        format!("Magnitude(epsilon={:e})", self.stabilizer.epsilon)
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        if op.affine().is_some() { Ok(()) } else { Err("a convolution or dense layer".into()) }
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        use Part::{Negative, Positive};
        let term = |sign, input, weight, bias| Term { sign, input, weight, bias };
        // |x|·|W| = x⁺W⁺ + x⁻W⁻ − x⁺W⁻ − x⁻W⁺, and |b| = b⁺ − b⁻.
        let terms = vec![
            term(1.0, InputPart::Positive, Positive, Some(Positive)),
            term(1.0, InputPart::Negative, Negative, None),
            term(-1.0, InputPart::Positive, Negative, Some(Negative)),
            term(-1.0, InputPart::Negative, Positive, None),
        ];
        let branch = Branch { coefficient: 1.0, gate: Gate::All, terms };
        terms::prepare(&[branch], &self.stabilizer, backend, op, inputs, output)
    }
}

/// Each input by the square of its contribution, so that few inputs get most: `R_in = x² · fᵀ(R / s(z); W²)` with
/// `z = f(x²; W², b²)`. The rule `WSquare`, which is meant for inputs of any size, with the input put back in.
///
/// Domain: any input. Conserves relevance but for what the bias and the stabilizer take.
/// Source: after the w² rule of Montavon et al. 2017, doi 10.1016/j.patcog.2016.11.008.
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredShares {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
}

impl Rule for SquaredShares {
    fn describe(&self) -> String {
        format!("SquaredShares(epsilon={:e})", self.stabilizer.epsilon)
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        if op.affine().is_some() { Ok(()) } else { Err("a convolution or dense layer".into()) }
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let (Some(op), [x]) = (op.affine(), inputs) else {
            return Err(ComputeError::shapes("SquaredShares", output.shape(), output.shape()));
        };
        // Everything that depends on the sample alone, once for all conditions.
        let x = backend.map(x, Map::Square)?;
        let z = op.forward_part(backend, &x, Part::Square, Some(Part::Square))?;
        let stabilized = self.stabilizer.apply(backend, &z)?;
        let bias = op.bias_part(backend, Part::Square, output.sample_shape())?;
        let excess = backend.zip(&stabilized, &z, Zip::Subtract)?;
        Ok(Box::new(Prepared { op: op.shared(), x, stabilized, excess, bias }))
    }
}

/// [`SquaredShares`] at some samples.
#[derive(Debug)]
struct Prepared {
    op: Box<dyn Affine>,
    /// `x²`, `[N, in...]`
    x: Tensor,
    /// `s(z)`, `[N, out...]`
    stabilized: Tensor,
    /// `s(z) − z`
    excess: Tensor,
    /// `b²`, `[1, out...]`
    bias: Tensor,
}

impl Propagate for Prepared {
    // A row of relevance belongs to the sample that `rows` names: there may be many rows a sample, one a condition.
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let ratio = backend.divide_rows(relevance, rows, &self.stabilized)?;
        let share = self.op.transpose_part(backend, &ratio, Part::Square, self.x.sample_shape())?;
        Ok(vec![backend.multiply_rows(share, rows, &self.x)?])
    }

    // What is not handed down, by cause; without this, the conservation report would count it as a gradient's.
    fn account(&self, backend: &dyn Backend, relevance: &Tensor, rows: &Rows) -> Result<Budget, ComputeError> {
        let ratio = backend.divide_rows(relevance.clone(), rows, &self.stabilized)?;
        let bias = total(&backend.zip(&ratio, &self.bias, Zip::Multiply)?);
        let stabilizer = total(&backend.multiply_rows(ratio.clone(), rows, &self.excess)?);
        Ok(Budget::Absorbed(Absorbed { bias, stabilizer, definition: 0.0 }))
    }
}

fn total(x: &Tensor) -> f64 {
    x.data().iter().map(|&value| f64::from(value)).sum()
}

/// The first layer gets squared shares, the other convolutions go by magnitude, all else as in a preset.
pub fn composite() -> Result<Composite, Box<dyn Error>> {
    let convolutions = || Selector::Class(OpClass::Convolution);
    let composite = Composite::new("magnitude")
        .with(Selector::Class(OpClass::Linear).first(), SquaredShares::default())
        .with(convolutions().except(Selector::Kind(OpKind::ConvolutionTranspose)), Magnitude::default());
    Ok(composite.followed_by("epsilon-plus".parse()?))
}

/// Explains a prediction, and prints where its relevance went.
pub fn main() -> Result<(), Box<dyn Error>> {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens/vgg_tiny/model.onnx");
    let path = std::env::args().nth(1).filter(|argument| argument.ends_with(".onnx")).map_or(bundled, PathBuf::from);
    let onnx = glocal_onnx::Model::read(&path)?;
    let model = canonize(&Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))?)?;
    let attributor = Attributor::new(model, composite()?)?;

    let shape = [&[1], attributor.model().input_shape()].concat();
    let wave = (0..shape.iter().product::<usize>()).map(|index| (index as f32 * 0.37).sin()).collect();
    let trace = attributor.trace(&Tensor::new(shape, wave)?)?;
    let balances = conservation::report(&trace, &Request::default())?;
    println!("{:>12} {:>12} {:>10} {:>10} {:>10}  layer, rule", "in", "out", "bias", "stabilizer", "lost");
    for account in balances.into_iter().flat_map(|balance| balance.accounts) {
        let lost = account.unexplained();
        println!(
            "{:12.5} {:12.5} {:10.5} {:10.1e} {lost:10.1e}  {}, {}",
            account.relevance_in, account.relevance_out, account.bias, account.stabilizer, account.layer, account.rule
        );
        // Relevance is a budget; what none of the causes explains would be a fault of the rule.
        if lost.abs() > 1e-5 * account.magnitude {
            return Err(format!("{} loses {lost} at layer {}", account.rule, account.layer).into());
        }
    }
    Ok(())
}
