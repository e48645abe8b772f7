//! The element types of stored arrays.

/// The type of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementType {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

/// Which byte of an element comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ElementType {
    /// The number of bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The name of the type, as NumPy has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// The values of the elements in `bytes`, rounded to the nearest `f32`.
    pub(super) fn decode(self, bytes: &[u8], order: ByteOrder) -> Vec<f32> {
        match (self, order) {
            (Self::U8, _) => bytes.iter().map(|&byte| byte.into()).collect(),
            (Self::F32, ByteOrder::Little) => {
                let (elements, _) = bytes.as_chunks();
                elements.iter().map(|&element| f32::from_le_bytes(element)).collect()
            }
            _ => bytes.chunks_exact(self.size()).map(|element| self.value(element, order) as f32).collect(),
        }
    }

    /// The value of one element; exact but for 64-bit integers beyond 2⁵³.
    pub(super) fn value(self, element: &[u8], order: ByteOrder) -> f64 {
        let mut bytes = [0; 8];
        bytes[..element.len()].copy_from_slice(element);
        if order == ByteOrder::Big {
            bytes[..element.len()].reverse();
        }
        let [a, b, c, d, ..] = bytes;
        match self {
            Self::Bool => f64::from(u8::from(a != 0)),
            Self::U8 => a.into(),
            Self::I8 => i8::from_le_bytes([a]).into(),
            Self::U16 => u16::from_le_bytes([a, b]).into(),
            Self::I16 => i16::from_le_bytes([a, b]).into(),
            Self::U32 => u32::from_le_bytes([a, b, c, d]).into(),
            Self::I32 => i32::from_le_bytes([a, b, c, d]).into(),
            Self::U64 => u64::from_le_bytes(bytes) as f64,
            Self::I64 => i64::from_le_bytes(bytes) as f64,
            Self::F16 => half::f16::from_le_bytes([a, b]).into(),
            Self::Bf16 => half::bf16::from_le_bytes([a, b]).into(),
            Self::F32 => f32::from_le_bytes([a, b, c, d]).into(),
            Self::F64 => f64::from_le_bytes(bytes),
        }
    }
}
