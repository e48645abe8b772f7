//! What a name of the ONNX graph stands for while it is read: one of our nodes, or a constant.

use std::sync::Arc;

use glocal_compute::Tensor;
use glocal_onnx::{Data, ElementType};

use crate::error::{ModelError, ModelErrorKind};
use crate::model::NodeId;
use crate::model::graph::LARGEST_RANK;
use crate::model::import::integers::Integers;
use crate::model::import::reader::unsupported;

/// The most steps along the other axes of a constant without elements.
const LONGEST_EMPTY: usize = 1 << 16;

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// The output of one of our nodes.
    Node(NodeId),
    /// The samples of one of our nodes one after the other, as one list: what exporters make of a batch before they index it
    /// by sample. Only an indexing that gives each sample its own elements takes it.
    Samples(NodeId),
    /// A constant.
    Constant(Constant),
}

/// A constant, with the name of the initializer that it came from.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) data: ConstantData,
    /// Which integers its type holds.
    pub(super) integers: Integers,
}

/// The elements of a constant.
#[derive(Debug, Clone)]
pub(super) enum ConstantData {
    /// Numbers to compute with.
    Float(Tensor),
    /// Shapes, axes, indices.
    Integer {
        /// The shape, batch included if it has one.
        shape: Vec<usize>,
        /// The elements in row-major order.
        elements: Arc<Vec<Size>>,
    },
}

/// An integer that may depend on the batch size, or on the sample, which are not known before the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// A number.
    Fixed(i64),
    /// The batch size times a number.
    Batch(i64),
    /// The index of the sample times `stride`, plus `offset`: axis 0 of the constant, of size 1 here, stands for the batch.
    Sample {
        /// The distance from one sample to the next.
        stride: i64,
        /// The value for sample 0.
        offset: i64,
    },
}

impl Value {
    pub(super) fn constant_name(&self) -> Option<&str> {
        match self {
            Self::Constant(constant) if !constant.name.is_empty() => Some(&constant.name),
            _ => None,
        }
    }
}

impl Constant {
    pub(super) fn float(tensor: Tensor) -> Self {
        Self { name: String::new(), data: ConstantData::Float(tensor), integers: Integers::ALL }
    }

    pub(super) fn integers(shape: Vec<usize>, elements: Vec<Size>) -> Self {
        let data = ConstantData::Integer { shape, elements: Arc::new(elements) };
        Self { name: String::new(), data, integers: Integers::ALL }
    }

    /// The same, of a type that holds these integers.
    pub(super) fn that_are(self, integers: Integers) -> Self {
        Self { integers, ..self }
    }

    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    pub(super) fn from_onnx(tensor: glocal_onnx::Tensor) -> Result<Self, ModelError> {
        let glocal_onnx::Tensor { shape, data, element_type, .. } = tensor;
        match data {
            Data::F32(elements) => Ok(Self::float(Tensor::new(shape, elements)?)),
            Data::I64(elements) => {
                let integers = Integers::of_type(element_type).unwrap_or(Integers::ALL);
                Ok(Self::integers(shape, elements.into_iter().map(Size::Fixed).collect()).that_are(integers))
            }
            Data::Bool(elements) => {
                let elements = elements.into_iter().map(|value| Size::Fixed(i64::from(value))).collect();
                Ok(Self::integers(shape, elements).that_are(Integers::Bool))
            }
            _ => Err(ModelErrorKind::UnsupportedUse { what: "a constant of strings".to_owned() }.into()),
        }
    }

    /// Whether axis 0 stands for the batch.
    pub(super) fn depends_on_sample(&self) -> bool {
        self.sizes().is_some_and(|sizes| sizes.iter().any(|size| matches!(size, Size::Sample { .. })))
    }

    /// The shape, batch included if it has one.
    pub(super) fn shape(&self) -> &[usize] {
        match &self.data {
            ConstantData::Float(tensor) => tensor.shape(),
            ConstantData::Integer { shape, .. } => shape,
        }
    }

