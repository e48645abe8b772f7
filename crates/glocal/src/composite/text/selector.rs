//! The text form of selectors: `layer`, `kind`, `class`, `except`, and one of `first`, `last` and `nth`.

use super::fields::{Fields, expected, unknown};
use crate::composite::Selector;
use crate::error::RequestError;
use crate::op::{OpClass, OpKind};

/// Takes the keys of a selector from those of an entry.
pub(super) fn selector(fields: &Fields) -> Result<Selector, RequestError> {
    let mut parts = Vec::new();
    if let Some(patterns) = fields.strings("layer")? {
        parts.push(any_of(patterns.into_iter().map(Selector::layer).collect()));
    }
    if let Some(names) = fields.strings("kind")? {
        let kinds = names.iter().map(|name| named("op kind", name, OpKind::ALL, OpKind::name).map(Selector::Kind));
        parts.push(any_of(kinds.collect::<Result<_, _>>()?));
    }
    if let Some(names) = fields.strings("class")? {
        let classes =
            names.iter().map(|name| named("op class", name, OpClass::ALL, OpClass::name).map(Selector::Class));
        parts.push(any_of(classes.collect::<Result<_, _>>()?));
    }
    for exception in exceptions(fields)? {
        parts.push(Selector::Not(Box::new(exception)));
    }
    let selector = match parts.len() {
        0 => Selector::Any,
        1 => parts.swap_remove(0),
        _ => Selector::All(parts),
    };
    match (fields.flag("first")?, fields.flag("last")?, fields.count("nth")?) {
        (false, false, None) => Ok(selector),
        (true, false, None) => Ok(selector.first()),
        (false, true, None) => Ok(selector.last()),
        (false, false, Some(number)) => Ok(selector.nth(number)),
        _ => Err(expected("first, last and nth", "at most one of them")),
    }
}

/// What an entry is not for: one table of a selector's keys, or a list of them.
fn exceptions(fields: &Fields) -> Result<Vec<Selector>, RequestError> {
    let wrong = || expected("except", "a selector, as in { layer = \"features.0\" }, or a list of them");
    let tables = match fields.take("except") {
        None => Vec::new(),
        Some(toml::Value::Array(values)) if !values.is_empty() => values,
        Some(value) => vec![value],
    };
    let read = |value| {
        let toml::Value::Table(table) = value else { return Err(wrong()) };
        let fields = Fields::new(table);
        if fields.is_empty() {
            return Err(wrong());
        }
        let selector = selector(&fields)?;
        fields.finish("key of a selector").map(|()| selector)
    };
    tables.into_iter().map(read).collect()
}

fn any_of(mut selectors: Vec<Selector>) -> Selector {
    if selectors.len() == 1 { selectors.swap_remove(0) } else { Selector::AnyOf(selectors) }
}

/// The one of `all` that is called `name`.
fn named<T: Copy>(
    what: &'static str,
    name: &str,
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
) -> Result<T, RequestError> {
    let found = all.iter().copied().find(|known| name_of(*known) == name);
    found.ok_or_else(|| unknown(what, name, all.iter().map(|known| name_of(*known))))
}
