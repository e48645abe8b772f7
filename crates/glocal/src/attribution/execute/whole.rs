//! Whole scope below the highest mask: one way down, masked on it, with parallel branches as they are.

use std::collections::BTreeMap;

use glocal_compute::{Rows, Tensor};

use crate::attribution::execute::passed::row_of;
use crate::attribution::execute::run::{Key, Pair, Run};
use crate::attribution::execute::{Execution, Passed};
use crate::attribution::{Attribution, Descent};
use crate::concept::Selection;
use crate::error::RequestError;
use crate::model::NodeId;

/// Some results, as indices into the run: those that a row is for.
type Members = Vec<usize>;

impl Execution<'_> {
    /// From where the passes of `run` ended to the input. Results that agree so far are one row, which becomes several where
    /// their masks differ.
    pub(super) fn below_top(
        &self,
        top: NodeId,
        pairs: &[Pair],
        run: &Run<Passed>,
        results: &mut [Attribution],
    ) -> Result<(), RequestError> {
        let mut members: BTreeMap<Key, Members> = BTreeMap::new();
        for (index, pair) in pairs.iter().enumerate() {
            if let [pass] = self.plan.ways[pair.condition].as_slice() {
                members.entry(pair.key(*pass)).or_default().push(index);
            }
        }
        let Some(region) = self.plan.region(self.plan.start, Some(top)) else { return Ok(()) };
        let samples: Vec<usize> = members.keys().map(|key| key.row).collect();
        let arrived = self.resumed(members.keys(), run)?;
        let arrived = arrived.into_iter().map(|(id, relevance)| (id, relevance.into())).collect();
        let (rows, cancel) = (Rows::new(samples), &self.request.cancel);
        let mut descent = Descent::new(self.trace, arrived, rows, &region.nodes, cancel, self.ledger);
        let mut members: Vec<Members> = members.into_values().collect();
        let backend = self.trace.attributor().model().backend();
        while let Some((id, arrived)) = descent.take() {
            let mut arrived = arrived.into_whole(backend, &self.plan.graph.node(id).shape)?;
            if self.plan.is_noted(id) {
                for (row, members) in members.iter().enumerate() {
                    let relevance = row_of(backend, &arrived, row)?;
                    members.iter().for_each(|&member| self.write(id, &relevance, &pairs[member], &mut results[member]));
                }
            }
            let (of, masks, split) = self.split(id, pairs, &members);
            if masks.iter().any(Option::is_some) {
                if of.len() != members.len() {
                    arrived = backend.gather_rows(&arrived, &Rows::new(&*of))?;
                    descent.fan_out(&of)?;
                }
                members = split;
                self.mask(id, &mut arrived, &masks, descent.samples());
            }
            descent.hand_down(id, arrived.into())?;
        }
        Ok(())
    }

    /// What is under way in the rows of `keys`, together.
    fn resumed<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key> + Clone,
        run: &Run<Passed>,
    ) -> Result<BTreeMap<NodeId, Tensor>, RequestError> {
        let mut under_way: BTreeMap<NodeId, (usize, Vec<f32>)> = BTreeMap::new();
        for passed in keys.filter_map(|key| run.get(key)) {
            for (id, arrived) in &passed.pending {
                let (rows, data) = under_way.entry(*id).or_default();
                *rows += 1;
                data.extend_from_slice(arrived.data());
            }
        }
        let together = |(id, (rows, data)): (NodeId, (usize, Vec<f32>))| {
            let shape = [&[rows], self.plan.graph.node(id).shape.as_slice()].concat();
            Ok((id, Tensor::new(shape, data)?))
        };
        under_way.into_iter().map(together).collect()
    }

    /// A row for each distinct mask of a row at `node`: of which row it is, the mask, and the results that it is for.
    fn split(
        &self,
        node: NodeId,
        pairs: &[Pair],
        members: &[Members],
    ) -> (Vec<usize>, Vec<Option<&Selection>>, Vec<Members>) {
        let (mut of, mut masks, mut split) = (Vec::new(), Vec::new(), Vec::<Members>::new());
        for (row, members) in members.iter().enumerate() {
            let first = of.len();
            for &member in members {
                let of_condition = &self.plan.conditions[pairs[member].condition].masks;
                let mask = of_condition.iter().find(|(masked, _)| *masked == node).map(|(_, mask)| *mask);
                match masks[first..].iter().position(|known: &Option<&Selection>| *known == mask) {
                    Some(known) => split[first + known].push(member),
                    None => {
                        of.push(row);
                        masks.push(mask);
                        split.push(vec![member]);
                    }
                }
            }
        }
        (of, masks, split)
    }

    /// Masks what arrived at a node, row by row, each of a row of the trace.
    fn mask(&self, node: NodeId, arrived: &mut Tensor, masks: &[Option<&Selection>], samples: &[usize]) {
        let len = arrived.row_len();
        // The attribution is what arrives at the input, before a mask of the input itself.
        let ledger = self.ledger.filter(|_| node != self.plan.graph.input());
        let before = ledger.map(|_| arrived.clone());
        for (row, (mask, &sample)) in masks.iter().zip(samples).enumerate() {
            if let Some(mask) = mask {
                // Writing copies what another branch still shares.
                mask.mask(&mut arrived.data_mut()[row * len..(row + 1) * len], &self.trace.site(node, sample));
            }
        }
        if let (Some(ledger), Some(before)) = (ledger, before) {
            ledger.masked(node, &before, arrived);
        }
    }
}
