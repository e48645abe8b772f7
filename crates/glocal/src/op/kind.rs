//! The kinds of ops and their classes: what composites select by, and what people read.

use std::fmt;

/// Declares the kinds, each with its name in kebab-case, once for everything that lists them.
macro_rules! kinds {
    ($($kind:ident $name:literal,)*) => {
        /// The kinds of ops, as composites select them and people read them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[allow(missing_docs)] // The names are the ops' own.
        pub enum OpKind {
            $($kind,)*
        }

        impl OpKind {
            /// All kinds.
            pub const ALL: &'static [OpKind] = &[$(Self::$kind,)*];

            /// The kind's name in kebab-case.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    Input "input",
    Convolution "convolution",
    ConvolutionTranspose "convolution-transpose",
    Dense "dense",
    BatchNormalization "batch-normalization",
    LayerNormalization "layer-normalization",
    RmsNormalization "rms-normalization",
    InstanceNormalization "instance-normalization",
    GroupNormalization "group-normalization",
    LpNormalization "lp-normalization",
    Relu "relu",
    LeakyRelu "leaky-relu",
    PRelu "p-relu",
    Clip "clip",
    Sigmoid "sigmoid",
    Tanh "tanh",
    Elu "elu",
    Celu "celu",
    Selu "selu",
    HardSigmoid "hard-sigmoid",
    HardSwish "hard-swish",
    Silu "silu",
    Erf "erf",
    Gelu "gelu",
    Softplus "softplus",
    Softsign "softsign",
    Mish "mish",
    Power "power",
    Exp "exp",
    Logarithm "logarithm",
    Absolute "absolute",
    Softmax "softmax",
    LogSoftmax "log-softmax",
    MaxPool "max-pool",
    AveragePool "average-pool",
    ReduceMean "reduce-mean",
    ReduceSum "reduce-sum",
    Resize "resize",
    Sum "sum",
    Subtract "subtract",
    Product "product",
    MatrixProduct "matrix-product",
    AddConstant "add-constant",
    MultiplyConstant "multiply-constant",
    Concat "concat",
    Slice "slice",
    Gather "gather",
    Expand "expand",
    Pad "pad",
    Reshape "reshape",
    Transpose "transpose",
    Identity "identity",
}

/// Groups of op kinds, as rules are assigned to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OpClass {
    /// Element-wise non-linear functions.
    Activation,
    /// Convolutions of any dimension, transposed ones included.
    Convolution,
    /// Convolutions and dense layers: all affine ops with weights.
    Linear,
    /// Average pools, global ones included.
    AveragePool,
    /// Sums of two or more activations.
    Sum,
    /// Normalisations.
    Normalization,
}

impl OpKind {
    /// Whether the kind belongs to `class`.
    pub fn is(self, class: OpClass) -> bool {
        match class {
            OpClass::Activation => matches!(
                self,
                Self::Relu
                    | Self::LeakyRelu
                    | Self::PRelu
                    | Self::Clip
                    | Self::Sigmoid
                    | Self::Tanh
                    | Self::Elu
                    | Self::Celu
                    | Self::Selu
                    | Self::HardSigmoid
                    | Self::HardSwish
                    | Self::Silu
                    | Self::Erf
                    | Self::Gelu
                    | Self::Softplus
                    | Self::Softsign
                    | Self::Mish
                    | Self::Power
                    | Self::Exp
                    | Self::Logarithm
                    | Self::Absolute
            ),
            OpClass::Convolution => matches!(self, Self::Convolution | Self::ConvolutionTranspose),
            OpClass::Linear => matches!(self, Self::Convolution | Self::ConvolutionTranspose | Self::Dense),
            OpClass::AveragePool => matches!(self, Self::AveragePool | Self::ReduceMean),
            OpClass::Sum => matches!(self, Self::Sum | Self::Subtract),
            OpClass::Normalization => matches!(
                self,
                Self::BatchNormalization
                    | Self::LayerNormalization
                    | Self::RmsNormalization
                    | Self::InstanceNormalization
                    | Self::GroupNormalization
                    | Self::LpNormalization
            ),
        }
    }
}

impl OpClass {
    /// All classes.
    pub const ALL: &'static [OpClass] =
        &[Self::Activation, Self::Convolution, Self::Linear, Self::AveragePool, Self::Sum, Self::Normalization];

    /// The class's name in kebab-case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::Convolution => "any-convolution",
            Self::Linear => "linear",
            Self::AveragePool => "any-average-pool",
            Self::Sum => "any-sum",
            Self::Normalization => "normalization",
        }
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
