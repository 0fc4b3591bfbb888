//! The label selectors of requests. Pure.

use super::Refusal;
use crate::selector_syntax;
use proto::selector::{Requirement, Selector};
use proto::wire;

/// A selector in kubectl's syntax.
pub(super) fn from_syntax(field: &str, text: &str) -> Result<Selector, Refusal> {
    selector_syntax::parse(text).map_err(|error| Refusal::invalid(field, error.to_string()))
}

/// A selector as the Kubernetes API has it.
pub(super) fn from_message(field: &str, message: &wire::LabelSelector) -> Result<Selector, Refusal> {
    let match_labels = message.match_labels.iter().map(|(key, value)| {
        Requirement::new(key, "In", &[value])
            .map_err(|problem| Refusal::invalid(format!("{field}.match_labels[{key:?}]"), problem))
    });
    let match_expressions = message.match_expressions.iter().enumerate().map(|(index, one)| {
        let values: Vec<&str> = one.values.iter().map(String::as_str).collect();
        Requirement::new(&one.key, &one.operator, &values)
            .map_err(|problem| Refusal::invalid(format!("{field}.match_expressions[{index}]"), problem))
    });
    let requirements: Vec<Requirement> = match_labels.chain(match_expressions).collect::<Result<_, _>>()?;
    Ok(Selector::new(requirements))
}
