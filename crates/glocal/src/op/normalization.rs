//! Normalisations by a sample's own statistics (ONNX `LayerNormalization`, `RMSNormalization`, `InstanceNormalization`,
//! `GroupNormalization`, `LpNormalization`).
//!
//! All of them divide by a statistic over some axes of the sample, seen under a shape of its own: the channels of a group
//! are one axis there.

use glocal_compute::backend::{Map, Reduction, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{DefaultRule, Op, OpKind, Propagate, attribute, single};

/// `(x − mean) / deviation · scale + shift`, or the same without the mean, `[N, ...] → [N, ...]`.
#[derive(Debug, Clone)]
pub struct Normalization {
    /// What it is called.
    pub kind: OpKind,
    /// What is subtracted and divided by.
    pub statistic: Statistic,
    /// The shape of a sample that `axes` count in, with the elements of the input.
    pub view: Vec<usize>,
    /// The axes of `view` that are normalised over, counted with the batch as 0: at least 1, ascending.
    pub axes: Vec<usize>,
    /// What the result is multiplied by, `[1, ...]`, broadcast over the sample.
    pub scale: Option<Tensor>,
    /// What is added after that, `[1, ...]`, broadcast over the sample.
    pub shift: Option<Tensor>,
}

/// What elements are normalised by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The mean is subtracted; divided by `√(variance + epsilon)`.
    Standard {
        /// Keeps the variance from zero.
        epsilon: f32,
    },
    /// Divided by `√(mean square + epsilon)`.
    RootMeanSquare {
        /// Keeps the mean square from zero.
        epsilon: f32,
    },
    /// Divided by the sum of the sizes.
    SumOfSizes,
    /// Divided by the root of the sum of the squares.
    Length,
}

/// A batch normalised, and what it was divided by.
struct Normalized {
    /// `[N, view...]`
    y: Tensor,
    /// `[N, ...]`, the normalised axes of size 1.
    divisor: Tensor,
}

impl Normalization {
    fn normalized(&self, backend: &dyn Backend, x: &Tensor) -> Result<Normalized, ComputeError> {
        let x = x.reshape([&[x.batch()], self.view.as_slice()].concat())?;
        let fold = |x: &Tensor, reduction| backend.reduce(x, &self.axes, reduction);
        let root = |x: &Tensor| backend.map(x, Map::SquareRoot);
        let mean_square = |x: &Tensor, epsilon| -> Result<Tensor, ComputeError> {
            let mean = fold(&backend.map(x, Map::Square)?, Reduction::Mean)?;
            root(&backend.map(&mean, Map::Affine { factor: 1.0, offset: epsilon })?)
        };
        let (x, divisor) = match self.statistic {
            Statistic::Standard { epsilon } => {
                let centered = backend.zip(&x, &fold(&x, Reduction::Mean)?, Zip::Subtract)?;
                let divisor = mean_square(&centered, epsilon)?;
                (centered, divisor)
            }
            Statistic::RootMeanSquare { epsilon } => {
                let divisor = mean_square(&x, epsilon)?;
                (x, divisor)
            }
            Statistic::SumOfSizes => {
                let divisor = fold(&backend.map(&x, Map::Absolute)?, Reduction::Sum)?;
                (x, divisor)
            }
            Statistic::Length => {
                let divisor = root(&fold(&backend.map(&x, Map::Square)?, Reduction::Sum)?)?;
                (x, divisor)
            }
        };
        // What has no length stays nothing, as ONNX says of LpNormalization.
        let divisor = match self.statistic {
            Statistic::SumOfSizes | Statistic::Length => {
                let nothing = Map::Affine { factor: -1.0, offset: 1.0 };
                let one = backend.map(&backend.map(&divisor, Map::IsPositive)?, nothing)?;
                backend.zip(&divisor, &one, Zip::Add)?
            }
            _ => divisor,
        };
        Ok(Normalized { y: backend.zip(&x, &divisor, Zip::Divide)?, divisor })
    }
}

