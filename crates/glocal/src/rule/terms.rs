//! The one evaluator behind all rules for affine ops.
//!
//! Such a rule is a few [`Branch`]es, each a denominator `z = Σᵢ signᵢ·f(xᵢ; Wᵢ, bᵢ)` over its [`Term`]s, and hands down
//! `coefficient · Σᵢ signᵢ·xᵢ·fᵀ(R / s(z); Wᵢ)`, where `xᵢ` is a part of the input and `Wᵢ`, `bᵢ` parts of the
//! parameters. The rules themselves are tables of these.
//!
//! A term whose part of the input is zero in the whole batch is left out, which changes nothing as long as the ratio `R / s(z)` is
//! finite: where that is infinite or NaN, its product with zero is NaN beside a sample that has such a part, and missing
//! beside others.

use std::iter::repeat_n;

use glocal_compute::backend::{Map, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};
use rayon::prelude::*;

use crate::op::{Absorbed, Affine, Budget, Grown, Op, Part, Patch, Patches, Propagate, Within, attribute, single};
use crate::rule::stabilizer::{Denominator, Stabilizer};

/// So many elements' signs are looked at in one task.
const SIGNS_AT_ONCE: usize = 1 << 15;

/// A denominator and what it hands down.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The factor of everything this branch hands down.
    pub coefficient: f32,
    /// Which outputs the branch is for.
    pub gate: Gate,
    /// The summands of the denominator.
    pub terms: Vec<Term>,
}

/// The outputs that a branch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// All.
    All,
    /// Those where `z > 0`, `z` being the op's own output.
    PositiveOutput,
    /// Those where `z < 0`.
    NegativeOutput,
}

/// One summand of a denominator, `sign · f(input; weight, bias)`.
#[derive(Debug, Clone)]
pub struct Term {
    /// `+1` or `−1`.
    pub sign: f32,
    /// The part of the input.
    pub input: InputPart,
    /// The part of the weights.
    pub weight: Part,
    /// The part of the bias; none when `None`.
    pub bias: Option<Part>,
}

/// What stands for `x` in a term.
#[derive(Debug, Clone)]
pub enum InputPart {
    /// `x`
    Whole,
    /// `x⁺`
    Positive,
    /// `x⁻`
    Negative,
    /// 1 everywhere: the branch then does not depend on the sample.
    Ones,
    /// A constant of the input's shape with a batch of 1, or one that broadcasts to it.
    Constant(Tensor),
}

/// Prepares `branches` for `op` at `inputs`.
///
/// # Errors
/// When the op is not affine or the shapes do not fit.
pub fn prepare(
    branches: &[Branch],
    stabilizer: &Stabilizer,
    backend: &dyn Backend,
    op: &dyn Op,
    inputs: &[&Tensor],
    output: &Tensor,
) -> Result<Box<dyn Propagate>, ComputeError> {
    let x = single("rule", inputs)?;
    let affine = op.affine().ok_or_else(|| attribute("rule", "op", format!("{} has no parameters", op.kind())))?;
    let mut parts = Parts { x, signs: None, positive: None, negative: None };
    let mut prepared = Vec::with_capacity(branches.len());
    for branch in branches {
        prepared.push(PreparedBranch::new(branch, stabilizer, backend, affine, &mut parts, output)?);
    }
    let affine = affine.shared();
    Ok(Box::new(Prepared { op: affine, branches: prepared, input_shape: x.sample_shape().to_vec() }))
}

/// The parts of one input, each made once.
struct Parts<'a> {
    x: &'a Tensor,
    signs: Option<Signs>,
    positive: Option<Tensor>,
    negative: Option<Tensor>,
}

/// Which signs a tensor's elements do not have; a NaN has both, and so has a tensor without rows, of which nothing is known.
#[derive(Clone, Copy)]
struct Signs {
    none_positive: bool,
    none_negative: bool,
}

impl Signs {
    fn of(x: &Tensor) -> Self {
        let known = x.batch() > 0;
        let start = Self { none_positive: known, none_negative: known };
        let both = |a: Self, b: Self| Self {
            none_positive: a.none_positive & b.none_positive,
            none_negative: a.none_negative & b.none_negative,
        };
        let one = |value: f32| Self { none_positive: value <= 0.0, none_negative: value >= 0.0 };
        let of_some = |some: &[f32]| some.iter().fold(start, |signs, &value| both(signs, one(value)));
        x.data().par_chunks(SIGNS_AT_ONCE).map(of_some).reduce(|| start, both)
    }
}

