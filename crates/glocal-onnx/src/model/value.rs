//! What a model says about its inputs and outputs.

use crate::element_type::ElementType;
use crate::error::{OnnxError, OnnxErrorKind};
use crate::proto::tensor_shape_proto::dimension::Value as DimensionValue;
use crate::proto::type_proto::Value as TypeValue;
use crate::proto::{TensorShapeProto, ValueInfoProto};

/// An input or output of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueInfo {
    /// Its name.
    pub name: String,
    /// Type of its elements; `Undefined` if the file does not say.
    pub element_type: ElementType,
    /// Its dimensions, outermost first; `None` if even their number is unknown.
    pub shape: Option<Vec<Dimension>>,
}

/// One dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Always this size.
    Fixed(usize),
    /// Any size, the same wherever the name occurs, such as `batch`.
    Named(String),
    /// Any size.
    Unknown,
}

impl ValueInfo {
    pub(super) fn from_proto(proto: ValueInfoProto) -> Result<Self, OnnxError> {
        let name = proto.name;
        match proto.r#type.and_then(|kind| kind.value) {
            None => Ok(Self { name, element_type: ElementType::Undefined, shape: None }),
            Some(TypeValue::TensorType(tensor)) => Ok(Self {
                name,
                element_type: ElementType::from_code(tensor.elem_type),
                shape: tensor.shape.map(dimensions),
            }),
            Some(_) => Err(OnnxErrorKind::NotATensor { name }.into()),
        }
    }
}

fn dimensions(shape: TensorShapeProto) -> Vec<Dimension> {
    let dimension = |value: Option<DimensionValue>| match value {
        // A negative size is how some converters write an unknown one.
        Some(DimensionValue::DimValue(size)) => usize::try_from(size).map_or(Dimension::Unknown, Dimension::Fixed),
        Some(DimensionValue::DimParam(name)) if !name.is_empty() => Dimension::Named(name),
        Some(DimensionValue::DimParam(_)) | None => Dimension::Unknown,
    };
    shape.dim.into_iter().map(|dim| dimension(dim.value)).collect()
}
