//! From a tensor message to decoded elements: every length is checked before memory is asked for.

use half::{bf16, f16};
use prost::bytes::Bytes;

use super::{Data, Tensor, elements};
use crate::budget::Budget;
use crate::element_type::ElementType;
use crate::error::{ExternalProblem, OnnxError, OnnxErrorKind, TensorPlace, TensorProblem};
use crate::external::{self, ExternalBytes, ExternalData};
use crate::proto::{DataLocation, TensorProto};
use crate::source::{Source, Stored};

/// The most dimensions of a tensor: what is made of it repeats its shape.
const LARGEST_RANK: usize = 64;

/// Decodes the tensors of one model.
pub(crate) struct Decoder<'a> {
    budget: Budget,
    external: ExternalData,
    /// Where the elements are that `raw_data` refers to.
    source: &'a mut dyn Source,
}

/// What a tensor claims to be.
struct Claim {
    shape: Vec<usize>,
    count: usize,
    element_type: ElementType,
}

impl<'a> Decoder<'a> {
    /// The files beside the model that were read.
    pub(crate) fn external_files(&self) -> Vec<std::path::PathBuf> {
        self.external.files()
    }

    pub(crate) fn new(budget: Budget, external: ExternalData, source: &'a mut dyn Source) -> Self {
        Self { budget, external, source }
    }

    /// Decodes the tensor that lies at this place of the model, whose `raw_data` is a [`Stored`].
    /// `place` is only asked for errors: names may be long.
    pub(crate) fn decode(
        &mut self,
        mut proto: TensorProto,
        place: &dyn Fn(&str) -> TensorPlace,
    ) -> Result<Tensor, OnnxError> {
        let name = std::mem::take(&mut proto.name);
        let failed = |problem| OnnxError::from(OnnxErrorKind::Tensor { tensor: place(&name), problem });
        let claim = Claim::check(&proto).map_err(failed)?;
        let data = if proto.data_location == DataLocation::External as i32 {
            self.external_data(&proto, &claim, &|| place(&name))?
        } else {
            // Too few bytes for the claim are found here, before it is believed.
            claim.check_length(&proto).map_err(failed)?;
            match Stored::from_message(proto.raw_data.as_deref()) {
                Some(stored) => self.raw_data(stored, &claim, &failed)?,
                None => {
                    if !claim.is_moved() {
                        self.budget.charge(claim.decoded_size())?;
                    }
                    from_typed(proto, claim.element_type).map_err(failed)?
                }
            }
        };
        Ok(Tensor { name, shape: claim.shape, element_type: claim.element_type, data })
    }

    fn raw_data(
        &mut self,
        stored: Stored,
        claim: &Claim,
        failed: &dyn Fn(TensorProblem) -> OnnxError,
    ) -> Result<Data, OnnxError> {
        if claim.element_type.size().is_none() {
            return Err(failed(unsupported(claim.element_type)));
        }
        self.budget.charge(claim.decoded_size())?;
        let read = stored.seek(self.source).and_then(|bytes| elements::read(bytes, claim.count, claim.element_type));
        let data = read.map_err(|cause| OnnxError::caused(OnnxErrorKind::Unreadable, cause))?;
        claim.check_range(&data).map_err(failed)?;
        Ok(data)
    }

    fn external_data(
        &mut self,
        proto: &TensorProto,
        claim: &Claim,
        place: &dyn Fn() -> TensorPlace,
    ) -> Result<Data, OnnxError> {
        let Some(size) = claim.element_type.size() else {
            let (tensor, location) = (place(), String::new());
            return Err(OnnxErrorKind::ExternalData { tensor, location, problem: ExternalProblem::Strings }.into());
        };
        let failed = |problem| OnnxErrorKind::Tensor { tensor: place(), problem };
        let expected = claim.count as u64 * size as u64;
        match self.external.find(place, &proto.external_data, expected, &mut self.budget)? {
            ExternalBytes::Found(mut file) => {
                self.budget.charge(claim.decoded_size())?;
                let data = elements::read(&mut file, claim.count, claim.element_type);
                let data = data.map_err(|cause| external::unreadable(place, &proto.external_data, cause))?;
                claim.check_range(&data).map_err(failed)?;
                Ok(data)
            }
            ExternalBytes::OtherLength(actual) => Err(failed(claim.wrong_byte_count(actual)).into()),
        }
    }
}

