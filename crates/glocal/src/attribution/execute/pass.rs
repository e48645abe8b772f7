//! The edges of the tree of conditions.

use crate::attribution::Target;
use crate::concept::Selection;
use crate::model::NodeId;

/// Where a pass starts, and where it ends: `None` is all the way down.
pub(super) type Span = (NodeId, Option<NodeId>);

/// An edge of the tree of conditions.
pub(super) struct Pass<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) from: NodeId,
    /// Where it ends, before the mask there: at the next conditioned layer, or under whole scope at the highest; `None` is
    /// all the way down.
    pub(super) to: Option<NodeId>,
    /// The last condition that goes this way.
    pub(super) last: usize,
}

/// What a pass starts with.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// The initial relevance of a target.
    Target(&'a Target),
    /// What another pass brought down, masked.
    Mask { above: usize, mask: &'a Selection },
}

/// What two equal origins have in common, and no others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OriginKey<'a> {
    Everything,
    Predicted,
    Some((usize, &'a [usize])),
    Mask(usize, (usize, &'a [usize])),
}

impl<'a> Origin<'a> {
    /// What it is found by.
    pub(super) fn key(self) -> OriginKey<'a> {
        match self {
            Self::Target(Target::Everything) => OriginKey::Everything,
            Self::Target(Target::Predicted) => OriginKey::Predicted,
            Self::Target(Target::Some(selection)) => OriginKey::Some(selection.key()),
            Self::Mask { above, mask } => OriginKey::Mask(above, mask.key()),
        }
    }
}
