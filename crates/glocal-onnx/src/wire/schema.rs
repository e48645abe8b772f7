//! What each field of an ONNX message becomes in memory, as far as its size is concerned.

use crate::proto::{
    AttributeProto, DeviceConfigurationProto, FunctionProto, GraphProto, IntIntListEntryProto, ModelProto,
    NodeDeviceConfigurationProto, NodeProto, OperatorSetIdProto, ShardedDimProto, ShardingSpecProto,
    SimpleShardedDimProto, SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto,
    TrainingInfoProto, TypeProto, ValueInfoProto, tensor_proto, tensor_shape_proto, type_proto,
};

/// The fields of one message.
pub(super) struct MessageSchema {
    /// Bytes of the message's struct.
    pub(super) size: usize,
    fields: &'static [(u32, Content)],
}

impl MessageSchema {
    /// What a field holds; `None` for a field that ONNX does not have.
    pub(super) fn content(&self, number: u32) -> Option<&'static Content> {
        self.fields.iter().find(|(known, _)| *known == number).map(|(_, content)| content)
    }
}

/// What a field holds.
pub(super) enum Content {
    /// A message of its own.
    Message(&'static MessageSchema),
    /// A string, copied.
    Text,
    /// Bytes, shared with the outline's buffer.
    Bytes,
    /// The elements of a tensor as bytes, which stay in the file.
    Elements,
    /// A list of variable-length numbers, each of this many bytes once decoded.
    Varints(usize),
    /// A list of numbers of fixed length.
    Fixed,
    /// One number inside the message's struct. The ONNX float `f` of an attribute has 32 bits, all others vary in length.
    Scalar,
}

use Content::{Bytes, Elements, Fixed, Message, Scalar, Text, Varints};

macro_rules! schema {
    ($(#[$meta:meta])* $visibility:vis $name:ident: $message:ty { $($number:literal => $content:expr),* $(,)? }) => {
        $(#[$meta])*
        $visibility static $name: MessageSchema =
            MessageSchema { size: size_of::<$message>(), fields: &[$(($number, $content)),*] };
    };
}

schema!(
    /// A whole file.
    pub(super) MODEL: ModelProto {
        1 => Scalar, 2 => Text, 3 => Text, 4 => Text, 5 => Scalar, 6 => Text, 7 => Message(&GRAPH), 8 => Message(&OPSET),
        14 => Message(&ENTRY), 20 => Message(&TRAINING), 25 => Message(&FUNCTION), 26 => Message(&DEVICE),
    }
);
schema!(GRAPH: GraphProto {
    1 => Message(&NODE), 2 => Text, 5 => Message(&TENSOR), 10 => Text, 11 => Message(&VALUE), 12 => Message(&VALUE),
    13 => Message(&VALUE), 14 => Message(&ANNOTATION), 15 => Message(&SPARSE), 16 => Message(&ENTRY),
});
schema!(NODE: NodeProto {
    1 => Text, 2 => Text, 3 => Text, 4 => Text, 5 => Message(&ATTRIBUTE), 6 => Text, 7 => Text, 8 => Text,
    9 => Message(&ENTRY), 10 => Message(&PLACEMENT),
});
schema!(ATTRIBUTE: AttributeProto {
    1 => Text, 2 => Scalar, 3 => Scalar, 4 => Bytes, 5 => Message(&TENSOR), 6 => Message(&GRAPH), 7 => Fixed,
    8 => Varints(size_of::<i64>()), 9 => Bytes, 10 => Message(&TENSOR), 11 => Message(&GRAPH), 13 => Text,
    14 => Message(&TYPE), 15 => Message(&TYPE), 20 => Scalar, 21 => Text, 22 => Message(&SPARSE), 23 => Message(&SPARSE),
});
schema!(TENSOR: TensorProto {
    1 => Varints(size_of::<i64>()), 2 => Scalar, 3 => Message(&SEGMENT), 4 => Fixed, 5 => Varints(size_of::<i32>()),
    6 => Bytes, 7 => Varints(size_of::<i64>()), 8 => Text, 9 => Elements, 10 => Fixed, 11 => Varints(size_of::<u64>()),
    12 => Text, 13 => Message(&ENTRY), 14 => Scalar, 16 => Message(&ENTRY),
});
schema!(SEGMENT: tensor_proto::Segment { 1 => Scalar, 2 => Scalar });
schema!(SPARSE: SparseTensorProto { 1 => Message(&TENSOR), 2 => Message(&TENSOR), 3 => Varints(size_of::<i64>()) });
schema!(VALUE: ValueInfoProto { 1 => Text, 2 => Message(&TYPE), 3 => Text, 4 => Message(&ENTRY) });
schema!(TYPE: TypeProto {
    1 => Message(&TENSOR_TYPE), 4 => Message(&SEQUENCE), 5 => Message(&MAP), 6 => Text, 7 => Message(&OPAQUE),
    8 => Message(&TENSOR_TYPE), 9 => Message(&SEQUENCE),
});
schema!(TENSOR_TYPE: type_proto::Tensor { 1 => Scalar, 2 => Message(&SHAPE) });
// An optional's only field is that of a sequence.
schema!(SEQUENCE: type_proto::Sequence { 1 => Message(&TYPE) });
schema!(MAP: type_proto::Map { 1 => Scalar, 2 => Message(&TYPE) });
schema!(OPAQUE: type_proto::Opaque { 1 => Text, 2 => Text });
schema!(SHAPE: TensorShapeProto { 1 => Message(&DIMENSION) });
schema!(DIMENSION: tensor_shape_proto::Dimension { 1 => Scalar, 2 => Text, 3 => Text });
schema!(OPSET: OperatorSetIdProto { 1 => Text, 2 => Scalar });
schema!(ENTRY: StringStringEntryProto { 1 => Text, 2 => Text });
schema!(ANNOTATION: TensorAnnotation { 1 => Text, 2 => Message(&ENTRY) });
schema!(TRAINING: TrainingInfoProto {
    1 => Message(&GRAPH), 2 => Message(&GRAPH), 3 => Message(&ENTRY), 4 => Message(&ENTRY),
});
schema!(FUNCTION: FunctionProto {
    1 => Text, 4 => Text, 5 => Text, 6 => Text, 7 => Message(&NODE), 8 => Text, 9 => Message(&OPSET), 10 => Text,
    11 => Message(&ATTRIBUTE), 12 => Message(&VALUE), 13 => Text, 14 => Message(&ENTRY),
});
schema!(DEVICE: DeviceConfigurationProto { 1 => Text, 2 => Scalar, 3 => Text });
schema!(PLACEMENT: NodeDeviceConfigurationProto { 1 => Text, 2 => Message(&SHARDING), 3 => Scalar });
schema!(SHARDING: ShardingSpecProto {
    1 => Text, 2 => Varints(size_of::<i64>()), 3 => Message(&GROUP), 4 => Message(&SHARDED_DIM),
});
schema!(GROUP: IntIntListEntryProto { 1 => Scalar, 2 => Varints(size_of::<i64>()) });
schema!(SHARDED_DIM: ShardedDimProto { 1 => Scalar, 2 => Message(&SIMPLE_SHARDED_DIM) });
schema!(SIMPLE_SHARDED_DIM: SimpleShardedDimProto { 1 => Scalar, 2 => Text, 3 => Scalar });
