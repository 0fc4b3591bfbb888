//! `labelSelector` and `fieldSelector` of a list, a watch or a delete.
//!
//! Pure. Written for the tests alone and sharing nothing with the product's selectors, which the tests judge.

use super::failure::Failure;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a request selects.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Selection {
    labels: Vec<(String, Term)>,
    fields: Vec<(Field, Comparison, String)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Term {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Equal,
    Unequal,
}

/// The fields by which the API selects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Name,
    Namespace,
    NodeName,
    Phase,
    InvolvedApiVersion,
    InvolvedKind,
    InvolvedName,
    InvolvedNamespace,
    InvolvedUid,
}

impl Field {
    fn pointer(self) -> &'static str {
        match self {
            Field::Name => "/metadata/name",
            Field::Namespace => "/metadata/namespace",
            Field::NodeName => "/spec/nodeName",
            Field::Phase => "/status/phase",
            Field::InvolvedApiVersion => "/involvedObject/apiVersion",
            Field::InvolvedKind => "/involvedObject/kind",
            Field::InvolvedName => "/involvedObject/name",
            Field::InvolvedNamespace => "/involvedObject/namespace",
            Field::InvolvedUid => "/involvedObject/uid",
        }
    }
}

impl Selection {
    /// Parses the two query parameters; empty ones select everything.
    pub fn parse(labels: &str, fields: &str) -> Result<Selection, Failure> {
        Ok(Selection {
            labels: split_outside_parentheses(labels)
                .map(label_term)
                .collect::<Result<_, _>>()?,
            fields: fields
                .split(',')
                .filter(|term| !term.is_empty())
                .map(field_term)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether this object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        let by_label = self.labels.iter().all(|(key, term)| match (term, label(key)) {
            (Term::Exists, value) => value.is_some(),
            (Term::Absent, value) => value.is_none(),
            (Term::In(values), value) => value.is_some_and(|value| values.contains(value)),
            (Term::NotIn(values), value) => value.is_none_or(|value| !values.contains(value)),
        });
        by_label
            && self.fields.iter().all(|(field, comparison, value)| {
                let actual = object.pointer(field.pointer()).and_then(Value::as_str).unwrap_or("");
                (actual == value) == (*comparison == Comparison::Equal)
            })
    }
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|term| !term.is_empty())
}

fn label_term(term: &str) -> Result<(String, Term), Failure> {
    let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
    let parsed = if let Some((key, value)) = term.split_once("!=") {
        (key, Term::NotIn(one(value)))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (key, Term::In(one(value)))
    } else if let Some(key) = term.strip_prefix('!') {
        (key, Term::Absent)
    } else if let Some((head, values)) = term.strip_suffix(')').and_then(|term| term.split_once('(')) {
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        match head.split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => (key, Term::In(values)),
            [key, "notin"] => (key, Term::NotIn(values)),
            _ => return Err(unparsable(term)),
        }
    } else {
        (term, Term::Exists)
    };
    let key = parsed.0.trim();
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || "()!=".contains(c)) {
        return Err(unparsable(term));
    }
    Ok((key.to_owned(), parsed.1))
}

fn unparsable(term: &str) -> Failure {
    Failure::bad_request(format!("unable to parse requirement: {term:?}"))
}

fn field_term(term: &str) -> Result<(Field, Comparison, String), Failure> {
    let unequal = term.split_once("!=").map(|parts| (parts, Comparison::Unequal));
    let equal = || {
        term.split_once("==")
            .or_else(|| term.split_once('='))
            .map(|parts| (parts, Comparison::Equal))
    };
    let ((field, value), comparison) = unequal
        .or_else(equal)
        .ok_or_else(|| Failure::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'")))?;
    let field = match field {
        "metadata.name" => Field::Name,
        "metadata.namespace" => Field::Namespace,
        "spec.nodeName" => Field::NodeName,
        "status.phase" => Field::Phase,
        "involvedObject.apiVersion" => Field::InvolvedApiVersion,
        "involvedObject.kind" => Field::InvolvedKind,
        "involvedObject.name" => Field::InvolvedName,
        "involvedObject.namespace" => Field::InvolvedNamespace,
        "involvedObject.uid" => Field::InvolvedUid,
        other => return Err(Failure::bad_request(format!("field label not supported: {other}"))),
    };
    Ok((field, comparison, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "x", "labels": {"app": "web", "tier": "front", "empty": ""}},
            "spec": {"nodeName": "n1"},
        });
        Selection::parse(labels, fields).unwrap().matches(&pod)
    }

    #[test]
    fn selects_as_kubectl_writes_it() {
        for yes in [
            "",
            "app=web",
            "app==web",
            "app!=db",
            "none!=x",
            "app",
            "!none",
            "app in (db, web)",
            "tier notin (back)",
            "none notin (a)",
            "empty=",
            "app=web,tier in (front,back),!none",
        ] {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in [
            "app=db",
            "app!=web",
            "none",
            "!app",
            "app in (db)",
            "tier notin (front)",
            "none in (a)",
            "none=",
            "app,none",
        ] {
            assert!(!selects(no, ""), "{no}");
        }
        assert!(selects("", "metadata.name=web,spec.nodeName=n1,metadata.namespace!=y"));
        assert!(!selects("", "spec.nodeName=n2"));
        assert!(!selects("", "spec.nodeName!=n1"));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for bad in ["app in web", "app (web)", "in (web)", "a b"] {
            assert!(Selection::parse(bad, "").is_err(), "{bad}");
        }
        assert!(Selection::parse("", "spec.hostNetwork=true").is_err());
        assert!(Selection::parse("", "metadata.name").is_err());
    }
}
