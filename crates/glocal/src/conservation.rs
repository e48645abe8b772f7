//! Where relevance goes: for every layer, what came in, what went on, and what was kept or dropped, by cause.
//!
//! Relevance is a budget. A rule passes on what it was given, but for what the bias and the stabilizer of its
//! denominator stand for; masks drop a part on purpose, and so does isolated scope; a gradient keeps no budget at all. The
//! report makes each of these a number, and what none of them explains is an error of the implementation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use glocal_compute::{Rows, Tensor};

use crate::attribution::{Ledger, Method, Request, Trace, one_by_one};
use crate::error::{RequestError, RequestErrorKind, RunError};
use crate::model::NodeId;
use crate::op::{Absorbed, Budget, Propagate};
use crate::pool::in_pool;
use crate::rule::terms::total;

/// Where the relevance of one condition went, summed over its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Balance {
    /// The condition's index in the request.
    pub condition: usize,
    /// The relevance that started, after the target's mask.
    pub started: f64,
    /// What arrived at the input, before a mask of the input itself.
    pub arrived: f64,
    /// The accounts of all layers that relevance went through, from where it started down.
    pub accounts: Vec<Account>,
}

/// The account of one layer under one condition, summed over the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The node.
    pub node: NodeId,
    /// The layer's name.
    pub layer: String,
    /// The rule that handed relevance down.
    pub rule: String,
    /// The relevance that arrived at the layer's output, before its mask.
    pub relevance_in: f64,
    /// The relevance handed to its inputs, to be followed further.
    pub relevance_out: f64,
    /// What biases and constants stand for.
    pub bias: f64,
    /// What the stabilizer took.
    pub stabilizer: f64,
    /// What the rule's definition gains or loses: all of the difference for rules that keep no account.
    pub definition: f64,
    /// What the condition's mask of the layer dropped.
    pub masked: f64,
    /// What isolated scope dropped: the shares of inputs that lie beside every path to the next conditioned layer.
    pub beside: f64,
    /// The sum of the sizes of everything above: what rounding errors are relative to.
    pub magnitude: f64,
}

impl Balance {
    /// What all layers together kept or dropped.
    pub fn kept(&self) -> f64 {
        self.accounts.iter().map(Account::kept).sum()
    }

    /// What started and neither arrived nor was kept; of the size of rounding errors.
    pub fn unexplained(&self) -> f64 {
        self.started - self.arrived - self.kept()
    }

    /// Adds the balance of the same condition for other samples.
    pub fn add(&mut self, other: Self) {
        self.started += other.started;
        self.arrived += other.arrived;
        for account in other.accounts {
            match self.accounts.binary_search_by(|known| account.node.cmp(&known.node)) {
                Ok(place) => self.accounts[place].add(&account),
                Err(place) => self.accounts.insert(place, account),
            }
        }
    }
}

impl Account {
    /// What was kept or dropped, whatever the cause.
    pub fn kept(&self) -> f64 {
        self.bias + self.stabilizer + self.definition + self.masked + self.beside
    }

    /// What none of the causes explains; of the size of rounding errors.
    pub fn unexplained(&self) -> f64 {
        self.relevance_in - self.relevance_out - self.kept()
    }

    /// Adds the account of the same layer for other samples.
    fn add(&mut self, other: &Self) {
        self.relevance_in += other.relevance_in;
        self.relevance_out += other.relevance_out;
        self.bias += other.bias;
        self.stabilizer += other.stabilizer;
        self.definition += other.definition;
        self.masked += other.masked;
        self.beside += other.beside;
        self.magnitude += other.magnitude;
    }
}

