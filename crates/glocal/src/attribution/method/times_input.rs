//! Gradient×Input, and relevance×input with other rules.

use crate::attribution::{Attributions, Request, Trace, execute};
use crate::error::RequestError;

/// What the composite propagates, times the input.
pub(super) fn attribute(trace: &Trace<'_>, request: &Request) -> Result<Attributions, RequestError> {
    let mut found = execute::attribute(trace, request)?;
    let inputs = trace.inputs();
    for item in &mut found.items {
        let Some(attribution) = &mut item.input else { continue };
        attribution.data_mut().iter_mut().zip(inputs.row(item.sample)).for_each(|(value, x)| *value *= x);
    }
    Ok(found)
}