impl Parts<'_> {
    fn signs(&mut self) -> Signs {
        *self.signs.get_or_insert_with(|| Signs::of(self.x))
    }

    /// Whether a part is zero everywhere because the input has no elements of that sign.
    fn is_nothing(&mut self, part: &InputPart) -> bool {
        match part {
            InputPart::Positive => self.signs().none_positive,
            InputPart::Negative => self.signs().none_negative,
            _ => false,
        }
    }

    fn get(&mut self, backend: &dyn Backend, part: &InputPart) -> Result<Tensor, ComputeError> {
        let x = self.x;
        let once = |slot: &mut Option<Tensor>, map: Map| match slot {
            Some(made) => Ok(made.clone()),
            None => backend.map(x, map).inspect(|made| *slot = Some(made.clone())),
        };
        match part {
            InputPart::Whole => Ok(x.clone()),
            // A part that is the whole need not be made.
            InputPart::Positive if self.signs().none_negative => Ok(x.clone()),
            InputPart::Negative if self.signs().none_positive => Ok(x.clone()),
            InputPart::Positive => once(&mut self.positive, Map::Positive),
            InputPart::Negative => once(&mut self.negative, Map::Negative),
            InputPart::Ones => Tensor::full([&[1], self.x.sample_shape()].concat(), 1.0),
            InputPart::Constant(constant) => {
                let zeros = Tensor::zeros([&[1], self.x.sample_shape()].concat())?;
                backend.zip(&zeros, constant, Zip::Add)
            }
        }
    }
}

#[derive(Debug)]
struct Prepared {
    op: Box<dyn Affine>,
    branches: Vec<PreparedBranch>,
    input_shape: Vec<usize>,
}

#[derive(Debug)]
struct PreparedBranch {
    coefficient: f32,
    /// 1 where the branch applies, `[N, ...]`; `None` when it applies everywhere.
    gate: Option<Tensor>,
    denominator: Denominator,
    terms: Vec<PreparedTerm>,
}

#[derive(Debug)]
struct PreparedTerm {
    sign: f32,
    /// `None` for an input of ones.
    x: Option<Tensor>,
    weight: Part,
    bias: Option<Part>,
}

impl PreparedBranch {
    fn new(
        branch: &Branch,
        stabilizer: &Stabilizer,
        backend: &dyn Backend,
        op: &dyn Affine,
        parts: &mut Parts<'_>,
        output: &Tensor,
    ) -> Result<Self, ComputeError> {
        let mut z: Option<Tensor> = None;
        let mut terms = Vec::with_capacity(branch.terms.len());
        for term in &branch.terms {
            // A part of the input that is zero everywhere adds nothing to the denominator or to the relevance: after
            // a ReLU that is x⁻, half of the work of ZPlus and AlphaBeta.
            if z.is_some() && term.bias.is_none() && parts.is_nothing(&term.input) {
                continue;
            }
            let x = parts.get(backend, &term.input)?;
            let summand =
                if is_output(term) { output.clone() } else { op.forward_part(backend, &x, term.weight, term.bias)? };
            z = Some(match z {
                None if term.sign >= 0.0 => summand,
                None => backend.map_owned(summand, Map::Affine { factor: -1.0, offset: 0.0 })?,
                Some(z) => backend.zip(&z, &summand, if term.sign >= 0.0 { Zip::Add } else { Zip::Subtract })?,
            });
            let x = (!matches!(term.input, InputPart::Ones)).then_some(x);
            terms.push(PreparedTerm { sign: term.sign, x, weight: term.weight, bias: term.bias });
        }
        let z = z.ok_or_else(|| attribute("rule", "terms", "a branch needs at least one term".to_owned()))?;
        let gate = match branch.gate {
            Gate::All => None,
            Gate::PositiveOutput => Some(backend.map(output, Map::IsPositive)?),
            Gate::NegativeOutput => Some(backend.map(output, Map::IsNegative)?),
        };
        let denominator = stabilizer.denominator(backend, z)?;
        Ok(Self { coefficient: branch.coefficient, gate, denominator, terms })
    }

    /// The same for patches of the input and output of a sample.
    fn within(
        &self,
        backend: &dyn Backend,
        input: &Patch,
        output: &Patch,
        sample: usize,
    ) -> Result<Self, ComputeError> {
        let term = |term: &PreparedTerm| {
            let x = term.x.as_ref().map(|x| input.cut(backend, x, sample)).transpose()?;
            Ok(PreparedTerm { x, ..*term })
        };
        Ok(Self {
            coefficient: self.coefficient,
            gate: self.gate.as_ref().map(|gate| output.cut(backend, gate, sample)).transpose()?,
            denominator: self.denominator.within(backend, output, sample)?,
            terms: self.terms.iter().map(term).collect::<Result<Vec<_>, ComputeError>>()?,
        })
    }

    /// What is left when nothing more is to be divided.
    fn into_terms(self) -> Vec<PreparedTerm> {
        self.terms
    }