impl Claim {
    /// Checks what can be checked without looking at the data.
    fn check(proto: &TensorProto) -> Result<Self, TensorProblem> {
        let element_type = ElementType::from_code(proto.data_type);
        if element_type.size().is_none() && element_type != ElementType::String {
            return Err(TensorProblem::UnsupportedElementType { element_type });
        }
        if proto.segment.is_some() {
            return Err(TensorProblem::Segmented);
        }
        let external = proto.data_location == DataLocation::External as i32;
        let raw = Stored::from_message(proto.raw_data.as_deref()).is_some();
        let typed = [
            !proto.float_data.is_empty(),
            !proto.int32_data.is_empty(),
            !proto.string_data.is_empty(),
            !proto.int64_data.is_empty(),
            !proto.double_data.is_empty(),
            !proto.uint64_data.is_empty(),
        ];
        let typed = typed.iter().filter(|present| **present).count();
        if usize::from(external) + usize::from(raw) + typed > 1 {
            return Err(TensorProblem::SeveralSources);
        }
        if proto.dims.len() > LARGEST_RANK {
            return Err(TensorProblem::TooManyDimensions { count: proto.dims.len(), limit: LARGEST_RANK });
        }
        let shape = proto.dims.iter().map(|dimension| usize::try_from(*dimension)).collect::<Result<Vec<_>, _>>();
        let Ok(shape) = shape else {
            return Err(TensorProblem::NegativeDimension { shape: proto.dims.clone() });
        };
        // A dimension of 0 must not hide the overflow of the others: whoever computes strides would meet it. The widest
        // decoded element has 8 bytes.
        let addressable = shape.iter().try_fold(8_usize, |bytes, dimension| bytes.checked_mul((*dimension).max(1)));
        if addressable.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(TensorProblem::ShapeOverflow { shape: proto.dims.clone() });
        }
        Ok(Self { count: shape.iter().product(), shape, element_type })
    }

    /// Compares the data inside the message with the claim.
    fn check_length(&self, proto: &TensorProto) -> Result<(), TensorProblem> {
        let stored = Stored::from_message(proto.raw_data.as_deref());
        if let (Some(Stored { length, .. }), Some(size)) = (stored, self.element_type.size()) {
            let wrong = length != self.count as u64 * size as u64;
            return if wrong { Err(self.wrong_byte_count(length)) } else { Ok(()) };
        }
        let actual = match self.element_type {
            ElementType::Float32 => proto.float_data.len(),
            ElementType::Float64 => proto.double_data.len(),
            ElementType::Int64 => proto.int64_data.len(),
            ElementType::Uint32 | ElementType::Uint64 => proto.uint64_data.len(),
            ElementType::String => proto.string_data.len(),
            _ => proto.int32_data.len(),
        };
        if actual != self.count {
            let (shape, element_type) = (self.shape.clone(), self.element_type);
            return Err(TensorProblem::WrongValueCount { shape, element_type, expected: self.count, actual });
        }
        Ok(())
    }

    fn wrong_byte_count(&self, actual: u64) -> TensorProblem {
        let expected = self.count as u64 * self.element_type.size().unwrap_or(0) as u64;
        TensorProblem::WrongByteCount { shape: self.shape.clone(), element_type: self.element_type, expected, actual }
    }

    /// Checks what was read as 64 signed bits and is unsigned.
    fn check_range(&self, data: &Data) -> Result<(), TensorProblem> {
        match (self.element_type, data) {
            (ElementType::Uint64, Data::I64(values)) => {
                let beyond = values.iter().find(|value| **value < 0);
                beyond.map_or(Ok(()), |value| Err(out_of_range(value.cast_unsigned(), self.element_type)))
            }
            _ => Ok(()),
        }
    }

    /// Whether a message that holds the elements itself has them as they stay: they are moved, not copied.
    fn is_moved(&self) -> bool {
        matches!(self.element_type, ElementType::Float32 | ElementType::Int64)
    }

    /// Bytes of the decoded elements.
    fn decoded_size(&self) -> u64 {
        let size = match self.element_type {
            ElementType::Float32 | ElementType::Float16 | ElementType::BFloat16 | ElementType::Float64 => 4,
            ElementType::Bool => 1,
            ElementType::String => size_of::<String>() as u64,
            _ => 8,
        };
        self.count as u64 * size
    }
}

