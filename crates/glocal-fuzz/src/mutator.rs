//! Damages model files: a case is a number, and the same number gives the same bytes.
//!
//! Most cases stay well-formed messages that say something else ([`graph`]), for only those reach the readers of ops. The
//! rest breaks the wire format ([`wire`]) or plain bytes ([`bytes`]).

mod attribute;
mod bytes;
mod graph;
mod tensor;
mod wire;

use glocal_onnx::proto::ModelProto;
use prost::Message;

use crate::random::Random;

/// No mutated file is longer: copies of copies of graphs are not worth the time.
const LONGEST_FILE: usize = 1 << 18;

/// A source of damaged models.
#[derive(Debug)]
pub struct Mutator {
    seed: u64,
    originals: Vec<Original>,
}

#[derive(Debug)]
struct Original {
    bytes: Vec<u8>,
    /// `None` if the file is no model: it may be damaged all the same.
    model: Option<ModelProto>,
}

impl Mutator {
    /// A mutator of these files.
    #[must_use]
    pub fn new(seed: u64, files: Vec<Vec<u8>>) -> Self {
        let original = |bytes: Vec<u8>| Original { model: ModelProto::decode(bytes.as_slice()).ok(), bytes };
        Self { seed, originals: files.into_iter().map(original).collect() }
    }

    /// The damaged file of that number.
    #[must_use]
    pub fn case(&self, number: u64) -> Vec<u8> {
        let mut random = Random::for_case(self.seed, number);
        let (Some(original), Some(other)) = (random.one_of(&self.originals), random.one_of(&self.originals)) else {
            return Vec::new();
        };
        let mut bytes = match (&original.model, &other.model) {
            (Some(model), Some(other)) if !random.once_in(6) => {
                let mut model = model.clone();
                graph::damage(&mut model, other, &mut random);
                model.encode_to_vec()
            }
            _ => original.bytes.clone(),
        };
        match random.below(10) {
            0 | 1 => wire::damage(&mut bytes, &other.bytes, &mut random),
            2 => bytes::damage(&mut bytes, &other.bytes, &mut random),
            3 if random.once_in(3) => bytes::splice(&mut bytes, &other.bytes, &mut random),
            _ => {}
        }
        bytes.truncate(LONGEST_FILE);
        bytes
    }
}