    /// `coefficient · gate · R / s(z)`
    fn ratio(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Tensor, ComputeError> {
        let stabilized = &self.denominator.stabilized;
        let mut ratio = backend.divide_rows(relevance, &rows_of(stabilized, rows), stabilized)?;
        if let Some(gate) = &self.gate {
            ratio = backend.multiply_rows(ratio, rows, gate)?;
        }
        if self.coefficient == 1.0 {
            return Ok(ratio);
        }
        backend.map_owned(ratio, Map::Affine { factor: self.coefficient, offset: 0.0 })
    }
}

impl Prepared {
    /// What a branch hands down, added to what others do.
    fn plus_shares(
        &self,
        backend: &dyn Backend,
        mut total: Option<Tensor>,
        ratio: &Tensor,
        terms: &[PreparedTerm],
        rows: &Rows,
    ) -> Result<Option<Tensor>, ComputeError> {
        for term in terms {
            let mut share = self.op.transpose_part(backend, ratio, term.weight, &self.input_shape)?;
            if term.sign < 0.0 {
                share = backend.map_owned(share, Map::Affine { factor: -1.0, offset: 0.0 })?;
            }
            total = Some(match (total, &term.x) {
                (None, None) => share,
                // No element is a negative zero: whether a term that adds zero was skipped, which the other samples
                // decide, must not show in any bit.
                (None, Some(x)) => backend.multiply_rows(share, &rows_of(x, rows), x)?,
                (Some(total), None) => backend.zip(&total, &share, Zip::Add)?,
                (Some(total), Some(x)) => backend.add_multiplied_rows(total, &share, &rows_of(x, rows), x)?,
            });
        }
        Ok(total)
    }

    /// What all branches hand down: zeros where there is none.
    fn of_input(&self, total: Option<Tensor>, batch: usize) -> Result<Vec<Tensor>, ComputeError> {
        let nothing = || Tensor::zeros([&[batch], self.input_shape.as_slice()].concat());
        Ok(vec![total.map_or_else(nothing, Ok)?])
    }
}

impl Propagate for Prepared {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let (batch, mut total) = (relevance.batch(), None);
        // the last branch has the relevance for itself
        for (branch, relevance) in self.branches.iter().zip(repeat_n(relevance, self.branches.len())) {
            let ratio = branch.ratio(backend, relevance, rows)?;
            total = self.plus_shares(backend, total, &ratio, &branch.terms, rows)?;
        }
        self.of_input(total, batch)
    }

    /// Denominators go before shares are made.
    fn propagate_once(
        mut self: Box<Self>,
        backend: &dyn Backend,
        relevance: Tensor,
        rows: &Rows,
    ) -> Result<Vec<Tensor>, ComputeError> {
        let (batch, mut total, branches) = (relevance.batch(), None, std::mem::take(&mut self.branches));
        let relevances = repeat_n(relevance, branches.len());
        for (branch, relevance) in branches.into_iter().zip(relevances) {
            let ratio = branch.ratio(backend, relevance, rows)?;
            let terms = branch.into_terms();
            total = self.plus_shares(backend, total, &ratio, &terms, rows)?;
        }
        self.of_input(total, batch)
    }

    fn within(&self, backend: &dyn Backend, patch: &Patch, sample: usize) -> Result<Option<Within>, ComputeError> {
        let output_shape = self.op.infer_shape(&[&self.input_shape])?;
        let Some(Patches { input, output }) = self.op.patches(patch, &self.input_shape, &output_shape) else {
            return Ok(None);
        };
        let mut branches = Vec::with_capacity(self.branches.len());
        for branch in &self.branches {
            branches.push(branch.within(backend, &input, &output, sample)?);
        }
        let rule = Box::new(Self { op: self.op.shared(), branches, input_shape: input.shape() });
        let rule = Box::new(Grown { patch: patch.inside(&output), shape: output.shape(), rule });
        Ok(Some(Within { rule, inputs: vec![input] }))
    }

    fn account(&self, backend: &dyn Backend, relevance: &Tensor, rows: &Rows) -> Result<Budget, ComputeError> {
        let mut absorbed = Absorbed { definition: total(relevance), ..Absorbed::default() };
        for branch in &self.branches {
            let ratio = branch.ratio(backend, relevance.clone(), rows)?;
            let stabilized = &branch.denominator.stabilized;
            absorbed.definition -=
                total(&backend.multiply_rows(ratio.clone(), &rows_of(stabilized, rows), stabilized)?);
            let excess = branch.denominator.excess(backend)?;
            absorbed.stabilizer += total(&backend.multiply_rows(ratio.clone(), &rows_of(&excess, rows), &excess)?);
            for term in &branch.terms {
                let Some(part) = term.bias else { continue };
                let bias = self.op.bias_part(backend, part, relevance.sample_shape())?;
                let share = backend.multiply_rows(ratio.clone(), &Rows::shared(rows.len()), &bias)?;
                absorbed.bias += f64::from(term.sign) * total(&share);
            }
        }
        Ok(Budget::Absorbed(absorbed))
    }
}

/// Whether the term is the op itself, whose output is known.
fn is_output(term: &Term) -> bool {
    matches!(term.input, InputPart::Whole) && term.weight == Part::Whole && term.bias == Some(Part::Whole)
}

/// `rows` for a tensor that has a row a sample, or one row for all.
fn rows_of(x: &Tensor, rows: &Rows) -> Rows {
    let per_sample = rows.samples().iter().all(|&sample| sample < x.batch());
    if x.batch() == 1 && !per_sample { Rows::shared(rows.len()) } else { rows.clone() }
}

/// The sum of all elements in double precision, in order.
pub(crate) fn total(x: &Tensor) -> f64 {
    x.data().iter().map(|&value| f64::from(value)).sum()
}
