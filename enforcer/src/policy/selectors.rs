//! `podSelector` and `namespaceSelector`.
//!
//! Pure. What a requirement may look like is [`Requirement::new`]'s to say.

use super::Kind;
use super::fields::{Field, Problem, members, shown, text};
use proto::selector::{Requirement, Selector};
use serde_json::Value;

/// A label selector. Anything odd about it is a problem: a requirement that is left out would widen it.
pub(super) fn selector(value: &Value, field: &Field<'_>) -> Result<Selector, Problem> {
    read(value, field).map_err(|problem| problem.of(Kind::Selector))
}

fn read(value: &Value, field: &Field<'_>) -> Result<Selector, Problem> {
    let [labels, expressions] = members(value, field, ["matchLabels", "matchExpressions"])?;
    let mut requirements = Vec::new();
    if let Some(labels) = labels {
        match_labels(labels, &field.member("matchLabels"), &mut requirements)?;
    }
    if let Some(expressions) = expressions {
        for_each(expressions, &field.member("matchExpressions"), |value, field| {
            requirements.push(match_expression(value, field)?);
            Ok(())
        })?;
    }
    Ok(Selector::new(requirements))
}

fn match_labels(value: &Value, field: &Field<'_>, requirements: &mut Vec<Requirement>) -> Result<(), Problem> {
    let Some(labels) = value.as_object() else {
        return Err(field.problem(format!("{} is no object", shown(value))));
    };
    for (key, value) in labels {
        let field = field.member(key);
        let value = text(value, &field)?;
        requirements.push(Requirement::new(key, "In", &[value]).map_err(|what| field.problem(what))?);
    }
    Ok(())
}

fn match_expression(value: &Value, field: &Field<'_>) -> Result<Requirement, Problem> {
    let [key, operator, values] = members(value, field, ["key", "operator", "values"])?;
    let named = |value: Option<&'_ Value>, name| match value {
        Some(value) => text(value, &field.member(name)).map(str::to_owned),
        None => Err(field.problem(format!("{name} is missing"))),
    };
    let (key, operator) = (named(key, "key")?, named(operator, "operator")?);
    let mut texts = Vec::new();
    if let Some(values) = values {
        for_each(values, &field.member("values"), |value, field| {
            texts.push(text(value, field)?.to_owned());
            Ok(())
        })?;
    }
    let values: Vec<&str> = texts.iter().map(String::as_str).collect();
    Requirement::new(&key, &operator, &values).map_err(|what| field.problem(what))
}

/// Reads every entry of a list that has no void entries: the first problem is the list's.
fn for_each(
    value: &Value,
    field: &Field<'_>,
    mut read: impl FnMut(&Value, &Field<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let Some(entries) = value.as_array() else {
        return Err(field.problem(format!("{} is no list", shown(value))));
    };
    entries
        .iter()
        .enumerate()
        .try_for_each(|(index, entry)| read(entry, &Field::Entry(field, index)))
}