/// Where the relevance of each condition of `request` went, in the order of the conditions: over all samples for a
/// product, over the condition's own sample for pairs.
///
/// Every condition is run alone for it, in whole layers: with the results of [`Trace::attribute`], up to rounding where those
/// were propagated in patches. What conditions share is shared no more. Recorded layers do not matter.
///
/// # Errors
/// When the request does not fit the model, its method is more than one way down, or the work was cancelled.
pub fn report(trace: &Trace<'_>, request: &Request) -> Result<Vec<Balance>, RequestError> {
    if request.method != Method::Plain {
        return Err(RequestErrorKind::NotOneWayDown { method: request.method.name() }.into());
    }
    let request = Request { record: Vec::new(), ..request.clone() };
    let book = Book { trace, page: Mutex::default() };
    let mut balances = Vec::with_capacity(request.conditions.len());
    let mut done = |condition, arrived| {
        let Page { started, accounts } = std::mem::take(&mut *book.page());
        let accounts = accounts.into_values().rev().collect();
        balances.push(Balance { condition, started, arrived, accounts });
    };
    in_pool(|| one_by_one(trace, &request, &book, &mut done))?;
    Ok(balances)
}

/// Keeps the accounts of one condition after the other.
struct Book<'a> {
    trace: &'a Trace<'a>,
    page: Mutex<Page>,
}

/// The accounts of one condition.
#[derive(Default)]
struct Page {
    started: f64,
    accounts: BTreeMap<NodeId, Account>,
}

impl Book<'_> {
    /// A thread that panicked while it wrote has taken the report with it: nobody reads the page then.
    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of a node, opened when it is first needed.
    fn write(&self, id: NodeId, write: impl FnOnce(&mut Account)) {
        let attributor = self.trace.attributor();
        let open = || Account {
            node: id,
            layer: attributor.model().graph().node(id).display_name().to_owned(),
            rule: attributor.resolved().get(id).map_or(String::new(), |assignment| assignment.rule.describe()),
            relevance_in: 0.0,
            relevance_out: 0.0,
            bias: 0.0,
            stabilizer: 0.0,
            definition: 0.0,
            masked: 0.0,
            beside: 0.0,
            magnitude: 0.0,
        };
        write(self.page().accounts.entry(id).or_insert_with(open));
    }
}

impl Ledger for Book<'_> {
    fn started(&self, relevance: &Tensor) {
        self.page().started += total(relevance);
    }

    fn masked(&self, node: NodeId, arrived: &Tensor, passed: &Tensor) {
        // What passed is handed down, and comes in there.
        let dropped = total(arrived) - total(passed);
        self.write(node, |account| {
            account.relevance_in += dropped;
            account.masked += dropped;
            account.magnitude += size(arrived);
        });
    }

    fn handed_down(
        &self,
        id: NodeId,
        relevance: &Tensor,
        rows: &Rows,
        prepared: &dyn Propagate,
        shares: &[(&Tensor, bool)],
    ) -> Result<(), RunError> {
        let model = self.trace.attributor().model();
        let budget = prepared
            .account(model.backend(), relevance, rows)
            .map_err(|cause| RunError::node(model.graph().node(id), cause))?;
        let relevance_in = total(relevance);
        let handed = |follow: bool| -> f64 {
            shares.iter().filter(|(_, followed)| *followed == follow).map(|(share, _)| total(share)).sum()
        };
        let (relevance_out, beside) = (handed(true), handed(false));
        let Absorbed { bias, stabilizer, definition } = match budget {
            Budget::Kept => Absorbed::default(),
            Budget::Absorbed(absorbed) => absorbed,
            Budget::None => Absorbed { definition: relevance_in - relevance_out - beside, ..Absorbed::default() },
        };
        self.write(id, |account| {
            account.relevance_in += relevance_in;
            account.relevance_out += relevance_out;
            account.bias += bias;
            account.stabilizer += stabilizer;
            account.definition += definition;
            account.beside += beside;
            account.magnitude += size(relevance) + shares.iter().map(|(share, _)| size(share)).sum::<f64>();
        });
        Ok(())
    }
}

/// The sum of the sizes of all elements, in double precision.
fn size(x: &Tensor) -> f64 {
    x.data().iter().map(|&value| f64::from(value.abs())).sum()
}
