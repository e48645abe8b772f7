//! Where relevance goes: for every layer, what came in, what went on, and what was kept, by cause.
//!
//! Relevance is a budget. A rule passes on what it was given, but for what the bias and the stabilizer of its
//! denominator stand for; masks drop a part on purpose; a gradient keeps no budget at all. The report makes each of
//! these a number, and what none of them explains is an error of the implementation.

use std::collections::BTreeMap;

use glocal_compute::{Rows, Tensor};

use crate::attribution::{Cancel, Ledger, Trace, propagate};
use crate::error::RunError;
use crate::model::NodeId;
use crate::op::{Absorbed, Budget, Propagate};
use crate::rule::terms::total;

/// The account of one layer, summed over the samples of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The node.
    pub node: NodeId,
    /// The layer's name.
    pub layer: String,
    /// The rule that handed relevance down.
    pub rule: String,
    /// The relevance that arrived at the layer's output.
    pub relevance_in: f64,
    /// The relevance handed to its inputs.
    pub relevance_out: f64,
    /// What biases and constants stand for.
    pub bias: f64,
    /// What the stabilizer took.
    pub stabilizer: f64,
    /// What the rule's definition gains or loses: all of the difference for rules that keep no account.
    pub definition: f64,
    /// The sum of the sizes of everything above: what rounding errors are relative to.
    pub magnitude: f64,
}

impl Account {
    /// What none of the causes explains; of the size of rounding errors.
    pub fn unexplained(&self) -> f64 {
        self.relevance_in - self.relevance_out - self.bias - self.stabilizer - self.definition
    }
}

/// The accounts of all layers that relevance goes through on its way from the targets to the input, from the output
/// down. `initial` is the relevance that starts at the explained output, `[N, ...]`.
///
/// # Errors
/// When `initial` does not fit the output, or the work was cancelled.
pub fn report(trace: &Trace<'_>, initial: Tensor, cancel: &Cancel) -> Result<Vec<Account>, RunError> {
    let model = trace.attributor().model();
    if initial.shape() != trace.prediction().shape() {
        return Err(RunError::input_shape(trace.prediction().sample_shape(), initial.shape()));
    }
    let mut book = Book { trace, accounts: BTreeMap::new() };
    let region = vec![true; model.explained().index() + 1];
    let rows = Rows::identity(initial.batch());
    let start = (model.explained(), initial);
    propagate(trace, start, &rows, &region, cancel, &mut |_, arrived| Ok(Some(arrived)), Some(&mut book))?;
    Ok(book.accounts.into_values().rev().collect())
}

struct Book<'a> {
    trace: &'a Trace<'a>,
    accounts: BTreeMap<NodeId, Account>,
}

impl Ledger for Book<'_> {
    fn handed_down(
        &mut self,
        id: NodeId,
        relevance: &Tensor,
        rows: &Rows,
        prepared: &dyn Propagate,
        shares: &[(NodeId, Tensor, bool)],
    ) -> Result<(), RunError> {
        let attributor = self.trace.attributor();
        let node = attributor.model().graph().node(id);
        let budget = prepared
            .account(attributor.model().backend(), relevance, rows)
            .map_err(|cause| RunError::node(node, cause))?;
        let size = |x: &Tensor| x.data().iter().map(|&value| f64::from(value.abs())).sum::<f64>();
        let relevance_in = total(relevance);
        let relevance_out: f64 = shares.iter().map(|(_, share, _)| total(share)).sum();
        let magnitude = size(relevance) + shares.iter().map(|(_, share, _)| size(share)).sum::<f64>();
        let absorbed = match budget {
            Budget::Kept => Absorbed::default(),
            Budget::Absorbed(absorbed) => absorbed,
            Budget::None => Absorbed { definition: relevance_in - relevance_out, ..Absorbed::default() },
        };
        let Absorbed { bias, stabilizer, definition } = absorbed;
        let rule = attributor.resolved().get(id).map_or(String::new(), |assignment| assignment.rule.describe());
        let layer = node.display_name().to_owned();
        let account =
            Account { node: id, layer, rule, relevance_in, relevance_out, bias, stabilizer, definition, magnitude };
        self.accounts.insert(id, account);
        Ok(())
    }
}
