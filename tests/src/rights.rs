//! The rights that an RBAC role grants, one by one.
//!
//! Pure.

use serde_json::{Value, json};
use std::fmt;

/// One verb on one resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Right {
    /// The rule that grants it: another may grant the same on some objects by name.
    rule: usize,
    /// The resource, in the plural.
    pub resource: String,
    /// The verb.
    pub verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.verb, self.resource)
    }
}

/// Each right of a role's `rules`, in their order.
///
/// # Panics
/// If they are no rules.
pub fn each(rules: &Value) -> Vec<Right> {
    let mut rights = Vec::new();
    for (rule, granted) in rules.as_array().expect("rules are a list").iter().enumerate() {
        for resource in words(&granted["resources"]) {
            for verb in words(&granted["verbs"]) {
                rights.push(Right {
                    rule,
                    resource: resource.to_owned(),
                    verb: verb.to_owned(),
                });
            }
        }
    }
    rights
}

/// The rules without one right.
///
/// # Panics
/// If they are no rules.
pub fn without(rules: &Value, right: &Right) -> Value {
    let mut rules = rules.as_array().expect("rules are a list").clone();
    let whole = &mut rules[right.rule];
    let mut rest = whole.clone();
    whole["resources"] = others(&whole["resources"], &right.resource);
    rest["resources"] = json!([right.resource]);
    rest["verbs"] = others(&rest["verbs"], &right.verb);
    rules.push(rest);
    rules.retain(|rule| rule["verbs"] != json!([]) && rule["resources"] != json!([]));
    rules.into()
}

fn words(list: &Value) -> impl Iterator<Item = &str> {
    let words = list.as_array().expect("a rule has lists of words").iter();
    words.map(|word| word.as_str().expect("a rule has lists of words"))
}

fn others(list: &Value, but: &str) -> Value {
    words(list).filter(|word| *word != but).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_taken_away_and_all_others_stay() {
        let rules = json!([
            {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
        ]);
        let rights = each(&rules);
        let named: Vec<String> = rights.iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "list on pods",
                "watch on pods",
                "list on namespaces",
                "watch on namespaces",
                "get on namespaces"
            ]
        );
        for (index, right) in rights.iter().enumerate() {
            let mut left: Vec<String> = each(&without(&rules, right)).iter().map(ToString::to_string).collect();
            let mut expected = named.clone();
            expected.remove(index);
            left.sort();
            expected.sort();
            assert_eq!(left, expected);
        }
        assert_eq!(
            without(&rules, &rights[4]),
            json!([{"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]}])
        );
        assert_eq!(
            without(&rules, &rights[0])[2],
            json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["watch"]})
        );
    }
}
