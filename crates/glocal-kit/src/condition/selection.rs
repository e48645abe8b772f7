//! The text form of some concepts of a layer: `50,51`, `50@3:7`, `token:5`, `head:2/8`, `direction:FILE#3`.

use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use glocal::concept::{Concept, Direction, Head, Selection, Site};
use glocal::model::{Model, NodeId};

use super::error::ConditionErrorKind;
use super::positions::{number, positions, ranges};
use crate::data::load_directions;

/// What stands before a file of directions, and the equals sign before that.
const DIRECTION: &str = "direction:";
pub(super) const OF_FILE: &str = "=direction:";

const TOKEN: &str = "token:";
const HEAD: &str = "head:";

/// Reads selections for one model. The same file is read once, and the same kind of concept is one: conditions that have it in
/// common share work.
pub(super) struct Reader<'m> {
    model: &'m Model,
    directions: BTreeMap<String, Arc<Direction>>,
    heads: BTreeMap<NonZeroUsize, Arc<Head>>,
}

impl<'m> Reader<'m> {
    pub(super) fn new(model: &'m Model) -> Self {
        Self { model, directions: BTreeMap::new(), heads: BTreeMap::new() }
    }

    pub(super) fn explained(&self) -> NodeId {
        self.model.explained()
    }

    pub(super) fn layer(&self, name: &str) -> Result<NodeId, ConditionErrorKind> {
        self.model.layer(name).map_err(ConditionErrorKind::Layer)
    }

    /// Some concepts of `node`, which the text calls `layer`.
    pub(super) fn selection(&mut self, text: &str, layer: &str, node: NodeId) -> Result<Selection, ConditionErrorKind> {
        let site = self.model.graph().site(node);
        if let Some(text) = text.strip_prefix(DIRECTION) {
            return self.directions(text, layer, &site);
        }
        if let Some(text) = text.strip_prefix(HEAD) {
            return self.heads(text, layer, &site);
        }
        if let Some(text) = text.strip_prefix(TOKEN) {
            let found: Result<Vec<_>, _> = text.split(',').map(|text| positions(text, None, layer, &site)).collect();
            return Ok(Selection::tokens(found?.into_iter().flatten()));
        }
        let (mut channels, mut neurons) = (Vec::new(), Vec::new());
        for id in text.split(',').map(str::trim) {
            match id.split_once('@') {
                None => channels.push(number(id)?),
                Some((channel, text)) => {
                    let channel = number(channel)?;
                    let found = positions(text, Some(channel), layer, &site)?;
                    neurons.extend(found.into_iter().map(|position| site.element(channel, position)));
                }
            }
        }
        match (channels.is_empty(), neurons.is_empty()) {
            (false, false) => Err(ConditionErrorKind::Mixed { layer: layer.to_owned() }),
            (_, true) => Ok(Selection::channels(channels)),
            _ => Ok(Selection::neurons(neurons)),
        }
    }

    /// Heads: `2,3/8`.
    fn heads(&mut self, text: &str, layer: &str, site: &Site<'_>) -> Result<Selection, ConditionErrorKind> {
        let unreadable = || ConditionErrorKind::Heads { layer: layer.to_owned(), given: text.to_owned() };
        let (ids, heads) = text.rsplit_once('/').ok_or_else(unreadable)?;
        let heads = NonZeroUsize::new(number(heads)?).ok_or_else(unreadable)?;
        let unfit = |reason| ConditionErrorKind::UnfitHeads { layer: layer.to_owned(), reason };
        Head { heads }.check(site).map_err(unfit)?;
        let missing = |id| ConditionErrorKind::NoHead { id, heads: heads.get() };
        let ids = ranges(ids, heads.get(), missing)?;
        let kind = Arc::clone(self.heads.entry(heads).or_insert_with(|| Arc::new(Head { heads })));
        Ok(Selection::new(kind, ids))
    }

    /// Directions of a file: `FILE#3,5`.
    fn directions(&mut self, text: &str, layer: &str, site: &Site<'_>) -> Result<Selection, ConditionErrorKind> {
        let (path, ids) =
            text.rsplit_once('#').ok_or_else(|| ConditionErrorKind::NoDirections { given: text.to_owned() })?;
        let directions = self.file(path)?;
        if directions.channels() != site.channels() {
            return Err(ConditionErrorKind::DirectionLength {
                path: path.to_owned(),
                length: directions.channels(),
                layer: layer.to_owned(),
                channels: site.channels(),
            });
        }
        let count = directions.len();
        let missing = |id| ConditionErrorKind::NoDirection { path: path.to_owned(), count, id };
        let ids = ranges(ids, count, missing)?;
        Ok(Selection::new(directions, ids))
    }

    /// All directions of a file.
    fn file(&mut self, path: &str) -> Result<Arc<Direction>, ConditionErrorKind> {
        if let Some(known) = self.directions.get(path) {
            return Ok(Arc::clone(known));
        }
        let vectors = load_directions(Path::new(path)).map_err(|cause| {
            let source = cause.source().map(|source| format!(": {source}"));
            ConditionErrorKind::DirectionFile { message: format!("{cause}{}", source.unwrap_or_default()) }
        })?;
        let unfit = |cause| ConditionErrorKind::Vectors { path: path.to_owned(), cause: Box::new(cause) };
        let directions = Arc::new(Direction::new(&vectors).map_err(unfit)?);
        self.directions.insert(path.to_owned(), Arc::clone(&directions));
        Ok(directions)
    }
}
