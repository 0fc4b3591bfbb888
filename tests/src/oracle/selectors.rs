//! Label selectors.
//!
//! Pure. A selector that the API server would refuse is none: whoever holds it decides what that means.

use super::citations::Citations;
use super::policies::{Piece, Void};
use super::text::{is_label_key, is_label_value};
use serde_json::Value;

/// Requirements on labels.
#[derive(Clone, Debug)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

/// Labels that a selector looks at: what a key has, `None` if it is absent.
pub(super) type Lookup<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

impl Selector {
    /// The one that matches everything.
    pub fn everything() -> Self {
        Self(Vec::new())
    }

    /// Whether it has no requirements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// S25: all requirements must be met; without any, everything matches.
    pub(super) fn matches(&self, labels: &Lookup<'_>, cited: &Citations) -> bool {
        let met = self.0.iter().filter(|requirement| requirement.is_met_by(labels, cited));
        let met = met.count();
        if met > 0 && met < self.0.len() {
            cited.cite(25);
        }
        met == self.0.len()
    }

    /// Whether it asks for this key.
    pub fn speaks_of(&self, key: &str) -> bool {
        self.0.iter().any(|requirement| requirement.key == key)
    }
}

impl Requirement {
    fn is_met_by(&self, labels: &Lookup<'_>, cited: &Citations) -> bool {
        let value = exactly(&self.key, labels, cited);
        match &self.operator {
            Operator::In(values) => is_in(value, values, cited),
            Operator::NotIn(values) => is_not_in(value, values, cited),
            Operator::Exists => exists(value, cited),
            Operator::DoesNotExist => !exists(value, cited),
        }
    }
}

/// S30: keys are compared whole: `a/b` is not `b`.
fn exactly<'a>(key: &str, labels: &Lookup<'a>, cited: &Citations) -> Option<&'a str> {
    let value = labels(key);
    if key.split_once('/').is_some_and(|(_, name)| labels(name) != value) {
        cited.cite(30);
    }
    value
}

/// S26: the key is present and has one of the values.
fn is_in(value: Option<&str>, values: &[String], cited: &Citations) -> bool {
    cited.cite(26);
    exists(value, cited) && value.is_some_and(|value| values.iter().any(|one| one == value))
}

/// S27: the key has none of the values, or is absent.
fn is_not_in(value: Option<&str>, values: &[String], cited: &Citations) -> bool {
    if value.is_none() {
        cited.cite(27);
    }
    value.is_none_or(|value| values.iter().all(|one| one != value))
}

/// S28: a key with an empty value is present.
fn exists(value: Option<&str>, cited: &Citations) -> bool {
    if value == Some("") {
        cited.cite(28);
    }
    value.is_some()
}

/// Reads one; void if a piece of it is (P1 to P5, P23): to leave out a requirement would widen it.
pub(super) fn read(value: &Value) -> Piece<Selector> {
    let object = value.as_object().ok_or(Void(127))?;
    let mut requirements = Vec::new();
    for (field, value) in object {
        match (field.as_str(), value) {
            ("matchLabels" | "matchExpressions", Value::Null) => {}
            ("matchLabels", Value::Object(labels)) => {
                for (key, value) in labels {
                    // S26: `matchLabels` is `In` with one value.
                    requirements.push(requirement(key, Operator::In(vec![text(value)?]))?);
                }
            }
            ("matchExpressions", Value::Array(expressions)) => {
                for expression in expressions {
                    requirements.push(read_expression(expression)?);
                }
            }
            _ => return Err(Void(127)),
        }
    }
    Ok(Selector(requirements))
}

fn read_expression(expression: &Value) -> Piece<Requirement> {
    let expression = expression.as_object().ok_or(Void(127))?;
    if expression
        .keys()
        .any(|field| !["key", "operator", "values"].contains(&field.as_str()))
    {
        return Err(Void(127));
    }
    let field = |name| expression.get(name).unwrap_or(&Value::Null);
    let values = match field("values") {
        Value::Null => Vec::new(),
        values => {
            let values = values.as_array().ok_or(Void(127))?;
            values.iter().map(text).collect::<Piece<_>>()?
        }
    };
    let operator = match (text(field("operator"))?.as_str(), values.is_empty()) {
        ("In", false) => Operator::In(values),
        ("NotIn", false) => Operator::NotIn(values),
        ("Exists", true) => Operator::Exists,
        ("DoesNotExist", true) => Operator::DoesNotExist,
        // S30, P1, P2: there are no others.
        _ => return Err(Void(127)),
    };
    requirement(&text(field("key"))?, operator)
}

/// P3 to P5: keys and values that no label can have.
fn requirement(key: &str, operator: Operator) -> Piece<Requirement> {
    let good_values = match &operator {
        Operator::In(values) | Operator::NotIn(values) => values.iter().all(|value| is_label_value(value)),
        Operator::Exists | Operator::DoesNotExist => true,
    };
    if !is_label_key(key) || !good_values {
        return Err(Void(127));
    }
    let key = key.to_owned();
    Ok(Requirement { key, operator })
}

fn text(value: &Value) -> Piece<String> {
    value.as_str().map(str::to_owned).ok_or(Void(127))
}