fn unsupported(element_type: ElementType) -> TensorProblem {
    TensorProblem::UnsupportedElementType { element_type }
}

/// Decodes the typed field that belongs to the type. Types narrower than 32 bits share `int32_data`.
fn from_typed(proto: TensorProto, element_type: ElementType) -> Result<Data, TensorProblem> {
    let narrow = proto.int32_data;
    Ok(match element_type {
        ElementType::Float32 => Data::F32(proto.float_data),
        ElementType::Float64 => Data::F32(proto.double_data.into_iter().map(|value| value as f32).collect()),
        ElementType::Float16 => Data::F32(all_half(&narrow, element_type, |bits| f16::from_bits(bits).to_f32())?),
        ElementType::BFloat16 => Data::F32(all_half(&narrow, element_type, |bits| bf16::from_bits(bits).to_f32())?),
        ElementType::Int8 => Data::I64(all_within::<i8>(&narrow, element_type)?),
        ElementType::Int16 => Data::I64(all_within::<i16>(&narrow, element_type)?),
        ElementType::Int32 => Data::I64(all_within::<i32>(&narrow, element_type)?),
        ElementType::Uint8 => Data::I64(all_within::<u8>(&narrow, element_type)?),
        ElementType::Uint16 => Data::I64(all_within::<u16>(&narrow, element_type)?),
        ElementType::Bool => Data::Bool(narrow.iter().map(|value| *value != 0).collect()),
        ElementType::Int64 => Data::I64(proto.int64_data),
        ElementType::Uint32 => {
            for value in &proto.uint64_data {
                u32::try_from(*value).map_err(|_| out_of_range(*value, element_type))?;
            }
            Data::I64(all_signed(proto.uint64_data.into_iter(), element_type)?)
        }
        ElementType::Uint64 => Data::I64(all_signed(proto.uint64_data.into_iter(), element_type)?),
        ElementType::String => Data::String(proto.string_data.iter().map(text).collect::<Result<_, _>>()?),
        ElementType::Undefined | ElementType::Undecoded(_) | ElementType::Unknown(_) => {
            return Err(unsupported(element_type));
        }
    })
}

fn out_of_range(value: impl Into<i128>, element_type: ElementType) -> TensorProblem {
    TensorProblem::ValueOutOfRange { value: value.into(), element_type }
}

fn all_signed(values: impl Iterator<Item = u64>, element_type: ElementType) -> Result<Vec<i64>, TensorProblem> {
    values.map(|value| i64::try_from(value).map_err(|_| out_of_range(value, element_type))).collect()
}

fn all_within<T: TryFrom<i32> + Into<i64>>(
    values: &[i32],
    element_type: ElementType,
) -> Result<Vec<i64>, TensorProblem> {
    let widen = |value: i32| T::try_from(value).map(Into::into).map_err(|_| out_of_range(value, element_type));
    values.iter().map(|value| widen(*value)).collect()
}

fn all_half(values: &[i32], element_type: ElementType, decode: fn(u16) -> f32) -> Result<Vec<f32>, TensorProblem> {
    let decode = |value: i32| u16::try_from(value).map(decode).map_err(|_| out_of_range(value, element_type));
    values.iter().map(|value| decode(*value)).collect()
}

fn text(bytes: &Bytes) -> Result<String, TensorProblem> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| TensorProblem::NotUtf8)
}

#[cfg(test)]
mod tests;