    /// Refuses a shape of more axes than any network needs, and one without elements whose other axes are long: what
    /// walks along them would never end.
    pub(super) fn check_shape(&self) -> Result<(), ModelError> {
        let shape = self.shape();
        if shape.len() > LARGEST_RANK {
            return Err(unsupported(format!("a constant of more than {LARGEST_RANK} axes")));
        }
        let walk = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size.max(1)));
        if self.len() == 0 && walk.is_none_or(|walk| walk > LONGEST_EMPTY) {
            return Err(unsupported(format!("a constant {:?} of shape {shape:?}, without elements,", self.name)));
        }
        Ok(())
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            ConstantData::Float(tensor) => tensor.len(),
            ConstantData::Integer { elements, .. } => elements.len(),
        }
    }

    /// The bytes that the elements take.
    pub(super) fn bytes(&self) -> usize {
        match &self.data {
            ConstantData::Float(tensor) => tensor.len() * size_of::<f32>(),
            ConstantData::Integer { elements, .. } => elements.len() * size_of::<Size>(),
        }
    }

    /// How many constants, and ops, hold the elements.
    pub(super) fn sharers(&self) -> usize {
        match &self.data {
            ConstantData::Float(tensor) => tensor.sharers(),
            ConstantData::Integer { elements, .. } => Arc::strong_count(elements),
        }
    }

    /// The elements at `positions`, as a constant of `shape`, which has as many. It keeps the name: it is made of that
    /// initializer alone.
    pub(super) fn select(&self, shape: Vec<usize>, positions: impl Iterator<Item = usize>) -> Result<Self, ModelError> {
        let count = shape.iter().product();
        let data = match &self.data {
            ConstantData::Float(tensor) => {
                let mut picked = Vec::with_capacity(count);
                picked.extend(positions.map(|position| tensor.data()[position]));
                ConstantData::Float(Tensor::new(shape, picked)?)
            }
            ConstantData::Integer { elements, .. } => {
                let mut picked = Vec::with_capacity(count);
                picked.extend(positions.map(|position| elements[position]));
                ConstantData::Integer { shape, elements: Arc::new(picked) }
            }
        };
        Ok(Self { name: self.name.clone(), data, integers: self.integers })
    }

    /// The same elements under another shape of as many.
    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Result<Self, ModelError> {
        let data = match &self.data {
            ConstantData::Float(tensor) => ConstantData::Float(tensor.reshape(shape)?),
            ConstantData::Integer { elements, .. } => ConstantData::Integer { shape, elements: Arc::clone(elements) },
        };
        Ok(Self { name: self.name.clone(), data, integers: self.integers })
    }

    /// The elements as floats, when it holds floats or plain integers.
    pub(super) fn as_float(&self) -> Option<Tensor> {
        match &self.data {
            ConstantData::Float(tensor) => Some(tensor.clone()),
            ConstantData::Integer { shape, elements } => {
                let fixed = |size: &Size| match size {
                    Size::Fixed(value) => Some(*value as f32),
                    Size::Batch(_) | Size::Sample { .. } => None,
                };
                Tensor::new(shape.as_slice(), elements.iter().map(fixed).collect::<Option<_>>()?).ok()
            }
        }
    }

    /// The elements, when they are integers.
    pub(super) fn sizes(&self) -> Option<&[Size]> {
        match &self.data {
            ConstantData::Integer { elements, .. } => Some(elements),
            ConstantData::Float(_) => None,
        }
    }
}

/// Whether values of the type are computed as floats here.
pub(super) fn is_float(code: i64) -> bool {
    let code = i32::try_from(code).unwrap_or(0);
    matches!(
        ElementType::from_code(code),
        ElementType::Float32 | ElementType::Float16 | ElementType::BFloat16 | ElementType::Float64
    )
}
