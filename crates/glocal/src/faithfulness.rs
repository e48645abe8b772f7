//! Faithfulness: whether what an explanation calls important is what the model rests on.
//!
//! Parts of a layer's output (its channels: *concept flipping*), or of the input (its pixels, or patches of them: *pixel
//! flipping*), are replaced one after the other, and the model's output is followed. Where the most important ones come first and
//! the order is faithful, the target's logit falls fast; with *insertion*, which starts with all parts replaced and puts the most
//! important ones back first, it rises fast. One number for it is the [area] under the curve.
//!
//! - [`Parts`] cuts a layer or the input into what is replaced together.
//! - [`Ranking`] brings the parts into an [`Order`].
//! - [`Flipping`] replaces them and runs what lies above again ([`Trace::rerun`](crate::attribution::Trace::rerun)), not the whole
//!   model.
//! - [`Bootstrap`] says how far means over samples, and all that is computed from them, can be trusted.
//!
//! What takes the place of a part is the caller's choice. None is neutral: zero may be as far from what a layer ever puts out as
//! the mean is near to it, and both take the upper layers to inputs that they never saw in training.
//!
//! Sources: Bach et al. 2015, doi 10.1371/journal.pone.0130140 (pixel flipping); Samek et al. 2017, doi
//! 10.1109/TNNLS.2016.2599820 (patches, area, random order); Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8 (concept
//! flipping and insertion); Efron and Tibshirani 1993, doi 10.1201/9780429246593 (percentile bootstrap).
//!
//! ```
//! use glocal::attribution::Cancel;
//! use glocal::faithfulness::{Direction, Flipping, Parts, Ranking, area, fractions, steps};
//! # use std::sync::Arc;
//! # use glocal::{Attributor, ImportOptions, Model, Request, canonize};
//! # use glocal_compute::{CpuBackend, Tensor};
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/goldens/vgg_tiny/model.onnx");
//! # let model = Model::from_onnx(glocal_onnx::Model::read(path)?, &ImportOptions::default(), Arc::new(CpuBackend::new()))?;
//! # let attributor = Attributor::new(canonize(&model)?, "epsilon-plus-flat".parse()?)?;
//! # let input = Tensor::full([1, 3, 16, 16], 0.5)?;
//! let trace = attributor.trace(&input)?;
//! let request = Request { record: vec!["features.8".to_owned()], ..Request::default() };
//! let found = trace.attribute(&request)?;
//! let relevance = &found.items[0].layers["features.8"];
//!
//! let parts = Parts::channels(relevance.shape());
//! let ranking = Ranking::descending(&parts.sums(relevance.data().iter().map(|&value| f64::from(value))));
//! let counts = steps(parts.count(), 4);
//! let zeros = vec![0.0; relevance.len()];
//! let layer = attributor.model().layer("features.8")?;
//! let cancel = Cancel::default();
//! let flipping = Flipping::new(&trace, 0, layer, &parts, &zeros, 32, &cancel)?;
//! let outputs = flipping.outputs(&ranking, &counts, Direction::Flipping)?;
//! let logits: Vec<f64> = outputs.iter().map(|output| f64::from(output[0])).collect();
//! let area = area(&fractions(&counts), &logits);
//! # assert!(outputs.len() == 5 && area.is_finite());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bootstrap;
mod curve;
mod flipping;
mod parts;
mod ranking;

pub use bootstrap::{Bootstrap, Estimate, Interval};
pub use curve::{area, fractions, steps};
pub use flipping::{Direction, Flipping};
pub use parts::Parts;
pub use ranking::{Order, Ranking};
