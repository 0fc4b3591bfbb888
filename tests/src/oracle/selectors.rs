//! Label selectors.
//!
//! Pure. A selector that the API server would refuse is none: whoever holds it decides what that means.

use super::objects::Labels;
use super::text::{is_label_key, is_label_value};
use serde_json::Value;

/// All of its requirements must be met; without any it matches everything (S25).
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

impl Selector {
    /// The one that matches everything.
    pub fn everything() -> Self {
        Self(Vec::new())
    }

    /// Reads one; `None`: a piece of it is void, and so all of it (P1 to P5, P23).
    pub fn read(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let mut requirements = Vec::new();
        for (field, value) in object {
            match (field.as_str(), value) {
                ("matchLabels" | "matchExpressions", Value::Null) => {}
                ("matchLabels", Value::Object(labels)) => {
                    for (key, value) in labels {
                        requirements.push(equals(key, value)?);
                    }
                }
                ("matchExpressions", Value::Array(expressions)) => {
                    for expression in expressions {
                        requirements.push(read_expression(expression)?);
                    }
                }
                _ => return None,
            }
        }
        Some(Self(requirements))
    }

    /// Whether it has no requirements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these labels meet every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.is_met_by(labels))
    }

    /// Whether it asks for this key.
    pub fn speaks_of(&self, key: &str) -> bool {
        self.0.iter().any(|requirement| requirement.key == key)
    }

    /// Whether a `NotIn` meets labels without its key.
    pub fn hangs_on_absence(&self, labels: &Labels) -> bool {
        self.0.iter().any(|requirement| {
            matches!(requirement.operator, Operator::NotIn(_)) && !labels.contains_key(&requirement.key)
        })
    }

    /// Whether an empty value is asked for.
    pub fn asks_for_empty_value(&self) -> bool {
        self.0.iter().any(
            |requirement| matches!(&requirement.operator, Operator::In(values) if values.iter().any(String::is_empty)),
        )
    }
}

impl Requirement {
    fn is_met_by(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            // S26, S28: the key must be present; an empty value is a value.
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            // S27: an absent key is in no list.
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// S26: `matchLabels` is `In` with one value.
fn equals(key: &str, value: &Value) -> Option<Requirement> {
    requirement(key, Operator::In(vec![value.as_str()?.to_owned()]))
}

fn read_expression(expression: &Value) -> Option<Requirement> {
    let expression = expression.as_object()?;
    if expression
        .keys()
        .any(|field| !["key", "operator", "values"].contains(&field.as_str()))
    {
        return None;
    }
    let values = match expression.get("values") {
        None | Some(Value::Null) => Vec::new(),
        Some(values) => {
            let values = values.as_array()?.iter().map(|value| Some(value.as_str()?.to_owned()));
            values.collect::<Option<Vec<_>>>()?
        }
    };
    let operator = match (expression.get("operator")?.as_str()?, values.is_empty()) {
        ("In", false) => Operator::In(values),
        ("NotIn", false) => Operator::NotIn(values),
        ("Exists", true) => Operator::Exists,
        ("DoesNotExist", true) => Operator::DoesNotExist,
        _ => return None,
    };
    requirement(expression.get("key")?.as_str()?, operator)
}

fn requirement(key: &str, operator: Operator) -> Option<Requirement> {
    let good_values = match &operator {
        Operator::In(values) | Operator::NotIn(values) => values.iter().all(|value| is_label_value(value)),
        Operator::Exists | Operator::DoesNotExist => true,
    };
    (is_label_key(key) && good_values).then(|| Requirement {
        key: key.to_owned(),
        operator,
    })
}
