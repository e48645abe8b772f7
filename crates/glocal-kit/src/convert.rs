//! Stores in the layout of the Python library zennit-crp, so that what one has found can be looked at with the other.
//!
//! The library keeps a folder for each kind of search, all with one suffix that says how relevance was scored
//! (`sum_normed`, `max_unnormed`, ...):
//!
//! | file | content |
//! |---|---|
//! | `RelMax_SUFFIX/LAYER_data.npy` | the samples of each concept's ranking by relevance, int64 `[ranks, concepts]`, best first |
//! | `RelMax_SUFFIX/LAYER_rel.npy` | their scores, float32 |
//! | `RelMax_SUFFIX/LAYER_rf.npy` | the positions of their peaks within the concept, int64 |
//! | `ActMax_SUFFIX/...` | the same by activation |
//! | `RelStats_SUFFIX/LAYER/CLASS_data.npy`, ... | the same among the samples of a class |
//! | `ActStats_SUFFIX/LAYER/CLASS_data.npy`, ... | the same by activation |
//! | `RelStats_SUFFIX/targets.npy`, `ActStats_SUFFIX/targets.npy` | the classes |

mod error;
mod from_zennit_crp;
mod npy;
mod to_zennit_crp;

pub use error::{ConvertError, ConvertErrorKind};
pub use from_zennit_crp::{Search, from_zennit_crp};
pub use to_zennit_crp::{Written, to_zennit_crp};

use glocal::search::Measure;

/// What the names of the folders of a measure begin with: of rankings over all samples, and of those by class.
fn folders(measure: Measure) -> [&'static str; 2] {
    match measure {
        Measure::Relevance => ["RelMax_", "RelStats_"],
        Measure::Activation => ["ActMax_", "ActStats_"],
    }
}

/// The file of the classes.
const CLASSES: &str = "targets.npy";
