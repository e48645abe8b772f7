//! Views that are kept on disk.
//!
//! What is kept is the relevance, not the picture: one pass through the model makes it, while colors, masks, cuts and sizes
//! are drawn anew in no time, so that changing them computes nothing. Its key is a hash of all that it depends on: the model,
//! how it was prepared, the rules, the values of the sample as the model takes it, the concept, where relevance starts,
//! and the version of this code.
//!
//! A model is known by the hash of its file, as in a store: weights in files beside it are not part of that.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use glocal_compute::Tensor;

use super::{Origin, Part, Wanted};
use crate::cache::{Cache, CacheError, Key, KeyHasher};
use crate::store::Manifest;

/// What is kept, and the version of the code that computes it: raised when any number changes, so that older ones are not found.
const KIND: &str = "conditional relevance, version 1";

/// A cache for the views of one store's samples, or of others with the same model and rules.
#[derive(Debug)]
pub struct ViewCache {
    cache: Cache,
    /// The model and its rules.
    context: KeyHasher,
    found: AtomicU64,
    made: AtomicU64,
    bytes: AtomicU64,
    fault: Mutex<Option<CacheError>>,
}

/// What was found in a cache and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Views that were found.
    pub found: u64,
    /// Views that were computed and kept.
    pub made: u64,
    /// The bytes that were kept of them.
    pub bytes: u64,
}

impl ViewCache {
    /// Views with the model and the rules of `manifest`, in `cache`.
    pub fn new(cache: Cache, manifest: &Manifest) -> Self {
        let mut context = KeyHasher::new(KIND);
        context.text(env!("CARGO_PKG_VERSION"));
        let model = &manifest.model;
        context.text(&model.blake3);
        context.number(u64::from(model.canonized));
        context.text(&model.explained);
        context.number(manifest.composite.rules.len() as u64);
        manifest.composite.rules.iter().for_each(|rule| context.text(rule));
        let [found, made, bytes] = std::array::from_fn(|_| AtomicU64::new(0));
        Self { cache, context, found, made, bytes, fault: Mutex::new(None) }
    }

    /// Where they are kept.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What was found so far and what was not.
    pub fn tally(&self) -> Tally {
        let [found, made, bytes] = [&self.found, &self.made, &self.bytes].map(|count| count.load(Ordering::Relaxed));
        Tally { found, made, bytes }
    }

    /// The first error of keeping a view since this was asked last: all views were computed nevertheless.
    pub fn fault(&self) -> Option<CacheError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What identifies a sample: its shape and values as the model takes them.
    pub(super) fn input(&self, input: &Tensor) -> Key {
        let mut hasher = KeyHasher::new("input");
        hasher.number(input.shape().len() as u64);
        input.shape().iter().for_each(|length| hasher.number(*length as u64));
        hasher.values(input.data());
        hasher.finish()
    }

    /// What identifies a view of that input.
    pub(super) fn key(&self, wanted: &Wanted, input: Key) -> Key {
        let mut hasher = self.context.clone();
        hasher.text(&input.to_string());
        hasher.text(&wanted.layer);
        let (origin, class) = match wanted.origin {
            Origin::Activation => ("activation", 0),
            Origin::Class(class) => ("class", class),
        };
        hasher.text(origin);
        hasher.number(class.into());
        let (part, index) = match wanted.part {
            Part::Channel(id) => ("channel", id),
            Part::Neuron(position) => ("neuron", position),
            Part::Whole => ("whole", 0),
        };
        hasher.text(part);
        hasher.number(index as u64);
        hasher.finish()
    }

    /// The relevance of that key, in this shape.
    pub(super) fn find(&self, key: Key, shape: &[usize]) -> Option<Tensor> {
        let packed = self.cache.find(key)?;
        let bytes = shape.iter().product::<usize>() * size_of::<f32>();
        let mut unpacked = Vec::with_capacity(bytes);
        // Never more than is expected, whatever the entry says.
        ZlibDecoder::new(packed.as_slice()).take(bytes as u64 + 1).read_to_end(&mut unpacked).ok()?;
        if unpacked.len() != bytes {
            return None;
        }
        let values = unpacked.chunks_exact(size_of::<f32>()).filter_map(|bytes| bytes.try_into().ok());
        let relevance = Tensor::new(shape, values.map(f32::from_le_bytes).collect()).ok()?;
        self.found.fetch_add(1, Ordering::Relaxed);
        Some(relevance)
    }

    /// Keeps relevance under that key.
    pub(super) fn keep(&self, key: Key, relevance: &Tensor) {
        // Most of a neuron's relevance is zero.
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let values: Vec<u8> = relevance.data().iter().flat_map(|value| value.to_le_bytes()).collect();
        let Ok(packed) = encoder.write_all(&values).and_then(|()| encoder.finish()) else { return };
        match self.cache.keep(key, &packed) {
            Ok(true) => {
                self.made.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(packed.len() as u64, Ordering::Relaxed);
            }
            Ok(false) => {}
            Err(error) => {
                self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }
}
