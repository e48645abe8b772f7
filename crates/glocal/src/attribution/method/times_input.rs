//! Gradient×Input, and relevance×input with other rules.

use crate::attribution::Attribution;
use crate::attribution::method::{Plain, Results};
use crate::error::RequestError;

/// What the composite propagates, times the input.
pub(super) struct TimesInput<'a>(Plain<'a>);

impl<'a> TimesInput<'a> {
    pub(super) fn new(plain: Plain<'a>) -> Self {
        Self(plain)
    }
}

impl Results for TimesInput<'_> {
    fn next(&mut self) -> Result<Vec<Attribution>, RequestError> {
        let mut items = self.0.next()?;
        let inputs = self.0.execution.base().inputs();
        for item in &mut items {
            let Some(attribution) = &mut item.input else { continue };
            attribution.data_mut().iter_mut().zip(inputs.row(item.sample)).for_each(|(value, x)| *value *= x);
        }
        Ok(items)
    }
}