impl Op for Normalization {
    fn kind(&self) -> OpKind {
        self.kind
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Normalization", inputs)?;
        if input.iter().product::<usize>() != self.view.iter().product::<usize>() {
            return Err(ComputeError::shapes("Normalization", &self.view, input));
        }
        if let Some(axis) = self.axes.iter().find(|&&axis| axis == 0 || axis > self.view.len()) {
            let reason = format!("axis {axis} is not one of 1 to {}: samples cannot be mixed", self.view.len());
            return Err(attribute("Normalization", "axis", reason));
        }
        for parameter in [&self.scale, &self.shift].into_iter().flatten() {
            let sizes = parameter.sample_shape();
            let fits = sizes.len() == input.len() && sizes.iter().zip(input).all(|(of, size)| *of == 1 || of == size);
            if !fits || parameter.batch() != 1 {
                return Err(ComputeError::shapes("Normalization", input, sizes));
            }
        }
        Ok(input.to_vec())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let x = single("Normalization", inputs)?;
        let mut y = self.normalized(backend, x)?.y.reshape(x.shape())?;
        if let Some(scale) = &self.scale {
            y = backend.zip(&y, scale, Zip::Multiply)?;
        }
        match &self.shift {
            Some(shift) => backend.zip(&y, shift, Zip::Add),
            None => Ok(y),
        }
    }

    fn linearize(
        &self,
        backend: &dyn Backend,
        inputs: &[&Tensor],
        _: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let x = single("Normalization", inputs)?;
        let Normalized { y, divisor } = self.normalized(backend, x)?;
        let direction = match self.statistic {
            Statistic::SumOfSizes => {
                let signs = [Map::IsPositive, Map::IsNegative].map(|map| backend.map(&y, map));
                let [positive, negative] = signs;
                backend.zip(&positive?, &negative?, Zip::Subtract)?
            }
            _ => y.clone(),
        };
        let (op, input_shape) = (self.clone(), x.sample_shape().to_vec());
        Ok(Box::new(Jacobian { op, y, divisor, direction, input_shape }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Pass
    }
}

/// With `g = r · scale`, `y` the normalised input and `d` the divisor: `(g − mean(g) − y·mean(g·y)) / d`; without the mean
/// for a root mean square, with sums for lengths, and the sign of `y` as the last factor for a sum of sizes.
#[derive(Debug)]
struct Jacobian {
    op: Normalization,
    y: Tensor,
    divisor: Tensor,
    /// How the divisor grows with each element, in units of the divisor over the count.
    direction: Tensor,
    input_shape: Vec<usize>,
}

impl Propagate for Jacobian {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let scaled = match &self.op.scale {
            Some(scale) => backend.zip(&relevance, scale, Zip::Multiply)?,
            None => relevance,
        };
        let batch = scaled.batch();
        let g = scaled.reshape([&[batch], self.op.view.as_slice()].concat())?;
        let reduction = match self.op.statistic {
            Statistic::Standard { .. } | Statistic::RootMeanSquare { .. } => Reduction::Mean,
            Statistic::SumOfSizes | Statistic::Length => Reduction::Sum,
        };
        let along = backend.reduce(&backend.multiply_rows(g.clone(), rows, &self.y)?, &self.op.axes, reduction)?;
        let taken = backend.zip(&backend.gather_rows(&self.direction, rows)?, &along, Zip::Multiply)?;
        let mut left = backend.zip(&g, &taken, Zip::Subtract)?;
        if matches!(self.op.statistic, Statistic::Standard { .. }) {
            left = backend.zip(&left, &backend.reduce(&g, &self.op.axes, Reduction::Mean)?, Zip::Subtract)?;
        }
        let gradient = backend.zip(&left, &backend.gather_rows(&self.divisor, rows)?, Zip::Divide)?;
        Ok(vec![gradient.reshape([&[batch], self.input_shape.as_slice()].concat())?])
    }
}
